"""Many samples at once: each is what its index says, whichever way it is drawn."""

from __future__ import annotations

import itertools
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

import seqgen
from seqgen import sampling
from seqgen.api import Loaded
from seqgen.decoding import rules
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import UsageError
from seqgen.generation import SampleSettings
from seqgen.native import streams
from seqgen.native.streams import is_available
from seqgen.sampling import CHUNK, ground_of
from seqgen.tokenizers import Opening
from tests.trained import SMALL, trained_on_verse

needs_compiler = pytest.mark.skipif(not is_available(), reason="needs a C compiler")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return seqgen.load(trained_on_verse(tmp_path_factory.mktemp("sampled")))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return seqgen.load(
        trained_on_verse(tmp_path_factory.mktemp("pieces"), tokenizer={"kind": "bpe", "vocabulary": 300})
    )


@pytest.fixture(params=["native", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to draw, one after the other."""
    if request.param == "torch":
        monkeypatch.setattr(sampling, "is_available", lambda: False)
    elif not is_available():
        pytest.skip("needs a C compiler")
    return str(request.param)


def settings(length: int | None = 30, **more: Any) -> SampleSettings:
    bent = {name: more.pop(name) for name in list(more) if name in RuleSettings.__dataclass_fields__}
    return SampleSettings(rules=RuleSettings(**bent), length=length, **more)


def texts(model: Loaded, wanted: SampleSettings, indices: range | list[int], seed: str = "the ") -> list[str]:
    return [sample.text for sample in model.samples(seed, wanted, 1, 7, indices)]


def test_the_way_is_named(model: Loaded, way: str) -> None:
    one = next(model.samples("a", settings(), 1))
    many = list(model.samples("a", settings(), 2))
    paths = ("native", "native") if way == "native" else ("single", "tile")
    assert (one.path, many[1].path) == paths
    assert one.precision == "float32" and one.divergence is None
    assert (many[0].divergence is None) == (many[0].precision == "float32")


def test_any_one_of_many_can_be_had_again_by_its_index(model: Loaded, way: str) -> None:
    count = CHUNK + 5
    many = texts(model, settings(), range(count))
    assert len(set(many)) == count
    for index in (0, 3, CHUNK - 1, CHUNK, count - 1):
        assert texts(model, settings(), [index]) == [many[index]]
    assert texts(model, settings(), range(5)) == many[:5]


def test_samples_come_in_order_with_their_numbers(model: Loaded, way: str) -> None:
    samples = list(model.samples("the ", settings(None), 3 * CHUNK, 1))
    assert [sample.index for sample in samples] == list(range(3 * CHUNK))
    assert all(sample.stopped_by for sample in samples)
    assert [sample.seconds for sample in samples] == sorted(sample.seconds for sample in samples)


@needs_compiler
def test_float32_is_the_same_alone_and_among_many(model: Loaded) -> None:
    exact = settings(precision="float32")
    (alone,) = model.samples("the ", exact, 1, 7)
    "".join(alone)
    assert alone.text == texts(model, exact, range(3))[0]


@needs_compiler
def test_both_ways_draw_the_same(model: Loaded, pieces: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    bent = {
        "top_k": 30,
        "top_p": 0.98,
        "no_repeat": 6,
        "ban": ("fox",),
        "prefer": ("old",),
        "repetition_penalty": 1.05,
    }
    variants: list[dict[str, Any]] = [{}, bent, {"final_temperature": 1.5}]
    cases = [
        (loaded, settings(60, **some, precision="float32"))
        for loaded, some in itertools.product((model, pieces), variants)
    ]
    native = [texts(loaded, wanted, range(4)) for loaded, wanted in cases]
    monkeypatch.setattr(sampling, "is_available", lambda: False)
    torch_ = [texts(loaded, wanted, range(4)) for loaded, wanted in cases]
    same = sum(
        one == other
        for ours, theirs in zip(native, torch_, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    )
    assert same >= 22, "of 24: a draw may lie so near a border that rounding decides"


def test_the_first_symbol_goes_on_within_a_piece(pieces: Loaded, way: str) -> None:
    for text in texts(pieces, settings(20), range(6), seed="the ol"):
        assert text.startswith("the ol") and len(text) == 26


def test_banned_texts_never_come_and_preferred_ones_more_often(model: Loaded, pieces: Loaded, way: str) -> None:
    for loaded in (model, pieces):
        free = " ".join(texts(loaded, settings(200), range(20), seed=". "))
        ((word, _),) = Counter(re.findall(r"\b[a-z]{3,}\b", free)).most_common(1)
        without = " ".join(texts(loaded, settings(200, ban=(word,)), range(20), seed=". "))
        assert word not in without
        more = " ".join(texts(loaded, settings(200, prefer=(word,)), range(20), seed=". "))
        assert more.count(word) > 1.3 * free.count(word)


def test_a_ban_reaches_over_the_border_of_the_seed(model: Loaded, way: str) -> None:
    wanted = settings(1, ban=("the",))
    assert not any(text.endswith("the") for text in texts(model, wanted, range(60), seed="th"))


def test_no_document_ends_before_the_least_length(tmp_path: Path, way: str) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(["a b c", "b c a", "c a b d"] * 200), encoding="utf-8")
    # nothing is dropped: it is to know where lines end
    undropped = dict.fromkeys(("hidden_dropout", "output_dropout", "weight_dropout"), 0.0)
    settled = {**SMALL, "model": {**SMALL["model"], **undropped}, "corpus": {"documents": "line"}}
    outcome = seqgen.train(tmp_path / "lines.txt", steps=150, settings=settled, out=tmp_path / "model")
    lines = seqgen.load(outcome.checkpoint)
    short = texts(lines, settings(None, until="document"), range(20), seed="")
    assert max(map(len, short)) < 12
    long = texts(lines, settings(None, until="document", min_length=20), range(20), seed="")
    assert min(map(len, long)) >= 20


def test_what_a_seed_holds_already_is_not_counted_as_written(pieces: Loaded, way: str) -> None:
    opening = pieces.tokenizer.reopen(pieces.prompt("the ol"))
    assert opening.taken_back
    assert ground_of(pieces.tokenizer, settings(), opening).given == len(opening.taken_back.decode())


def test_what_is_asked_for_in_python_is_what_the_sample_has(model: Loaded, way: str) -> None:
    asked = {"length": 80, "min_length": 5, "until": "line", "top_k": 9, "ban": ["e"], "prefer": ["oo"], "stop": ["zz"]}
    sample = model.sample("the ", random_seed=4, temperature=0.9, **asked)  # type: ignore[arg-type]
    bent = RuleSettings(0.9, top_k=9, ban=("e",), prefer=("oo",))
    same = SampleSettings(length=80, min_length=5, until="line", stop=("zz",), rules=bent)
    assert "".join(sample) == "".join(next(model.samples("the ", same, 1, 4)))
    assert "e" not in sample.continuation and seqgen.SampleSettings is SampleSettings


def test_of_no_samples_there_are_none(model: Loaded, way: str) -> None:
    assert list(model.samples("a", settings(), 0)) == []


def test_a_slope_needs_a_length(model: Loaded, way: str) -> None:
    with pytest.raises(UsageError, match="Give -n"):
        next(model.samples("a", settings(None, final_temperature=1.2), 1))


def test_a_precision_that_is_not_to_be_had_is_refused(model: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown precision"):
        settings(precision="int4")
    monkeypatch.setattr(sampling, "is_available", lambda: False)
    with pytest.raises(UsageError, match="needs the compiled path"):
        next(model.samples("a", settings(precision="int8"), 1))


def way_for(model: Loaded, symbols: int, wanted: SampleSettings) -> str:
    opening = Opening([0] * symbols)
    task = sampling.Task(model.model, opening, wanted, ground_of(model.tokenizer, wanted, opening), 0)
    return sampling.choose_way(task, False).path


@needs_compiler
def test_a_long_seed_that_is_recalled_is_left_to_torch(model: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.model, "recall", torch.zeros(1))
    assert way_for(model, 200, settings()) == "single"
    assert way_for(model, 20, settings()) == way_for(model, 200, settings(recall=False)) == "native"


@needs_compiler
def test_a_rule_and_a_cell_that_the_compiled_path_does_not_know_are_left_to_torch(
    model: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(streams.RULES) == set(rules.RULES), (
        "what is missing there is slower; what is too much there is a mistake"
    )
    monkeypatch.setitem(rules.RULES, "new", lambda settings, ground: lambda logits, history: logits)
    assert way_for(model, 3, settings()) == "single"
    monkeypatch.delitem(rules.RULES, "new")
    assert way_for(model, 3, settings()) == "native"
    monkeypatch.setattr(streams, "CELLS", ("gru", "rnn"))
    assert way_for(model, 3, settings()) == "single"


def test_ranked_samples_are_as_surprising_as_real_text(model: Loaded) -> None:
    wanted = settings(60, temperature=0.4)
    everything = model.ranked("the ", wanted, 24, 24, 5)
    typical = model.typical_nats()
    distances = [abs((sample.nats_per_symbol or 0) - typical) for sample in everything]
    assert distances == sorted(distances) and distances[0] < distances[-1]
    best = model.ranked("the ", wanted, 2, 24, 5)
    assert [sample.index for sample in best] == [sample.index for sample in everything[:2]]
    assert texts(model, wanted, [best[0].index]) != [best[1].text]
    again = next(model.samples("the ", wanted, 1, 5, [best[0].index]))
    assert again.text == best[0].text
    score = model.score(best[0].text, recall=False)
    continuation = score.nats[4:]
    alone = sum(continuation) / len(continuation)
    assert alone == pytest.approx(best[0].nats_per_symbol, abs=1e-3)


def test_music_refuses_texts(tmp_path: Path) -> None:
    class Silent:
        def writes(self) -> list[bytes]:
            return []

        def phrase(self, text: str) -> bytes:
            return b""

    with pytest.raises(UsageError, match="--ban is for text"):
        ground_of(Silent(), settings(ban=("C4",)), Opening([]))  # type: ignore[arg-type]


@needs_compiler
def test_interrupted_it_hands_out_what_has_begun_and_nothing_else(model: Loaded) -> None:
    wanted = settings(20_000, min_length=20_000)
    opening = model.tokenizer.reopen(model.prompt("the "))
    task = sampling.Task(model.model, opening, wanted, ground_of(model.tokenizer, wanted, opening), 0)
    modality = model.modality
    writings = (
        (index, modality.writing(modality, model.tokenizer, wanted, opening, "the ")) for index in range(20 * CHUNK)
    )
    groups = sampling.choose_way(task, True).many(task, writings)
    next(groups)
    handed = [groups.throw(KeyboardInterrupt())]  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        handed.extend(groups)
    assert handed and len(handed) < 19
    assert all(writing.ids and writing.is_done() for group in handed for _, writing in group)


@needs_compiler
def test_who_stops_early_leaves_no_thread_behind(model: Loaded) -> None:
    before = threading.active_count()
    samples = model.samples("the ", settings(400), 40 * CHUNK, 3)
    next(samples)
    samples.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
