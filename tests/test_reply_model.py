"""The encoder-decoder: a batch means what its pairs mean, stepping is what was trained, and attention sees no padding."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqgen.alphabet import Alphabet
from seqgen.models import ATTENTIONS, CELLS, NO_ATTENTION, Exchanges, ReplyModel
from seqgen.models.attention import Memory, attend
from seqgen.models.layers import State
from seqgen.models.matching import SWIFTNESS
from seqgen.models.reply import ROWS
from seqgen.native.nats import cross_entropy
from seqgen.optimizers import OPTIMIZERS
from seqgen.pair_evaluation import read_pairs
from seqgen.recipe import ModelSettings, TrainingSettings
from seqgen.splits import Split

SYMBOLS = 13
MESSAGES = [[3, 4, 5, 0], [6, 0], [7, 8, 9, 10, 11, 12, 0], [0]]
REPLIES = [[4, 4], [5, 6, 7, 8, 9], [], [3]]
KINDS = (NO_ATTENTION, *ATTENTIONS)


def build(**settings: object) -> ReplyModel:
    chosen = {"hidden": 8, "embedding": 6, "layers": 2, "matching": 0.5, "phrases": True, **settings}
    model = ReplyModel(Alphabet(SYMBOLS), ModelSettings(**chosen))  # type: ignore[arg-type]
    model.reset_parameters(torch.Generator().manual_seed(1))
    model.noise = torch.Generator().manual_seed(2)
    return model.double()


def padded(rows: list[list[int]]) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows]).t()


def batch(places: list[int]) -> Exchanges:
    messages, replies = [MESSAGES[place] for place in places], [REPLIES[place] for place in places]
    lengths = torch.tensor([len(message) for message in messages])
    targets = padded([[*reply, 0] for reply in replies])
    wanted = padded([[1] * (len(reply) + 1) for reply in replies]).bool()
    return Exchanges(padded(messages), lengths, padded([[0, *reply] for reply in replies]), targets, wanted)


@pytest.mark.parametrize(("symbols", "pairs"), [(1, 1), (100, 20), (300, 60), (399, 80), (400, 80), (4000, 80)])
def test_a_look_reads_as_much_as_it_may_from_everywhere(symbols: int, pairs: int) -> None:
    ids = np.tile([0, 1, 2, 0, 3], 80)
    read = read_pairs(build(layers=1).float().eval(), Split(ids, np.flatnonzero(ids == 0), 400), symbols).read
    assert len(read) == pairs and read[0] == 0
    assert np.diff(read, append=80).max() <= math.ceil(80 / pairs)


def nats_of(model: ReplyModel, place: int) -> Tensor:
    return model.loss(batch([place]), State(()))[0]


@pytest.mark.parametrize("attention", KINDS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_a_pair_is_read_in_a_batch_as_it_is_alone(attention: str, cell: str, layers: int) -> None:
    model = build(attention=attention, cell=cell, layers=layers, matching=0.5 if layers == 3 else 0.0).eval()
    places = list(range(len(MESSAGES)))
    together = torch.zeros(padded([[*reply, 0] for reply in REPLIES]).shape, dtype=torch.float64)
    whole = batch(places)
    together[whole.wanted] = model.loss(whole, State(()))[0].to(together)
    for place in places:
        alone = nats_of(model, place).double()
        torch.testing.assert_close(together[: len(alone), place], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("attention", KINDS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_stepping_gives_the_nats_of_teacher_forcing(attention: str, cell: str, layers: int) -> None:
    model = build(attention=attention, cell=cell, layers=layers).eval()
    for place, reply in enumerate(REPLIES):
        logits, state = model.start(torch.tensor([MESSAGES[place]]))
        nats = []
        for symbol in [*reply, 0]:
            nats.append(-float(logits[0].log_softmax(-1)[symbol].detach()))
            logits, state = model.step(torch.tensor([symbol]), state)
        assert nats == pytest.approx(nats_of(model, place).tolist(), abs=1e-6)


@pytest.mark.parametrize("attention", KINDS)
def test_rows_can_be_taken_in_any_order_and_twice_and_messages_without_rows_are_forgotten(attention: str) -> None:
    model = build(attention=attention).eval()
    lengths = torch.tensor([len(message) for message in MESSAGES])
    _, state = model.start(padded(MESSAGES).t(), lengths)
    rows = torch.tensor([2, 0, 2, 2])
    ids = torch.tensor([5, 6, 7, 5])
    logits, chosen = model.step(ids, state.select(rows))
    assert len(chosen.thoughts) == 2
    for place, (row, symbol) in enumerate(zip(rows.tolist(), ids.tolist(), strict=True)):
        _, alone = model.start(torch.tensor([MESSAGES[row]]))
        wanted, _ = model.step(torch.tensor([symbol]), alone)
        torch.testing.assert_close(logits[place], wanted[0], atol=1e-9, rtol=0)


def test_the_reply_depends_on_every_symbol_of_the_message() -> None:
    for attention in KINDS:
        model = build(attention=attention).eval()
        message = [3, 4, 5, 6, 0]
        before = model.start(torch.tensor([message]))[0]
        for place in range(4):
            changed = [*message[:place], 12, *message[place + 1 :]]
            assert (model.start(torch.tensor([changed]))[0] - before).abs().max() > 1e-6


@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_are_a_distribution_over_the_message_and_none_of_the_padding(name: str) -> None:
    attention = ATTENTIONS[name](8).double()
    attention.reset_parameters(torch.Generator().manual_seed(3))
    values = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(4)).double()
    padding = torch.tensor([[False] * 5, [False, False, True, True, True]])
    contexts, weights = attend(attention, values[:, :3], Memory(values, attention.keys(values), padding))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3).double())
    assert (weights[1, :, 2:] == 0).all() and (weights[0] > 0).all()
    torch.testing.assert_close(contexts, weights @ values)


def test_attention_scores_are_those_of_the_papers() -> None:
    query, value = torch.randn(2, 4, generator=torch.Generator().manual_seed(5)).double()
    queries, values = query.view(1, 1, 4), value.view(1, 1, 4)
    for name, attention in ((name, kind(4).double()) for name, kind in ATTENTIONS.items()):
        attention.reset_parameters(torch.Generator().manual_seed(6))
        score = float(attention.scores(queries, attention.keys(values)).detach())
        weights = dict(attention.named_parameters())
        with torch.no_grad():
            if name == "dot":
                expected = query @ value / 2  # the root of their length
            elif name == "general":
                expected = query @ (value @ weights["matrix"]) / 2
            else:
                hidden = (query @ weights["from_query"] + value @ weights["from_value"]).tanh()
                expected = hidden @ weights["weights"]
        assert score == pytest.approx(float(expected))


def assert_same_gradients(model: ReplyModel, one: Tensor, other: Tensor) -> None:
    weights = list(model.parameters())
    ours, theirs = (
        torch.autograd.grad(each.mean(), weights, retain_graph=True, allow_unused=True) for each in (one, other)
    )
    for mine, expected in zip(ours, theirs, strict=True):
        assert (mine is None) == (expected is None)
        if mine is not None and expected is not None:
            torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-4)


def test_dropout_and_smoothing_are_for_training_alone() -> None:
    model = build(hidden_dropout=0.5, output_dropout=0.5, input_dropout=0.3, embedding_dropout=0.3, label_smoothing=0.2)
    first, second = (model.loss(batch([0, 1]), State(()))[0] for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    plain = build().eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model.loss(batch([0, 1]), State(()))[0], plain.loss(batch([0, 1]), State(()))[0])


def test_smoothing_charges_for_being_sure() -> None:
    model = build(label_smoothing=0.2, matching=0.0).train()
    exchanges = batch([0, 1])
    trained = model.loss(exchanges, State(()))[0]
    log_p = model.eval()(exchanges).log_softmax(-1)
    targets = exchanges.targets[exchanges.wanted]
    plain = -log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(trained, plain, atol=1e-6, rtol=0)
    assert_same_gradients(model, trained, 0.8 * plain - 0.2 * log_p.mean(-1))


def test_logits_are_made_in_one_shape_for_different_numbers_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
    model = build(matching=0.0).train()

    def recorded(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        shapes.add((tuple(logits.shape), tuple(targets.shape)))
        return cross_entropy(logits, targets, smoothing)

    monkeypatch.setattr("seqgen.models.reply.cross_entropy", recorded)
    for places in ([0], [0, 1], [0, 1, 3]):
        exchanges = batch(places)
        assert len(model.loss(exchanges, State(()))[0]) == int(exchanges.wanted.sum())
    assert shapes == {((ROWS, model.size), (ROWS,))}


def test_matching_is_the_product_of_what_message_and_reply_mean_to_each_other() -> None:
    model = build().eval()
    whole = batch([0, 2, 3])
    assert model.matching is not None
    state = model.open(whole.messages.t(), whole.lengths)
    together = model.match(state, torch.arange(3), whole.targets, whole.wanted)
    for place, other in enumerate((0, 2, 3)):
        gist = SWIFTNESS * model.matching.replies[[*REPLIES[other], 0]].mean(0)
        alone = model.open(torch.tensor([MESSAGES[other]]))
        assert together is not None and float(together[place]) == pytest.approx(float((alone.thoughts @ gist).detach()))
    assert build(matching=0.0).match(state, torch.arange(3), whole.targets, whole.wanted) is None


def test_training_charges_for_taking_another_message_s_reply() -> None:
    """What it charges is what a softmax over the replies of the batch leaves to the others; the nats it tells are without."""
    model, whole = build().eval(), batch([0, 1, 3])
    assert model.matching is not None
    plain = model.loss(whole, State(()))[0]
    _, thoughts = model.encode(whole.messages, whole.lengths)
    gists = torch.stack([SWIFTNESS * model.matching.replies[[*REPLIES[place], 0]].mean(0) for place in (0, 1, 3)])
    charge = functional.cross_entropy(thoughts @ gists.t(), torch.arange(3))
    trained = model.train().loss(whole, State(()))[0]
    torch.testing.assert_close(trained, plain)
    assert_same_gradients(model, trained, plain + 0.5 * charge)


def test_it_learns_which_reply_belongs_to_which_message() -> None:
    model, whole = build(matching=1.0).float().train(), batch([0, 1, 2, 3])
    optimizers = OPTIMIZERS["muon"](model, TrainingSettings(learning_rate=0.03))
    for _ in range(60):
        model.zero_grad()
        model.loss(whole, State(()))[0].mean().backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
    state = model.eval().open(whole.messages.t(), whole.lengths)
    for row in range(4):
        scores = model.match(state, torch.full((4,), row), whole.targets, whole.wanted)
        assert scores is not None and int(scores.argmax()) == row


@pytest.mark.parametrize("attention", KINDS)
def test_the_gist_is_a_part_of_every_answer_and_not_only_of_the_first_state(attention: str) -> None:
    model, whole = build(attention=attention).eval(), batch([0, 2])
    assert model.matching is not None
    model.bridge.data.zero_()
    before = model.loss(whole, State(()))[0]
    model.matching.messages.data[MESSAGES[2][0]] += 1.0  # only the second message has it
    changed = (model.loss(whole, State(()))[0] != before).tolist()
    owners = torch.arange(2).expand(len(whole.wanted), -1)[whole.wanted].tolist()
    assert changed == [owner == 1 for owner in owners]


def test_dropped_messages_are_read_as_empty_ones_in_training() -> None:
    model, whole = build(message_dropout=0.5, matching=0.0).train(), batch([0, 1, 2, 3])
    dropped = torch.rand(4, generator=torch.Generator().manual_seed(2)) < 0.5
    assert dropped.any() and not dropped.all()
    trained = model.loss(whole, State(()))[0]
    model.eval()
    kept = model.loss(whole, State(()))[0]
    empty = torch.zeros(1, 4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    alone = model.loss(whole._replace(messages=empty[0], lengths=empty[1]), State(()))[0]
    owners = torch.arange(4).expand(len(whole.wanted), -1)[whole.wanted]
    torch.testing.assert_close(trained, torch.where(dropped[owners], alone, kept))


def test_no_message_that_was_dropped_is_matched() -> None:
    model, whole = build(message_dropout=0.5).train(), batch([0, 1, 2, 3])
    assert model.matching is not None
    kept = (torch.rand(4, generator=torch.Generator().manual_seed(2)) >= 0.5).nonzero().flatten()
    trained = model.loss(whole, State(()))[0]
    model.noise = torch.Generator().manual_seed(2)
    reduced, _ = model._drop_messages(whole)
    model.eval()
    plain = model.loss(reduced, State(()))[0]
    _, thoughts = model.encode(reduced.messages, reduced.lengths)
    gists = model.matching.of_replies(whole.targets, whole.wanted)
    charge = functional.cross_entropy((thoughts @ gists.t())[kept], kept)
    assert_same_gradients(model, trained, plain + 0.5 * charge)


def test_a_batch_without_a_message_left_trains_all_the_same() -> None:
    model = build(message_dropout=0.999).train()
    model.loss(batch([0, 1]), State(()))[0].mean().backward()  # type: ignore[no-untyped-call]
    assert all(param.grad is not None and param.grad.isfinite().all() for param in model.parameters())


@pytest.mark.parametrize("most", [1, 1 << 25])
def test_a_gain_is_what_a_message_makes_a_reply_likelier(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("seqgen.models.reply.MOST_LOGITS", most)
    model, whole = build(message_dropout=0.2).eval(), batch([0, 1, 2])
    nats = torch.tensor([float(nats_of(model, place).detach().sum()) for place in range(3)])
    gains = model.gains(nats, whole.targets, whole.wanted)
    assert gains is not None
    for place in range(3):
        single = batch([place])
        nothing = single._replace(messages=torch.zeros(1, 1, dtype=torch.long), lengths=torch.ones(1, dtype=torch.long))
        anyhow = float(model.loss(nothing, State(()))[0].detach().sum())
        assert float(gains[place]) == pytest.approx(anyhow - float(nats[place]), abs=1e-5)
    assert build().gains(nats, whole.targets, whole.wanted) is None
