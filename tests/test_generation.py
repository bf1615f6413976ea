"""Generation: samples are functions of their index, end where they should, and stream what stays."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import seqgen
from seqgen.api import Loaded
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import DataError, UsageError
from seqgen.generation import TILE, SampleSettings, choose, generate, mix
from seqgen.modalities import MODALITIES
from seqgen.modalities.streaming import TextWriting
from seqgen.tokenizers import DOCUMENT, Opening
from seqgen.tokenizers.bytes import ByteTokenizer
from seqgen.tokenizers.characters import CharacterTokenizer
from seqgen.writing import UNTIL
from tests.trained import trained_on_verse

ALPHABET = "ab .\n"
TOKENIZER = CharacterTokenizer(ALPHABET)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return seqgen.load(trained_on_verse(tmp_path_factory.mktemp("sampled"), steps=300))


def settings(length: int | None = 30, **rules: float) -> SampleSettings:
    return SampleSettings(rules=RuleSettings(**rules), length=length)  # type: ignore[arg-type]


def texts(model: Loaded, count: int, random_seed: int = 7, length: int = 30) -> list[str]:
    return ["".join(sample) for sample in model.samples("the ", settings(length), count, random_seed)]


def test_equal_random_seeds_give_equal_samples_and_others_do_not(model: Loaded) -> None:
    assert texts(model, 1) == texts(model, 1)
    assert texts(model, 1) != texts(model, 1, random_seed=8)


def test_a_sample_of_many_does_not_depend_on_how_many_there_are(model: Loaded) -> None:
    few, many = texts(model, 3), texts(model, TILE + 3)
    assert many[:3] == few
    assert len(set(many)) > TILE


def test_a_last_tile_with_one_sample_is_still_a_tile(model: Loaded) -> None:
    assert texts(model, TILE + 1)[TILE] == texts(model, TILE + 2)[TILE]


def test_a_sole_sample_agrees_with_the_tile_within_float_error(model: Loaded) -> None:
    prompt = [DOCUMENT, *TOKENIZER.encode("ab").tolist()]
    one = list(itertools.islice(generate(model.model, prompt, RuleSettings(), 3, [0]), 40))
    tile = list(itertools.islice(generate(model.model, prompt, RuleSettings(), 3, [0, 1]), 40))
    agree = sum(first[0] == second[0] for first, second in zip(one, tile, strict=True))
    assert agree == 40  # these 40 draws are nowhere near a border


def test_a_definition_goes_on_from_the_midst_of_a_file_and_a_docstring_from_its_beginning(tmp_path: Path) -> None:
    for number in range(8):
        body = "".join(f"\n\n\ndef f{n}(x):\n    return x + {n}" for n in range(number, number + 12))
        (tmp_path / f"{number}.py").write_text(f'"""What {number} is."""{body}\n', encoding="utf-8")
    small: dict[str, dict[str, Any]] = {
        "corpus": {"documents": "file"},
        "model": {"hidden": 32, "embedding": 8},
        "training": {"lanes": 4, "window": 16, "dtype": "float32", "threads": 1},
    }
    model = seqgen.load(seqgen.train(tmp_path, steps=150, settings=small, out=tmp_path / "model").checkpoint)
    prompts = {seed: model.prompt(seed) for seed in ("def ", '"""', "")}
    assert {seed: model.tokenizer.decode(prompt[1:]) for seed, prompt in prompts.items()} == {
        "def ": "\n\n\ndef ",
        '"""': '"""',
        "": "",
    }
    assert all(prompt[0] == DOCUMENT for prompt in prompts.values())
    sample = model.sample("def ", length=40, temperature=0)
    assert "".join(sample).startswith("def ") and sample.text == "def " + sample.continuation


def test_temperature_zero_always_takes_the_likeliest(model: Loaded) -> None:
    drawn = {"".join(model.sample("the ", length=40, temperature=0, random_seed=seed)) for seed in range(3)}
    assert len(drawn) == 1
    ids = [DOCUMENT, *model.tokenizer.encode("the ").tolist()]
    for character in drawn.pop()[4:]:
        logits, _ = model.model.start(torch.tensor([ids]))
        ids.append(int(logits.argmax()))
        assert model.tokenizer.decode(ids[-1:]) == character


def test_top_k_of_one_is_argmax(model: Loaded) -> None:
    greedy = "".join(model.sample("a ", length=30, temperature=0))
    assert "".join(model.sample("a ", length=30, top_k=1, temperature=1.3)) == greedy


def test_drawn_frequencies_are_the_probabilities() -> None:
    logits = torch.tensor([[0.1, 0.6, 0.3, 0.0]]).log().expand(20_000, -1)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    counts = torch.bincount(choose(logits, uniform), minlength=4) / 20_000
    assert counts[3] == 0
    torch.testing.assert_close(counts[:3], torch.tensor([0.1, 0.6, 0.3]), atol=0.015, rtol=0)


def test_the_edges_of_the_random_numbers_draw_symbols_that_are_not_masked() -> None:
    logits = torch.tensor([[-torch.inf, 1.0, 2.0, -torch.inf]]).expand(2, -1)
    assert choose(logits, torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)).tolist() == [1, 2]


def test_generators_of_neighbouring_indices_are_unrelated() -> None:
    assert len({mix(seed, index) for seed in range(30) for index in range(30)}) == 900


@pytest.mark.parametrize("length", [0, 1, 17])
def test_length_counts_characters_and_not_the_seed(model: Loaded, length: int) -> None:
    sample = model.sample("the ", length=length, temperature=0.3, random_seed=1)
    assert len("".join(sample)) == 4 + length
    assert sample.stopped_by == "length"


def test_a_stop_text_ends_the_sample_before_it(model: Loaded) -> None:
    sample = model.sample("the ", length=500, stop=("\n",), random_seed=2)
    text = "".join(sample)
    assert "\n" not in text and sample.stopped_by == "stop" and len(text) < 200


def test_without_a_length_a_sample_ends_with_a_sentence(model: Loaded) -> None:
    sample = model.sample(random_seed=2, temperature=0.5)
    text = "".join(sample)
    assert sample.stopped_by in ("sentence", "document") and text.endswith(".")


def test_the_pieces_of_a_stream_are_the_text(model: Loaded) -> None:
    sample = model.sample("the ", length=50, stop=("fox sings", "zzz"), random_seed=5)
    assert "".join(sample) == sample.text == "the " + sample.continuation


def test_unknown_characters_in_a_seed_work_and_are_named(model: Loaded) -> None:
    assert model.unknown("the \N{SNOWMAN} \N{SNOWMAN}ß") == ["\N{SNOWMAN}", "ß"]
    assert "".join(model.sample("\N{SNOWMAN} the ", length=5)).startswith("\N{SNOWMAN} the ")


def test_a_seed_with_half_a_pair_is_refused(model: Loaded) -> None:
    with pytest.raises(DataError, match="character 1 is half"):
        model.sample("a\ud800")


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": 0},
        {"min_p": -0.1},
        {"temperature": float("nan")},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(model: Loaded, wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        model.sample("a", **wrong)  # type: ignore[arg-type]


def test_score_is_the_surprise_of_each_symbol(model: Loaded) -> None:
    score = model.score("the old fox")
    assert "".join(score.symbols) == "the old fox" and len(score.nats) == 11
    logits, _ = model.model.start(torch.tensor([[DOCUMENT]]))
    first = -logits.log_softmax(-1)[0, int(model.tokenizer.encode("t")[0])].item()
    assert score.nats[0] == pytest.approx(first, abs=1e-4)
    assert score.nats_per_symbol < model.score("xof dlo eht").nats_per_symbol
    assert model.score("").nats_per_symbol == 0


def written(text: str, sample_settings: SampleSettings, kind: str = "text") -> tuple[str, str | None, str]:
    writing = TextWriting(MODALITIES[kind], TOKENIZER, sample_settings, Opening([]))
    shown = "".join(writing.feed(int(symbol)) for symbol in TOKENIZER.encode(text))
    return writing.text, writing.stopped_by, shown


def test_a_stop_text_is_found_across_symbols_and_never_shown() -> None:
    assert written("aaab a", SampleSettings(stop=("aab",))) == ("a", "stop", "a")


@given(
    symbols=st.lists(st.integers(0, 255), max_size=60),
    size=st.integers(2, 40),
    stops=st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3),
    length=st.integers(0, 40),
    until=st.sampled_from([None, *UNTIL]),
)
@pytest.mark.parametrize("tokenizer", [TOKENIZER, ByteTokenizer()])
def test_blocks_of_symbols_are_taken_as_one_by_one(
    tokenizer: Any, symbols: list[int], size: int, stops: list[str], length: int, until: str | None
) -> None:
    ids = [symbol % tokenizer.size for symbol in symbols]
    limits = SampleSettings(length=length, stop=tuple(stops), until=until)
    one, other = (TextWriting(MODALITIES["text"], tokenizer, limits, Opening([])) for _ in range(2))
    shown = "".join(one.feed(symbol) for symbol in ids)
    in_blocks = "".join(other.feed_all(ids[at : at + size]) for at in range(0, len(ids), size))
    assert (shown, one.text, one.written, one.stopped_by, one.ids) == (
        in_blocks,
        other.text,
        other.written,
        other.stopped_by,
        other.ids,
    )


@pytest.mark.parametrize(
    ("until", "text", "wanted", "reason"),
    [
        ("line", "\n\na b. a\nb", "\n\na b. a", "line"),
        ("line", "a b. a b", "a b. a b", None),
        ("sentence", "a b. a b", "a b.", "sentence"),
        ("document", "a b. a\n\nb.\n" * 80, "a b. a\n\nb.\n" * 80, None),
    ],
)
def test_a_text_ends_where_it_is_to(until: str, text: str, wanted: str, reason: str | None) -> None:
    assert written(text, SampleSettings(until=until)) == (wanted, reason, wanted.rstrip() if reason is None else wanted)


def test_a_text_that_never_ends_is_cut_somewhere() -> None:
    for until in UNTIL:
        text, reason, _ = written("ab" * 60_000, SampleSettings(until=until))
        assert reason == "length" and 100_000 <= len(text) < 101_000


def test_nothing_ends_by_itself_before_the_least_length_but_at_a_stop_text() -> None:
    assert written("a. a. a.\na b", SampleSettings(until="line", min_length=9))[1] is None
    assert written("a. a. a. b", SampleSettings(until="sentence", min_length=4))[:2] == ("a. a.", "sentence")
    assert written("a. a. a. b", SampleSettings(min_length=8, stop=("b",)))[1] == "stop"
    with pytest.raises(UsageError, match="above the length"):
        SampleSettings(length=5, min_length=6)


@given(
    text=st.text(ALPHABET, max_size=60),
    stops=st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3),
    length=st.integers(0, 40),
)
def test_what_is_shown_is_the_text_up_to_the_first_end(text: str, stops: list[str], length: int) -> None:
    ends = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0] + [(length, length)]
    full, stopped_by, shown = written(text, SampleSettings(length=length, stop=tuple(stops)))
    wanted = text[: min(ends)[1]]  # what is complete first
    if stopped_by:
        assert full == shown == wanted
    else:
        assert full == text and full.startswith(shown)


def test_bytes_that_are_no_text_stay_as_they_are_before_a_stop() -> None:
    tokenizer = ByteTokenizer()
    writing = TextWriting(MODALITIES["text"], tokenizer, SampleSettings(stop=("end",)), Opening([]))
    for byte in b"a\xff\xe2\x82b, end of it":
        writing.feed(byte + 1)
    assert (writing.written, writing.text, writing.stopped_by) == (b"a\xff\xe2\x82b, ", "a\ufffd\ufffdb, ", "stop")


def test_a_document_symbol_ends_a_sample() -> None:
    writing = TextWriting(MODALITIES["text"], TOKENIZER, SampleSettings(), Opening([]))
    for symbol in [*TOKENIZER.encode("ab ").tolist(), DOCUMENT, *TOKENIZER.encode("b").tolist()]:
        writing.feed(symbol)
    assert (writing.text, writing.stopped_by) == ("ab ", "document")


def test_a_sample_without_an_end_is_cut_at_the_hard_limit() -> None:
    limit = 5 * MODALITIES["text"].unit_length
    text, stopped_by, _ = written("ab" * 2000, SampleSettings())
    assert stopped_by == "length" and len(text) == limit + 200
    text, stopped_by, _ = written("ab" * 800 + "\n" + "ab" * 800, SampleSettings())
    assert stopped_by == "length" and text == "ab" * 800 + "\n"


def test_a_checkpoint_is_found_by_path_object(model: Loaded) -> None:
    assert isinstance(seqgen.load(Path(model.checkpoint.folder)), Loaded)


def masks_of(first: Any) -> Any:
    """Asked again and again: a mask, and then none."""
    masks = itertools.chain([first], itertools.repeat(None))
    return lambda: next(masks)


@pytest.mark.parametrize("indices", [[0], [0, 1, 2]])
def test_what_comes_first_is_allowed_and_later_symbols_are_free(model: Loaded, indices: list[int]) -> None:
    allowed = np.zeros(model.tokenizer.size, dtype=np.bool_)
    allowed[[20, 21]] = True
    for random_seed in range(10):
        drawn = list(
            itertools.islice(
                generate(model.model, [DOCUMENT], RuleSettings(), random_seed, indices, masks_of(allowed)), 8
            )
        )
        assert set(drawn[0]) <= {20, 21}
        assert not {symbol for row in drawn[1:] for symbol in row} <= {20, 21}


@pytest.mark.parametrize("taken_back", [b" ", b" n", b" na"])
def test_what_was_taken_back_from_a_seed_is_not_written_again(taken_back: bytes) -> None:
    tokenizer = ByteTokenizer()
    writing = TextWriting(MODALITIES["text"], tokenizer, SampleSettings(length=4), Opening([], None, taken_back))
    for symbol in tokenizer.encode(" name(self)").tolist():
        writing.feed(symbol)
    assert writing.text == " name(self)"[len(taken_back) :][:4]
