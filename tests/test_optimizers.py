"""Optimisers: Muon's orthogonal updates, and that every entry of the table learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqgen.alphabet import Alphabet
from seqgen.models import ATTENTIONS, CELLS, MODELS, NO_ATTENTION, Batch, LanguageModel, ReplyModel
from seqgen.optimizers import OPTIMIZERS, Muon, orthogonalize
from seqgen.recipe import ModelSettings, TrainingSettings


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 16, 5), (2, 5, 16)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    blocks = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    singular = torch.linalg.svdvals(orthogonalize(blocks, 5))
    assert singular.shape == (shape[0], min(shape[1:]))
    assert singular.min().item() > 0.5 and singular.max().item() < 1.4


def test_two_iterations_are_enough_for_most_directions_and_the_scale_does_not_count() -> None:
    blocks = torch.randn(2, 64, 96, generator=torch.Generator().manual_seed(1))
    once, again = orthogonalize(blocks, 2), orthogonalize(blocks * 1e-6, 2)
    singular = torch.linalg.svdvals(once)
    assert singular.quantile(0.1).item() > 0.6 and singular.max().item() < 1.3
    torch.testing.assert_close(once, again, rtol=0.01, atol=1e-4)
    assert not orthogonalize(torch.zeros(1, 4, 4), 2).any()  # and nothing that is no number


def test_orthogonalizing_keeps_the_directions() -> None:
    block = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(2))
    u, _, v = torch.linalg.svd(block)
    ours = orthogonalize(block, 8)
    assert nn.functional.cosine_similarity(ours.flatten(), (u @ v).flatten(), dim=0).item() > 0.97


def test_each_gate_is_updated_as_a_matrix_of_its_own() -> None:
    param = nn.Parameter(torch.zeros(12, 6))
    param.grad = torch.randn(12, 6, generator=torch.Generator().manual_seed(3))
    param.grad[:6] *= 1000  # one gate's gradient dwarfs the other's
    Muon([(param, 2)], lr=1.0, weight_decay=0.0, iterations=5, dtype=torch.float32).step()
    first, second = (torch.linalg.norm(block).item() for block in param.detach().chunk(2))
    assert 0.7 < first / second < 1.4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_of_many_matrices_is_updated_as_if_it_were_alone(dtype: torch.dtype) -> None:
    shapes = [((12, 6), 2), ((12, 4), 2), ((12, 6), 2), ((12, 6), 3), ((5, 7), 1)]
    draw = torch.Generator().manual_seed(4)

    def params() -> list[nn.Parameter]:
        return [nn.Parameter(torch.zeros(shape)) for shape, _ in shapes]

    alone, together = params(), params()
    muon = Muon(
        list(zip(together, (blocks for _, blocks in shapes), strict=True)),
        lr=1.0,
        weight_decay=0.1,
        iterations=2,
        dtype=dtype,
    )
    others = [
        Muon([(param, blocks)], lr=1.0, weight_decay=0.1, iterations=2, dtype=dtype)
        for param, (_, blocks) in zip(alone, shapes, strict=True)
    ]
    for _ in range(2):
        for one, other in zip(alone, together, strict=True):
            one.grad = torch.randn(one.shape, generator=draw)
            other.grad = one.grad.clone()
        for optimizer in (muon, *others):
            optimizer.step()
    for one, other in zip(alone, together, strict=True):
        assert one.detach().any()
        torch.testing.assert_close(one.detach(), other.detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_decay_by_the_rate_whatever_their_gradients(dtype: torch.dtype) -> None:
    param = nn.Parameter(torch.ones(8, 4))
    param.grad = torch.zeros(8, 4)
    Muon([(param, 2)], lr=0.5, weight_decay=0.2, iterations=2, dtype=dtype).step(0.5)
    torch.testing.assert_close(param.detach(), torch.full((8, 4), 1 - 0.5 * 0.5 * 0.2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_learns_a_repeating_text(name: str) -> None:
    model = LanguageModel(Alphabet(4), ModelSettings(hidden=16, embedding=4, layers=1))
    model.reset_parameters(torch.Generator().manual_seed(1))
    optimizers = OPTIMIZERS[name](model, TrainingSettings(learning_rate=0.02, matrix_rate=0.05))
    ids = torch.arange(24).remainder(4).reshape(-1, 1)
    batch = Batch(ids[:-1], ids[1:])

    def nats() -> torch.Tensor:
        return model.loss(batch, model.zero_state(1))[0].mean()

    before = nats().item()
    for _ in range(40):
        model.zero_grad()
        nats().backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
    assert nats().item() < 0.2 * before
    for optimizer in optimizers:  # which a training state is held against
        assert {name for known in optimizer.state for name in known} == set(optimizer.remembers)


@pytest.mark.parametrize("network", MODELS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_parameter_belongs_to_exactly_one_optimiser(name: str, network: str) -> None:
    model = MODELS[network](Alphabet(4), ModelSettings(hidden=8, embedding=4))
    optimizers = OPTIMIZERS[name](model, TrainingSettings())
    held = [id(param) for optimizer in optimizers for param in optimizer.params]
    assert sorted(held) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize("attention", [*ATTENTIONS, NO_ATTENTION])
@pytest.mark.parametrize("cell", CELLS)
def test_what_lies_between_hidden_units_is_updated_as_matrices(cell: str, attention: str) -> None:
    model = ReplyModel(
        Alphabet(4), ModelSettings(cell=cell, hidden=8, embedding=6, attention=attention, matching=1.0, phrases=True)
    )
    tables = {"embedding", "output", "matching.messages", "matching.replies", "phrases.table"}
    by_name = {name: param for name, param in model.named_parameters() if param.dim() == 2}
    blocks = {id(param): number for param, number in model.matrices()}
    assert {name for name, param in by_name.items() if id(param) not in blocks} == tables
    rows = {name: len(param) / blocks[id(param)] for name, param in by_name.items() if id(param) in blocks}
    assert rows.pop("combine") == 6
    assert all(each == (4 if "wards" in name else 8) for name, each in rows.items()), rows  # each direction has half


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_as_long_as_its_share_of_the_learning_rate(name: str) -> None:
    moved = []
    for share in (0.0, 0.5, 1.0):
        model = LanguageModel(Alphabet(4), ModelSettings(hidden=16, embedding=4, layers=1))
        model.reset_parameters(torch.Generator().manual_seed(1))
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        ids = torch.arange(24).remainder(4).reshape(-1, 1)
        model.loss(Batch(ids[:-1], ids[1:]), model.zero_state(1))[0].mean().backward()  # type: ignore[no-untyped-call]
        for optimizer in OPTIMIZERS[name](model, TrainingSettings()):
            optimizer.step(share)
        moved.append({key: (tensor - before[key]).norm().item() for key, tensor in model.state_dict().items()})
    assert not any(moved[0].values())
    for key, length in moved[2].items():
        assert moved[1][key] == pytest.approx(length / 2, rel=1e-3)
