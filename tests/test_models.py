"""Models: the stepping cells against the fused kernels and against the equations, dropout, and states."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seqgen.models import CELLS, MODELS, Batch, LanguageModel, State
from seqgen.models.layers import RecurrentLayer, keep_mask
from seqgen.recipe import ModelSettings

SYMBOLS = 11


def build(**settings: object) -> LanguageModel:
    model = LanguageModel(SYMBOLS, ModelSettings(**{"hidden": 8, "embedding": 5, "layers": 2, **settings}))  # type: ignore[arg-type]
    model.reset_parameters(torch.Generator().manual_seed(1))
    model.noise = torch.Generator().manual_seed(2)
    return model


def window(time: int = 7, lanes: int = 3) -> Batch:
    ids = torch.randint(SYMBOLS, (time + 1, lanes), generator=torch.Generator().manual_seed(3))
    return Batch(ids[:-1], ids[1:])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_stepping_gives_the_logits_of_the_fused_kernel(cell: str, layers: int) -> None:
    model = build(cell=cell, layers=layers).eval()
    ids = torch.randint(SYMBOLS, (4, 20), generator=torch.Generator().manual_seed(4))
    whole, whole_state = model.start(ids)
    logits, state = model.start(ids[:, :1])
    for time in range(1, ids.shape[1]):
        logits, state = model.step(ids[:, time], state)
    torch.testing.assert_close(logits, whole, atol=1e-4, rtol=0)
    for name, tensor in whole_state.tensors().items():
        torch.testing.assert_close(state.tensors()[name], tensor, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("cell", "reference"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_a_layer_computes_what_torch_nn_computes(cell: str, reference: Any) -> None:
    layer = RecurrentLayer(CELLS[cell], 5, 8, 0.0)
    layer.reset_parameters(torch.Generator().manual_seed(1))
    other = reference(5, 8)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    other.load_state_dict(
        dict(zip(names, (layer.input, layer.recurrent, layer.input_bias, layer.recurrent_bias), strict=True))
    )
    inputs = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(5))
    outputs, _ = layer(inputs, layer.zero_state(2), None)
    torch.testing.assert_close(outputs, other(inputs)[0])


def test_the_lstm_step_is_the_textbook_equation() -> None:
    gates = torch.tensor([[0.5, -1.0, 2.0, 0.25]])  # input, forget, cell and output gate of one unit
    hidden, cell = CELLS["lstm"].step(gates, torch.zeros(1, 4), (torch.tensor([[0.3]]), torch.tensor([[0.7]])))
    i, f, o = (torch.tensor(value).sigmoid() for value in (0.5, -1.0, 0.25))
    wanted = f * 0.7 + i * torch.tensor(2.0).tanh()
    torch.testing.assert_close(cell, wanted.reshape(1, 1))
    torch.testing.assert_close(hidden, (o * wanted.tanh()).reshape(1, 1))


@pytest.mark.parametrize("cell", CELLS)
def test_state_carried_across_windows_equals_one_long_window(cell: str) -> None:
    model = build(cell=cell).eval()
    batch = window(time=12)
    whole, _ = model.loss(batch, model.zero_state(3))
    first, state = model.loss(Batch(batch.inputs[:5], batch.targets[:5]), model.zero_state(3))
    second, _ = model.loss(Batch(batch.inputs[5:], batch.targets[5:]), state.detach())
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_loss_is_the_negative_log_probability_of_each_target() -> None:
    model, batch = build().eval(), window()
    nats, _ = model.loss(batch, model.zero_state(3))
    logits, _ = model(batch.inputs, model.zero_state(3))
    probabilities = logits.softmax(-1)
    assert nats.shape == batch.targets.shape
    torch.testing.assert_close(nats[2, 1], -probabilities[2, 1, batch.targets[2, 1]].log())


@pytest.mark.parametrize("kind", ["embedding", "input", "hidden", "output", "weight"])
@pytest.mark.parametrize("cell", CELLS)
def test_each_dropout_changes_outputs_and_gradients_in_training_only(kind: str, cell: str) -> None:
    batch = window()

    def losses_and_gradients(rate: float, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        model = build(cell=cell, **{f"{kind}_dropout": rate}).train(training)
        nats, _ = model.loss(batch, model.zero_state(3))
        nats.sum().backward()  # type: ignore[no-untyped-call]
        gradients = [param.grad.flatten() for param in model.parameters() if param.grad is not None]
        return nats.detach(), torch.cat(gradients)

    plain, plain_gradients = losses_and_gradients(0.0, True)
    dropped, dropped_gradients = losses_and_gradients(0.5, True)
    resting, resting_gradients = losses_and_gradients(0.5, False)
    assert not torch.allclose(plain, dropped)
    assert not torch.allclose(plain_gradients, dropped_gradients)
    torch.testing.assert_close(plain, resting)
    torch.testing.assert_close(plain_gradients, resting_gradients)


def test_a_dropped_recurrent_weight_gets_no_gradient() -> None:
    model = build(layers=1, weight_dropout=0.5).train()
    assert model.noise is not None
    layer = model.recurrent_layers()[0]
    noise = torch.Generator()
    noise.set_state(model.noise.get_state())
    mask = keep_mask(layer.recurrent.shape, 0.5, noise)
    nats, _ = model.loss(window(), model.zero_state(3))
    nats.sum().backward()  # type: ignore[no-untyped-call]
    assert layer.recurrent.grad is not None
    assert bool((layer.recurrent.grad[mask == 0] == 0).all())
    assert bool((layer.recurrent.grad[mask != 0] != 0).any())


def test_locked_dropout_uses_one_mask_for_all_steps_of_a_window() -> None:
    model = build(layers=1, output_dropout=0.5).train()
    with torch.no_grad():
        model.output_bias.zero_()
        assert model.output is not None
        model.output.copy_(torch.eye(SYMBOLS, 8))
    logits, _ = model(window(time=9).inputs, model.zero_state(3))
    dropped = logits[..., :8] == 0
    assert bool(dropped.any())
    assert bool((dropped == dropped[0]).all())


def test_dropout_keeps_the_mean() -> None:
    mask = keep_mask((200_000,), 0.3, torch.Generator().manual_seed(1))
    assert abs(mask.mean().item() - 1) < 0.01
    assert abs((mask == 0).float().mean().item() - 0.3) < 0.01


def test_forget_gates_begin_open_and_recurrent_weights_orthogonal() -> None:
    layer = build().recurrent_layers()[1]
    assert layer.input_bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    for gate in layer.recurrent.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(8), atol=1e-5, rtol=0)


def test_a_tied_output_is_the_embedding() -> None:
    model = build(embedding=8, tied=True)
    assert model.output is None
    untied = build(embedding=8)
    assert sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in model.parameters()) == SYMBOLS * 8
    nats, _ = model.loss(window(), model.zero_state(3))
    nats.sum().backward()  # type: ignore[no-untyped-call]
    assert model.embedding.grad is not None


def test_selected_rows_of_a_state_go_on_as_those_rows() -> None:
    model = build().eval()
    ids = torch.tensor([[1, 2], [3, 4], [5, 6]])
    _, state = model.start(ids)
    chosen = state.select(torch.tensor([2, 0, 2]))
    symbols = torch.tensor([7, 8, 9])
    logits, _ = model.step(symbols, chosen)
    for row, (source, symbol) in enumerate(zip([2, 0, 2], symbols.tolist(), strict=True)):
        alone, _ = model.step(torch.tensor([symbol]), state.select(torch.tensor([source])))
        torch.testing.assert_close(logits[row], alone[0])


def test_a_state_survives_the_way_through_named_tensors() -> None:
    model = build()
    _, state = model.eval().start(torch.tensor([[1, 2, 3]]))
    again = model.zero_state(1).with_tensors(state.tensors())
    assert isinstance(again, State)
    for name, tensor in state.tensors().items():
        assert torch.equal(tensor, again.tensors()[name])


def test_stepping_sees_new_weights_after_training_went_on() -> None:
    model = build().eval()
    before, _ = model.step(torch.tensor([1]), model.zero_state(1))
    model.train()
    with torch.no_grad():
        model.output_bias.add_(1.0)
    after, _ = model.eval().step(torch.tensor([1]), model.zero_state(1))
    torch.testing.assert_close(after, before + 1)


@pytest.mark.parametrize("name", MODELS)
def test_equal_generators_make_equal_weights(name: str) -> None:
    one, two = (MODELS[name](SYMBOLS, ModelSettings(hidden=8, embedding=5)) for _ in range(2))
    for model in (one, two):
        model.reset_parameters(torch.Generator().manual_seed(7))
    assert all(torch.equal(first, second) for first, second in zip(one.parameters(), two.parameters(), strict=True))


PARTS = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], *[[0.0, 0.0]] * (SYMBOLS - 3)])
"""Symbols 0 and 1 share a part, 2 has another, the rest have none."""


def build_with_parts(**settings: object) -> LanguageModel:
    model = LanguageModel(SYMBOLS, ModelSettings(**{"hidden": 8, "embedding": 8, **settings}), PARTS)  # type: ignore[arg-type]
    model.reset_parameters(torch.Generator().manual_seed(1))
    return model


@pytest.mark.parametrize("tied", [False, True])
def test_symbols_add_the_rows_of_their_parts_to_their_own(tied: bool) -> None:
    model = build_with_parts(tied=tied)
    embedding, output = model.tables()
    torch.testing.assert_close(embedding[1], model.embedding[1] + model.embedding_parts[0])
    torch.testing.assert_close(embedding[5], model.embedding[5])
    if model.output is not None and model.output_parts is not None:
        torch.testing.assert_close(output[2], model.output[2] + model.output_parts[1])
    assert torch.equal(embedding, output) == tied == (model.output is None)


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_learned_of_one_symbol_holds_for_those_with_the_same_part(tied: bool) -> None:
    model = build_with_parts(tied=tied)
    inputs = torch.tensor([[0], [0]])
    nats, _ = model.loss(Batch(inputs, torch.tensor([[0], [0]])), model.zero_state(1))
    (shared,) = torch.autograd.grad(nats.sum(), [model.embedding_parts])
    assert shared[0].abs().sum() > 0
    before = model.tables()[0][1].clone()
    with torch.no_grad():
        model.embedding_parts.sub_(shared)
    assert not torch.equal(model.tables()[0][1], before)  # symbol 1 was never seen


def test_stepping_knows_the_parts_too() -> None:
    model = build_with_parts().eval()
    ids = torch.tensor([[0, 2, 1, 5, 2]])
    whole, _ = model.start(ids)
    logits, state = model.start(ids[:, :1])
    for time in range(1, ids.shape[1]):
        logits, state = model.step(ids[:, time], state)
    torch.testing.assert_close(logits, whole, atol=1e-4, rtol=0)


def test_parts_are_no_part_of_the_weights_but_their_rows_are() -> None:
    names = build_with_parts().state_dict().keys()
    assert "parts" not in names
    assert {"embedding_parts", "output_parts"} <= names
    assert not {"embedding_parts", "output_parts"} & build().state_dict().keys()


def test_the_rows_of_parts_are_taken_over_and_new_parts_stay_fresh() -> None:
    old, new = build_with_parts(), LanguageModel(SYMBOLS + 1, ModelSettings(hidden=8, embedding=8), more_parts())
    new.reset_parameters(torch.Generator().manual_seed(9))
    fresh = new.embedding_parts[2].clone()
    new.adopt(old.state_dict(), torch.tensor([*range(SYMBOLS), -1]))
    assert torch.equal(new.embedding_parts[:2], old.embedding_parts)
    assert torch.equal(new.embedding_parts[2], fresh)
    torch.testing.assert_close(new.tables()[0][:SYMBOLS], old.tables()[0])


def more_parts() -> torch.Tensor:
    """The same with one more symbol, which has a part of its own."""
    wider = torch.zeros(SYMBOLS + 1, 3)
    wider[:SYMBOLS, :2] = PARTS
    wider[SYMBOLS, 2] = 1
    return wider


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cell", CELLS)
def test_a_gpu_computes_what_the_processor_computes(cell: str) -> None:
    model, batch = build(cell=cell).eval(), window()
    wanted, _ = model.loss(batch, model.zero_state(3))
    model.cuda()
    nats, _ = model.loss(Batch(batch.inputs.cuda(), batch.targets.cuda()), model.zero_state(3))
    torch.testing.assert_close(nats.cpu(), wanted, atol=1e-3, rtol=0)
