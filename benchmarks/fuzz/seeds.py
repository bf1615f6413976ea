"""Seeds of music and what is wanted of a sample: made by a grammar and damaged, then sampled by all tokenizers of music."""

from __future__ import annotations

import contextlib
import functools
import json
import random
import zlib
from collections.abc import Sequence
from typing import Any

from fuzz.damage import damaged
from fuzz.target import Case, Target, text_case
from seqgen.errors import SeqgenError
from seqgen.modalities import MODALITIES
from seqgen.recipe import TokenizerSettings, parse_duration
from seqgen.scores import notation
from seqgen.session.answers import fields_of, rules_of
from seqgen.session.settings import OF_WRITING, find_setting, written
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Opening, Tokenizer
from seqgen.writing import Limits, Rendering

MOST = 60
"""Symbols that are drawn of a sample."""
SECONDS = "time"
"""What is wanted that is no setting of a sample: a duration, as `--time` takes it."""
LEARNED = (
    "key: G major\nmetre: 4/4\nSoprano: G4 A4 B4 C5 | D5:2 G4:2\nAlto: D4:4 | B3:2 D4:2\n"
    "Tenor: B3:2 C4:2 | G3:4\nBass: G2:4 | D3:2 G2:2",
    "key: E minor\nmetre: 3/4\nSoprano: E5 F#5 G5 | A5:3\nAlto: B4:3 | C5:1.5 A4:1.5\n"
    "Tenor: G4:3 | E4:3\nBass: E3:3 | A2:3",
)
"""What the tokenizers are built from."""
TUNE = ("key: G major\nmetre: 4/4\nTune: G4 A4 B4 C5 | D5:2 G4:2 |]",)
TINY = "tinynotation:"
_WHOLE = ("1", "2", "3", "8", "40", "127")
_PART = ("0.1", "0.5", "0.99", "1")
FITTING: dict[str, tuple[str, ...]] = {
    "key": ("G major", "Gm", "e minor", "E minor", "C# min", "Cb", "G MAJ", "f#M", " d  major "),
    "range": ("C3-C6", "C2-C7", "C-1-G9", "G4-G4", "60-72", "0-127", "c3 - c5", "B3-C4", "D4-D4", "E2-G5"),
    "metre": ("4/4", "3/4", "03/4", "99/32", "6/8", "1/32", "\u0664/4"),
    "bars": (*_WHOLE, "2147483647"),
    "length": ("0", *_WHOLE),
    "temperature": ("0", "1", "0.5..1.2", "1e-9", "1e9"),
    "tempo": ("5", "96", "1000"),
    "transpose": ("-12", "-127", "1", "5", "60"),
    "program": ("0", "127"),
    "top-p": _PART,
    "top-k": _WHOLE,
    "min-p": _PART,
    "repetition-penalty": ("1", "1.5", "1e300"),
    "no-repeat": _WHOLE,
    "count": ("1", "100"),
    "random-seed": ("0", "9" * 99),
    "precision": ("auto", "int8"),
    "recall": ("on", "off"),
    "stop": ("a", '"a" "b"', '"\\ud800"'),
    "ban": ("a", '"a" "b"'),
    "until": ("line", "document"),
    "soundfont": ("a.sf2",),
    SECONDS: ("90s", "1h30m", "3m", "1.5h"),
}
"""What may be wanted, with values that can be meant."""
OFTEN = ("key", "range", "range", "metre", "bars", "length")
VALUES = (
    *("", "-1", "1e400", "nan", "inf", "-inf", "1...2", "..", "0.5..", "..1", "0.5..nan", "1e400..2", "9" * 30),
    *("9" * 5000, "1_0", "\u0663", "\u00b2", "0x10", "C6-C3", "C3", "C3-", "-", "H", "Am7", "0/4", "4/0", "4/3", '"'),
    *('""', "[" * 3000, '"' + "[" * 3000, "1h1h", "m", "0s", "1e3s", "9" * 400 + "h", "+10m", "12 s", "1.5.5m"),
)  # fmt: skip
"""Those that cannot, of most."""
TEXTS = (
    *("|", "|]", "||", ":", ":0", ":1/0", ":-1", ":1e9", ":100001", ":99999", ":0.0000001", ":1/3", ":\u0663", ":."),
    *(":/", "v0", "v128", "v80", "v", "^", "^^", "+", "++", "@", "@24", "@0", "@1e9", "@99999", "@-1", "r", "r:0.5"),
    *("R", "C", "C-1", "C-2", "G9", "G#9", "Cbb4", "Cx4", "Bb5", "b4", "60", "127", "128", "1" * 400, "\u0664"),
    *("# a", "key: ", "key: H major", "key: @4 C", "metre: 0/4", "metre: 99/1", "metre: 4/4 @0.1 3/4 @0.1 5/4"),
    *("metre: 1/32\n", "pickup: 99999\n", "pickup: 0.001\n", "tempo: nan\n", "tempo: inf\n", "tempo: 1e3\n"),
    *("tempo: 96 @2 0\n", "marks: |: @2 :|\n", "marks: |:\n", "title: \u202e\n", "Beat (drums): 36"),
    *("A (program 127): C4", "A (program 128): C4", "(drums): 36", "\u2028", "\x85", "\x1c", "\x0b"),
    *("tinynotation: ", "4/4 c4 d8 trip{e f g}", "{", "}"),
)  # fmt: skip
PIECES = tuple(text.encode() for text in TEXTS)


def specimens() -> list[Case]:
    """Inputs are lines: a JSON string for each thing that is wanted, `name value`, and last one with the seed."""
    _tokenizers()
    return [
        _packed(["key G major", "range C2-C6", "temperature 0.5..1.2"], LEARNED[0]),
        _packed(["bars 3", "metre 3/4"], LEARNED[1]),
        _packed(["length 20"], "C4:1.5 r:0.5 C4+E4+G4:1v80 B3:1/3 60^ | @0 C3:4"),
        _packed(["top-p 0.9", "time 3m"], "Piano (program 3): C4+E4:2 D4\nBeat (drums): 36:1 42:0.5"),
    ]


def _packed(wanted: Sequence[str], seed: str) -> Case:
    return text_case("seed", "\n".join(json.dumps(each) for each in (*wanted, seed)))


def _unpacked(case: Case) -> tuple[list[str], str]:
    *wanted, seed = (json.loads(line) for line in case.text.split("\n"))
    return wanted, seed


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """A seed of a specimen or by a grammar, damaged or not, with what is wanted of the sample."""
    wanted, seed = _unpacked(case)
    if draw.random() < 0.6:
        seed = _piece(draw)
    if draw.random() < 0.4:
        seed = damaged(text_case("", seed), draw, pieces=PIECES).text
    if draw.random() < 0.7:
        names = [draw.choice((*FITTING, *OFTEN)) for _ in range(draw.choice((0, 1, 1, 2, 3)))]
        wanted = [f"{name} {_value(draw, name)}" for name in names]
    if draw.random() < 0.05:
        wanted = [damaged(text_case("", each), draw).text for each in wanted]
    return _packed(wanted, seed)


def _piece(draw: random.Random) -> str:
    """Some lines: of parts with items, and what is said of the piece."""
    about = [
        f"{name}: {_value(draw, name)}"
        for name in draw.sample(("key", "metre", "pickup", "tempo", "title", "marks"), draw.choice((0, 0, 1, 2)))
    ]
    parts = []
    for number in range(draw.choice((1, 1, 2, 4, 5))):
        items = [_item(draw) for _ in range(draw.choice((0, 1, 3, 8, 30)))]
        head = draw.choice(("", f"V{number}: ", "Soprano: ", "A (drums): ", f"P (program {draw.randrange(130)}): "))
        parts.append(head + " ".join(items))
    return "\n".join([*about, *parts])


def _value(draw: random.Random, name: str) -> str:
    values: Sequence[str] = VALUES if draw.random() < 0.1 else FITTING.get(name, _WHOLE)
    return draw.choice(values)


def _item(draw: random.Random) -> str:
    if draw.random() < 0.1:
        return draw.choice(("|", "|]", "@0", "@2", "|:", ":|", f"@{draw.random() * 50:.3f}"))
    pitches = [_pitch(draw) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    what = "r" if draw.random() < 0.15 else "+".join(pitches)
    length = draw.choice(
        ("", "", ":0.5", ":2", ":1/3", ":0.25", ":1.5", f":{draw.random() * 5:.4f}", f":{draw.randrange(1, 200)}")
    )
    return f"{what}{length}{draw.choice(('', '', 'v80', '^'))}"  # fmt: skip


def _pitch(draw: random.Random) -> str:
    if draw.random() < 0.1:
        return str(draw.randrange(128))
    return f"{draw.choice('CDEFGABc')}{draw.choice(('', '', '#', 'b'))}{draw.randrange(1, 7)}"


@functools.cache
def _tokenizers() -> list[Tokenizer]:
    found = []
    for kind in MODALITIES["music"].tokenizers:
        texts = TUNE if kind == "melody" else LEARNED
        found.append(TOKENIZERS[kind].build(iter(texts), TokenizerSettings(kind=kind)))
    return found


def run(case: Case) -> None:
    """Reads what is wanted and the seed, and draws a sample of each tokenizer that takes them; each sample is a seed again."""
    wanted, seed = _unpacked(case)
    values: dict[str, Any] = {}
    for each in wanted:
        name, _, value = each.partition(" ")
        if name == SECONDS:
            parse_duration(value)
            continue
        full = find_setting(OF_WRITING, name)
        values[full] = OF_WRITING[full].read(value)
        assert OF_WRITING[full].read(written(values[full])) == values[full], f"{full} is written as something else"
    rules_of(values)
    limits = Limits(**fields_of(values, Limits.__dataclass_fields__))
    modality = MODALITIES["music"]
    if not seed.startswith(TINY):  # which is read in a process of its own
        seed = modality.read_seed(seed, None, "", 2 if "bars" in values else None)
        with contextlib.suppress(SeqgenError):
            modality.read_seed("", seed.encode("utf-8", "surrogateescape"), "seed.notes", None)
    else:
        _read_tiny(seed)
    rendering = Rendering(**fields_of(values, Rendering.__dataclass_fields__))
    refusals: list[SeqgenError] = []
    for tokenizer in _tokenizers():
        try:
            _sample(tokenizer, seed, limits, rendering, random.Random(zlib.crc32(case.data)))
        except SeqgenError as error:
            refusals.append(error)
    if len(refusals) == len(_tokenizers()):
        raise refusals[0]


def _read_tiny(seed: str) -> None:
    from seqgen.scores.from_sheets import read_tinynotation

    notation.parse(notation.write(read_tinynotation(seed.removeprefix(TINY))))


def _sample(tokenizer: Tokenizer, seed: str, limits: Limits, rendering: Rendering, draw: random.Random) -> None:
    """Draws some symbols of those that are allowed."""
    modality = MODALITIES["music"]
    writing = modality.writing(modality, tokenizer, limits, Opening([DOCUMENT]), seed)
    writing.begin()
    for _ in range(MOST):
        if writing.is_done():
            break
        allowed = writing.allowed()
        assert allowed is not None and allowed.any(), f"{tokenizer.name}: nothing is allowed"
        writing.feed(int(draw.choice(allowed.nonzero()[0])))
    writing.finish()
    whole = writing.whole
    if whole.strip() and "r" not in whole.partition(":")[2].split():
        with_notes = any(part.notes for part in notation.parse(whole).parts)
        assert with_notes
    writing.pictures(80, True)
    writing.to_dict()
    writing.render(".mid", rendering)


SEEDS = Target("seeds", "seeds of music, and what is wanted of a sample", specimens, mutate, run)
