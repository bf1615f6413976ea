"""Recipes in TOML, as `--recipe` reads them, and assignments, as `--set` does; then the corpus that they ask for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

from fuzz.damage import damaged
from fuzz.target import Case, Target, text_case
from seqgen.corpus import prepare
from seqgen.recipe import SECTIONS, Overrides, Recipe, merge, parse_assignment, read_recipe

ASSIGNMENTS = ".set"
"""How the name of an input ends that holds assignments, one a line."""
TEXT = "".join(f"All happy families are alike, the {number} others are not.\n\n" for number in range(40))
NAMES = [f"{section}.{name}" for section, kind in SECTIONS.items() for name in get_type_hints(kind)]
VALUES = (
    *("0", "1", "-1", "3", "2.5", "1e3", "-0.0", "1e400", "nan", "inf", "-inf", "1_000", "9" * 30, "9" * 5000),
    *("-" + "9" * 5000, "0x" + "f" * 40, "0x" + "f" * 5000, "0b1" + "0" * 20000, "0o17", "1979-05-27", "07:32:00"),
    *("1979-05-27T07:32:00Z", "1e-320", "true", "false", '""', "''", '"a"', '"folders"', '"90/5/5"', '"100/0/0"'),
    *('"50/50/0"', '"0/50/50"', '"1e9/1/1"', '"' + "9" * 400 + '/5/5"', "[]", "[1]", "[[0, 0.0, 0.001]]"),
    *("[[0, nan, inf]]", '["a"]', '["a", "b"]', "[" * 50 + "]" * 50, "[" * 3000 + "]" * 3000, "{}", "{a = 1}"),
    *("{a = " * 1000 + "1" + "}" * 1000, '"line"', '"blank-line"', '"file"', '"row"', '"\\n"', '"\\u0000"'),
    *('"\\U0010FFFF"', '"\\uD800"', '"utf-8"', '"utf-16"', '"utf-7"', '"idna"', '"punycode"', '"hex"', '"rot13"'),
    *('"mbcs"', '"latin-1\\u0000"', '"undefined"', '"unicode_escape"', '"text"', '"code"', '"music"', '"replies"'),
    *('"bytes"', '"bpe"', '"unigram"', '"symbols"', '"voices"', '"lstm"', '"muon"', '"cuda"', "'''a\nb'''"),
    *('"\u202e"', '"\U0001f600"', '"' + "\u0130" * 300 + '"', "\u0663", '"\u0663"', '"\u00b2"', '"\u00b2/5/5"'),
    *('"' + "x" * 70000 + '"',),
)  # fmt: skip
"""What a setting may be given; TOML but for a few."""
_TABLES = ("[corpus]\n", "[[corpus]]\n", "[model.a.b]\n", "a.b.c = 1\n", *(f"\n{name} = 1\n" for name in NAMES[::5]))
PIECES = tuple(piece.encode() for piece in (*VALUES, *_TABLES))


def specimens() -> list[Case]:
    """The recipe of all defaults, one with all kinds of values, and assignments."""
    Path("corpus.txt").write_text(TEXT, encoding="utf-8")
    few = '# mine\n[corpus]\nkind = "text"\ndocuments = "blank-line"\nsplit = "80/10/10"\n\n[model]\nhidden = 64\ntied = false\n'
    sets = "model.hidden=64\ncorpus.split=80/10/10\ntraining.learning_rate=1e-2\nmodel.tied=false\n"
    return [
        text_case("all.toml", Recipe().to_toml()),
        text_case("few.toml", few + "\n[training]\nschedule = [[0, 0.0, 0.001], [500, 0.5, 0.001]]\n"),
        text_case("tokenizer.toml", '[tokenizer]\nkind = "bpe"\nmin_count = 1\nvocabulary = 400\n'),
        text_case(f"some{ASSIGNMENTS}", sets),
    ]


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """A value becomes another; or bytes are damaged."""
    if draw.random() < 0.4:
        return damaged(case, draw, pieces=PIECES)
    if draw.random() < 0.4:
        return _invented(draw)
    rows = case.text.split("\n")
    assigned = [place for place, row in enumerate(rows) if "=" in row]
    for place in draw.sample(assigned, min(len(assigned), draw.choice((1, 1, 2, 3)))):
        name, _, _ = rows[place].partition("=")
        rows[place] = f"{name}={draw.choice(VALUES)}"
    return text_case(case.name, "\n".join(rows))


def _invented(draw: random.Random) -> Case:
    """Any settings with any values."""
    names = draw.sample(NAMES, draw.choice((1, 1, 2, 3)))
    name = draw.choice(("any.toml", f"any{ASSIGNMENTS}"))
    values = [draw.choice(VALUES) for _ in names]
    if name.endswith(ASSIGNMENTS):
        values = [value.strip('"') for value in values]
    return text_case(name, "".join(f"{name} = {value}\n" for name, value in zip(names, values, strict=True)))


def run(case: Case) -> None:
    """Reads settings, makes a recipe of them, writes and reads it again, and prepares a small corpus as they say."""
    if case.name.endswith(ASSIGNMENTS):
        overrides: Overrides = {}
        for line in case.text.split("\n"):
            if line.strip():
                section, name, value = parse_assignment(line)
                overrides = merge(overrides, {section: {name: value}})
    else:
        path = Path("recipe.toml")
        path.write_bytes(case.data)
        overrides = read_recipe(path)
    recipe = Recipe.from_dict(overrides)
    recipe.training.rate(recipe.training.steps)
    again = Path("again.toml")
    with contextlib.suppress(UnicodeEncodeError):  # --set takes any bytes, and no TOML could hold them
        again.write_text(recipe.to_toml(), encoding="utf-8")
        assert Recipe.from_dict(read_recipe(again)) == recipe, "a recipe that is written is read as another"
    asked = {**overrides.get("corpus", {}), "sources": ("corpus.txt",)}
    prepare({"corpus": asked, "tokenizer": overrides.get("tokenizer", {})})


RECIPE = Target("recipe", "recipes in TOML and --set, and the corpora that they ask for", specimens, mutate, run)
