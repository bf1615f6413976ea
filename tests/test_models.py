"""Models: the stepping cells against the fused kernels and against the equations, dropout, and states."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from seqgen.alphabet import NOBODY, Alphabet, Meaning, registers_of
from seqgen.models import CELLS, MODELS, Batch, LanguageModel, State
from seqgen.models.layers import RecurrentLayer, keep_mask, weight_mask
from seqgen.recipe import ModelSettings

SYMBOLS = 11


def build(**settings: object) -> LanguageModel:
    model = LanguageModel(Alphabet(SYMBOLS), ModelSettings(**{"hidden": 8, "embedding": 5, "layers": 2, **settings}))  # type: ignore[arg-type]
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
    mask = weight_mask(layer.recurrent.shape, 0.5, noise)
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


@pytest.mark.parametrize("keep", [keep_mask, weight_mask])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_dropout_keeps_the_mean(keep: Callable[..., torch.Tensor], share: float) -> None:
    mask = keep(torch.Size((1999, 301)), share, torch.Generator().manual_seed(1))
    assert mask.dtype == torch.float32 and mask.shape == (1999, 301)
    assert abs(mask.mean().item() - 1) < 0.04
    assert abs((mask == 0).float().mean().item() - share) < 0.004
    assert len(set(mask.flatten().tolist())) == 2, "a number is kept or not"


@pytest.mark.parametrize(("share", "dropped"), [(1e-9, 1), (0.999999, 255)])
def test_a_share_that_no_byte_says_is_neither_nothing_nor_all(share: float, dropped: int) -> None:
    mask = weight_mask(torch.Size((1 << 18,)), share, torch.Generator().manual_seed(1))
    assert (mask == 0).float().mean().item() == pytest.approx(dropped / 256, rel=0.1)


def test_bytes_that_are_drawn_together_say_different_things() -> None:
    noise = torch.Generator().manual_seed(1)
    first, second = (weight_mask(torch.Size((100_000, 8)), 0.5, noise) > 0 for _ in range(2))
    for one, other in [(first, second), *itertools.combinations(first.unbind(1), 2)]:
        assert abs((one == other).float().mean().item() - 0.5) < 0.01


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
    one, two = (MODELS[name](Alphabet(SYMBOLS), ModelSettings(hidden=8, embedding=5)) for _ in range(2))
    for model in (one, two):
        model.reset_parameters(torch.Generator().manual_seed(7))
    assert all(torch.equal(first, second) for first, second in zip(one.parameters(), two.parameters(), strict=True))


PARTS = np.array([[1, 0], [1, 0], [0, 1], *[[0, 0]] * (SYMBOLS - 3)], dtype=np.float32)
"""Symbols 0 and 1 share a part, 2 has another, the rest have none."""


def build_with_parts(**settings: object) -> LanguageModel:
    model = LanguageModel(Alphabet(SYMBOLS, PARTS), ModelSettings(**{"hidden": 8, "embedding": 8, **settings}))  # type: ignore[arg-type]
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
    old, new = (
        build_with_parts(),
        LanguageModel(Alphabet(SYMBOLS + 1, more_parts()), ModelSettings(hidden=8, embedding=8)),
    )
    new.reset_parameters(torch.Generator().manual_seed(9))
    fresh = new.embedding_parts[2].clone()
    new.adopt(old.state_dict(), torch.tensor([*range(SYMBOLS), -1]))
    assert torch.equal(new.embedding_parts[:2], old.embedding_parts)
    assert torch.equal(new.embedding_parts[2], fresh)
    torch.testing.assert_close(new.tables()[0][:SYMBOLS], old.tables()[0])


def more_parts() -> npt.NDArray[np.float32]:
    """The same with one more symbol, which has a part of its own."""
    wider = np.zeros((SYMBOLS + 1, 3), dtype=np.float32)
    wider[:SYMBOLS, :2] = PARTS
    wider[SYMBOLS, 2] = 1
    return wider


SUNG = [
    *(Meaning(tonic=tonic, facts={"key": mode}) for tonic, mode in ((0, "major"), (7, "minor"))),
    *(Meaning(facts={"bar": left}, begins_step=True, turn=0) for left in ("1", "2")),
    *(Meaning(0, pitch, turn=1) for pitch in (67, 69, 74)),
    *(Meaning(1, pitch) for pitch in (60, 62, 72)),
]
"""Words of two voices, as many as there are symbols beside that of the document."""


def build_with_registers(meanings: Sequence[Meaning] = SUNG, seed: int = 1, **settings: object) -> LanguageModel:
    """A model whose experts all have something to say."""
    tables = registers_of(meanings, 2, ("key", "bar"), [("key", "bar")])
    parts = np.zeros((len(meanings) + 1, 2), dtype=np.float32)
    parts[:SYMBOLS] = PARTS
    alphabet = Alphabet(len(meanings) + 1, parts, tables)
    model = LanguageModel(alphabet, ModelSettings(**{"hidden": 8, "embedding": 8, "layers": 2, **settings}))  # type: ignore[arg-type]
    draw = torch.Generator().manual_seed(seed)
    model.reset_parameters(draw)
    assert model.experts is not None and model.experts.progressions is not None
    for table in (*model.experts.degrees, model.experts.progressions):
        table.data.normal_(generator=draw)
    return model


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_stepping_follows_registers_as_a_whole_window_does(cell: str, tied: bool) -> None:
    model = build_with_registers(cell=cell, tied=tied).eval()
    batch = window(time=40)
    whole, whole_state = model(batch.inputs, model.zero_state(3))
    state = model.zero_state(3)
    for inputs, wanted in zip(batch.inputs, whole, strict=True):
        logits, state = model.step(inputs, state)
        torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(*each) for each in zip(state.registers, whole_state.registers, strict=True))
    first, state = model(batch.inputs[:17], model.zero_state(3))
    second, state = model(batch.inputs[17:], state.detach())
    torch.testing.assert_close(torch.cat([first, second]), whole)
    assert all(torch.equal(*each) for each in zip(state.registers, whole_state.registers, strict=True))
    forgetful = State(model(batch.inputs[:17], model.zero_state(3))[1].layers, model.zero_state(3).registers)
    assert not torch.allclose(model(batch.inputs[17:], forgetful)[0], whole[17:], atol=1e-2)


def test_what_registers_hold_is_a_part_of_the_state() -> None:
    model = build_with_registers().eval()
    ids = torch.tensor([[1, 3, 5, 8], [2, 4, 6, 9], [1, 4, 7, 10]])
    _, state = model.start(ids)
    values, before = state.registers
    assert values.tolist() == [[68, 61, 1, 1, 1], [70, 63, 8, 2, 2], [75, 73, 1, 1, 2]]
    assert before.tolist() == [[0, 0]] * 3
    _, state = model.step(torch.tensor([3, 3, 3]), state)
    assert state.registers[1].tolist() == [[68, 61], [70, 63], [75, 73]]
    tensors = state.tensors()
    assert torch.equal(tensors["registers.0"], state.registers[0])
    assert torch.equal(tensors["registers.1"], state.registers[1])
    again = model.zero_state(3).with_tensors(tensors)
    chosen = again.detach().select(torch.tensor([2, 0, 2]))
    assert [each.tolist() for each in chosen.registers] == [each[[2, 0, 2]].tolist() for each in state.registers]
    assert [each.dtype for each in chosen.registers] == [torch.int64] * 2
    symbols = torch.tensor([5, 6, 7])
    logits, _ = model.step(symbols, chosen)
    for row, source in enumerate([2, 0, 2]):
        prompt = torch.cat([ids[source], torch.tensor([3, symbols[row]])])
        torch.testing.assert_close(logits[row], model.start(prompt[None])[0][0], atol=1e-4, rtol=1e-4)
    assert not [name for name in build().zero_state(1).tensors() if name.startswith("registers")]


def test_what_symbols_mean_is_no_part_of_the_weights_but_the_experts_are() -> None:
    model = build_with_registers()
    assert model.experts is not None
    weights = model.state_dict()
    names = {name for name in weights if name.startswith(("experts", "registers"))}
    assert names == {f"experts.{name}" for name, _ in model.experts.named_parameters()}
    assert {name.split(".")[1] for name in names} == {"inputs", "outputs", "progressions", "degrees"}
    assert not [name for name in build().state_dict() if name.startswith(("experts", "registers"))]
    other = build_with_registers(seed=2)
    other.load_state_dict(weights)
    inputs = window().inputs
    assert torch.equal(other(inputs, other.zero_state(3))[0], model(inputs, model.zero_state(3))[0])


MORE = [*SUNG, Meaning(1, 76), Meaning(0, 50, facts={"bar": "3"}, turn=NOBODY)]
"""One word with a pitch beyond the others, and one with a fact of another value."""


@pytest.mark.parametrize("tied", [False, True])
def test_experts_are_taken_over_and_what_is_new_to_them_stays_fresh(tied: bool) -> None:
    old, new, fresh = (build_with_registers(*each, tied=tied) for each in ((SUNG, 1), (MORE, 2), (MORE, 2)))
    new.adopt(old.state_dict(), torch.tensor([*range(SYMBOLS), -1, -1]))
    inputs = window(time=30).inputs
    wanted, _ = old(inputs, old.zero_state(3))
    logits, _ = new(inputs, new.zero_state(3))
    torch.testing.assert_close(logits[..., :SYMBOLS], wanted)
    grown = set()
    for name, tensor in fresh.state_dict().items():
        known = tuple(map(slice, old.state_dict()[name].shape))
        assert torch.equal(new.state_dict()[name][known], old.state_dict()[name])
        tensor[known] = new.state_dict()[name][known]
        assert torch.equal(new.state_dict()[name], tensor)
        grown |= {name} if tensor.shape != old.state_dict()[name].shape else set()
    own = set() if tied else {"output"}
    assert grown == {"embedding", "output_bias", "experts.inputs.4", "experts.degrees.0"} | own


def test_all_experts_learn() -> None:
    model = build_with_registers()
    assert model.experts is not None
    nats, _ = model.loss(window(time=60), model.zero_state(3))
    nats.sum().backward()  # type: ignore[no-untyped-call]
    for name, param in model.experts.named_parameters():
        assert param.grad is not None and bool(param.grad.any()), name


def test_equal_generators_make_equal_experts() -> None:
    one, two, three = (
        LanguageModel(
            Alphabet(SYMBOLS, None, registers_of(SUNG, 2, ("key", "bar"), [("key",)])), ModelSettings(hidden=8)
        )
        for _ in range(3)
    )
    for model, seed in ((one, 7), (two, 7), (three, 8)):
        for param in model.parameters():  # what stands there before has no say
            param.data.fill_(torch.nan)
        model.reset_parameters(torch.Generator().manual_seed(seed))
    assert one.experts is not None and two.experts is not None and three.experts is not None
    tables = [*zip(one.experts.parameters(), two.experts.parameters(), three.experts.parameters(), strict=True)]
    assert all(torch.equal(first, second) for first, second, _ in tables)
    assert all(not torch.equal(first, other) or not first.any() for first, _, other in tables)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cell", CELLS)
def test_a_gpu_computes_what_the_processor_computes(cell: str) -> None:
    model, batch = build(cell=cell).eval(), window()
    wanted, _ = model.loss(batch, model.zero_state(3))
    model.cuda()
    nats, _ = model.loss(Batch(batch.inputs.cuda(), batch.targets.cuda()), model.zero_state(3))
    torch.testing.assert_close(nats.cpu(), wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("make", [build, build_with_parts, build_with_registers])
def test_scaling_logits_scales_them_and_nothing_else(make: Callable[..., LanguageModel], tied: bool) -> None:
    model = make(tied=tied, embedding=8, layers=2).eval()
    batch = window(time=9)
    before, state = model(batch.inputs, model.zero_state(3))
    stepped, _ = model.step(batch.targets[-1], state)
    model.scale_logits(0.8)
    after, now = model(batch.inputs, model.zero_state(3))
    torch.testing.assert_close(after, 0.8 * before)
    for name, tensor in state.tensors().items():
        torch.testing.assert_close(now.tensors()[name], tensor)
    torch.testing.assert_close(model.step(batch.targets[-1], now)[0], 0.8 * stepped)
