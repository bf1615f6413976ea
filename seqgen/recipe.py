"""Every setting of a training run, in one place: frozen dataclasses <-> TOML.

A ``Recipe`` is always *resolved*: each field has its final value, so that the same recipe on the same machine and
versions gives the same weights, bit for bit. What a user sets (``--set model.hidden=256``, a TOML file) is a set of
``Overrides``: a nested dict of the same shape with only some of the fields, which ``seqgen/defaults.py`` completes.
The docstring under each field is its documentation; ``docs/settings.md`` is made from it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from seqgen.errors import UsageError

FIRST_RATE = 0.01
"""Share of the highest learning rate at which the warm-up begins."""
Overrides = dict[str, dict[str, Any]]
"""Some of a recipe's settings: section -> field -> value."""
MOST_VOICES = 9
BY_FOLDER = "folders"
"""The setting `corpus.split` for a corpus whose folders are called `train`, `valid` and `test`."""
GRIDS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Steps that a quarter note can be divided into."""
LONGEST_SHOWN = 100
"""Characters of a value that an error shows."""
MOST_SYMBOLS = 1 << 18
"""In a vocabulary: more than there are characters in Unicode."""
MOST_LAYERS = 256
WIDEST = 1 << 16
"""Units of a layer, numbers of an embedding."""
MOST_LANES = 1 << 16
MOST_THREADS = 1 << 12
MOST_ITERATIONS = 100
MOST_STEPS = 1 << 40
"""Of a run; and symbols or looks, wherever a setting counts them."""
RANDOM_SEEDS = 1 << 63
"""How many there are: what torch's generators and TOML's integers hold."""


@dataclass(frozen=True)
class CorpusSettings:
    """What is read, and how it is cut."""

    sources: tuple[str, ...] = ()
    """Files, folders, globs or names of cards, as they were given (files with their absolute paths)."""
    kind: str = "text"
    """What the files mean: a name from `MODALITIES` (`text`, `code`, `music` or `replies`).
    Guessed from the content where not set."""
    documents: str = "file"
    """What one document is: `file`, `line`, `blank-line`, or a separator to cut at. Guessed where not set.
    Of replies it is a `conversation`."""
    column: str = ""
    """Of tables (CSV, TSV, JSONL): the column whose values are the documents, by its name or number. Empty: no table."""
    columns: tuple[str, ...] = ()
    """Replies, of tables: the columns of the message and of the reply. Empty: those that are called so, or the only two."""
    me: tuple[str, ...] = ()
    """Replies, of mail: whose letters are to be learned as replies, each a part of the SHA-256 of an address, as `--me` makes
    it. Empty: everybody's."""
    mask: bool = False
    """Replies: learn no numbers, links and addresses, but marks in their places. So for mail where not set."""
    split: str = "90/5/5"
    """Percentages of training, validation and test text; by document where there are many, else by position. Or `folders`:
    what lies in folders called `train`, `valid` and `test`."""
    transpose: bool = True
    """Music: learn each piece in all the keys that stay in the range of the corpus, where the corpus is small."""
    encoding: str = "utf-8"
    """The text encoding of the files. A byte order mark overrules it."""

    def __post_init__(self) -> None:
        self.shares  # noqa: B018 - refuses a split that cannot be meant
        check_pairs(self.columns, self.me)
        if not self.documents:
            raise UsageError(
                "corpus.documents is empty", hint="Give file, line, blank-line, or the separator to cut at."
            )

    @property
    def by_folder(self) -> bool:
        """Whether folders say what is for training, validation and test."""
        return self.split == BY_FOLDER

    @property
    def shares(self) -> tuple[float, float, float]:
        """The shares of training, validation and test text, adding up to 1.

        Raises:
            UsageError: the split is not three percentages that add up to 100.
        """
        if self.by_folder:
            return 0.9, 0.05, 0.05  # not used: the folders say it
        parts = self.split.split("/")
        if len(parts) == 3 and all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
            train, valid, test = (float(part) / 100 for part in parts)
            if train > 0 and abs(train + valid + test - 1) < 1e-6:
                return train, valid, test
        raise UsageError(
            f"corpus.split={self.split!r} is not a split",
            hint="Give three percentages that add up to 100, the first above 0: --set corpus.split=90/5/5; or folders.",
        )


@dataclass(frozen=True)
class TokenizerSettings:
    """How symbols become ids."""

    kind: str = "characters"
    """A name from `TOKENIZERS`: `characters` (Unicode code points), `bytes` (of the text's UTF-8), `bpe` or `unigram`
    (pieces of words, learned from the text), or `symbols` (whatever stands between whitespace); of music `melody`, `voices`,
    `remi`, `tsd` or `frames` (docs/music.md)."""
    min_count: int = 2
    """`characters`, `symbols`: what is seen less often than this in the training text is spelled in bytes, so that the
    model learns to. `bpe`, `unigram`: the same for characters, in the sample that pieces are learned from."""
    max_size: int = 8192
    """`characters`, `symbols`: at most this many, the most frequent, get an id of their own; the rest are spelled in bytes."""
    vocabulary: int = 2048
    """`bpe`, `unigram`: how many pieces, the 256 bytes among them; lowered where the text has too few."""
    grid: int = 4
    """`voices`, `frames`: steps of a quarter note."""
    voices: int = 4
    """`voices`: how many each piece has."""
    held: bool = True
    """`voices`: tell a note that is held from one that is struck again."""

    def __post_init__(self) -> None:
        _at_least(1, tokenizer__min_count=self.min_count, tokenizer__max_size=self.max_size)
        _at_least(300, tokenizer__vocabulary=self.vocabulary)
        _at_most(MOST_SYMBOLS, tokenizer__max_size=self.max_size, tokenizer__vocabulary=self.vocabulary)
        _at_most(RANDOM_SEEDS, tokenizer__min_count=self.min_count)
        if not 1 <= self.voices <= MOST_VOICES:
            raise UsageError(f"tokenizer.voices={self.voices} is not from 1 to {MOST_VOICES}")
        if self.grid not in GRIDS:
            raise UsageError(f"tokenizer.grid={self.grid} is none of {', '.join(map(str, GRIDS))}")


@dataclass(frozen=True)
class ModelSettings:
    """The network's shape and its regularisation."""

    cell: str = "lstm"
    """The recurrent cell: a name from `CELLS` (`lstm`, `gru` or `rnn`)."""
    attention: str = "general"
    """Replies: how the decoder looks at the message: a name from `ATTENTIONS` (`dot`, `general`, `bahdanau`), or `none`: it has
    the thought vector alone."""
    layers: int = 2
    """Stacked recurrent layers."""
    hidden: int = 256
    """Units in each layer."""
    embedding: int = 64
    """Numbers that stand for one symbol at the input."""
    tied: bool = False
    """Use the embedding as the output matrix too (Press and Wolf 2017). Needs `model.embedding` = `model.hidden`."""
    embedding_dropout: float = 0.0
    """Share of the symbols whose embedding is zero for a whole window (Gal and Ghahramani 2016)."""
    input_dropout: float = 0.0
    """Locked dropout on the embedded input: one mask for all steps of a window."""
    hidden_dropout: float = 0.0
    """Locked dropout between layers."""
    output_dropout: float = 0.0
    """Locked dropout on the last layer's output."""
    weight_dropout: float = 0.0
    """Share of the recurrent weights that are zero for a window (Merity et al. 2018, section 2), to the next 256th."""
    label_smoothing: float = 0.0
    """Replies: share of the probability that training wants spread over all symbols (Szegedy et al. 2016, section 7)."""
    matching: float = 0.0
    """Replies: weight of a second task in training, to pick each message's own reply among those of the batch by what both are
    about (Henderson et al. 2017); replies are then chosen by that, too, unless messages are left out. 0: none."""
    message_dropout: float = 0.0
    """Replies: share of the messages that are left out in training, so that it also learns what is said anyhow. Replies are then
    drawn, and chosen by how much likelier the message makes them (Li et al. 2016)."""
    phrases: bool = False
    """Replies: a table says at once what comes after the last few symbols (Mikolov et al. 2011)."""

    def __post_init__(self) -> None:
        _at_least(1, model__layers=self.layers, model__hidden=self.hidden, model__embedding=self.embedding)
        _at_most(MOST_LAYERS, model__layers=self.layers)
        _at_most(WIDEST, model__hidden=self.hidden, model__embedding=self.embedding)
        for name in ("embedding", "input", "hidden", "output", "weight", "message"):
            value = getattr(self, f"{name}_dropout")
            if not 0 <= value < 1:
                raise UsageError(f"model.{name}_dropout={value} is not in [0, 1)")
        _at_least(0, model__matching=self.matching)
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"model.label_smoothing={self.label_smoothing} is not in [0, 1)")
        if self.tied and self.embedding != self.hidden:
            raise UsageError(
                f"model.tied=true needs equal sizes, but model.embedding={self.embedding} and model.hidden={self.hidden}",
                hint="Set both to the same number, or leave model.tied out.",
            )


@dataclass(frozen=True)
class TrainingSettings:
    """The training loop: how much, in what pieces, how fast, on what."""

    steps: int = 1000
    """Updates in all; a time or epochs become this number."""
    schedule: tuple[tuple[int, float, float], ...] = ()
    """Where the learning rate's course was corrected to keep a time, or prolonged: (step, progress there, progress a step),
    each holding until the next. Empty: one straight course from 0 to 1."""
    lanes: int = 16
    """Streams of text read side by side, each with its own hidden state (the batch size). Replies have none."""
    window: int = 128
    """Symbols of truncated backpropagation through time. Replies: symbols of a message or a reply that are read at most."""
    stretch: int = 0
    """Windows that a lane reads at one place, before it goes on elsewhere from the zero state (0: all of its part of the text,
    one after another). Replies have none."""
    batch_symbols: int = 4096
    """Replies: symbols of the messages and replies in a batch at most; padding is counted."""
    optimizer: str = "muon"
    """A name from `OPTIMIZERS`: `muon` (Muon for the matrices between hidden units, AdamW for the rest) or `adamw` for all."""
    learning_rate: float = 0.012
    """The highest learning rate of AdamW, reached after the warm-up."""
    matrix_rate: float = 0.04
    """`muon`: the highest learning rate of these matrices, as the spectral norm of a step."""
    orthogonal_iterations: int = 2
    """`muon`: Newton-Schulz iterations for each step."""
    warmup: float = 0.01
    """Share of the run in which the learning rate rises from next to nothing."""
    beta2: float = 0.99
    """AdamW's memory of squared gradients."""
    weight_decay: float = 0.01
    """Decoupled weight decay of both optimisers. A language model of a new text is given 0.04 or more."""
    clip: float = 1.0
    """The largest norm of the whole gradient; a longer one is scaled down to it."""
    averaging: float = 0.99
    """Decay of the moving average of the weights, which is what gets evaluated and kept (0: no averaging)."""
    evaluate_every: int = 100
    """Steps between two looks at the validation text (also after an eighth, a quarter and a half of the first interval)."""
    evaluate_symbols: int = 65536
    """Symbols of the validation text that such a look reads; the final figure reads all of it, or what the time allows."""
    patience: int = 0
    """Stop after this many looks without a better one (0: never)."""
    by_heart: bool = False
    """Replies: keep the last weights, and not those that predict validation text best: of few pairs a model writes whole
    sentences only when it knows them by heart. Then there is no patience."""
    recall_symbols: int = 100_000
    """Symbols of the validation text at most from which it learns, once it is trained, how sure it may be, and what it is to make
    of what stood in the document before (0: neither; else looks compare weights as sure as they may be, too)."""
    dtype: str = "float32"
    """Arithmetic of the matrix products in training: `float32` or `bfloat16` (autocast). Where not set: whichever is faster."""
    kernels: str = "torch"
    """What runs the windows of LSTMs in training: the kernels of `torch`, or seqgen's own (`compiled`; in bfloat16, where there
    is a C compiler and a processor for it). Where not set: these where they run."""
    device: str = "cpu"
    """`cpu`, `cuda` or `mps`."""
    threads: int = 1
    """Processor threads. Part of the recipe, since sums are taken in an order that depends on them."""
    init_from: str = ""
    """The file of weights that the training begins with (`--init-from`). Empty: fresh weights."""
    random_seed: int = 0
    """Seed of the weights, the dropout masks and the order of the documents."""

    def __post_init__(self) -> None:
        _at_least(
            1,
            training__steps=self.steps,
            training__lanes=self.lanes,
            training__window=self.window,
            training__batch_symbols=self.batch_symbols,
            training__threads=self.threads,
            training__evaluate_every=self.evaluate_every,
            training__evaluate_symbols=self.evaluate_symbols,
        )
        _at_least(
            0,
            training__stretch=self.stretch,
            training__patience=self.patience,
            training__recall_symbols=self.recall_symbols,
            training__weight_decay=self.weight_decay,
            training__random_seed=self.random_seed,
            training__orthogonal_iterations=self.orthogonal_iterations,
        )
        _at_most(MOST_ITERATIONS, training__orthogonal_iterations=self.orthogonal_iterations)
        _at_most(MOST_THREADS, training__threads=self.threads)
        _at_most(MOST_LANES, training__lanes=self.lanes)
        _at_most(
            MOST_STEPS,
            training__steps=self.steps,
            training__window=self.window,
            training__stretch=self.stretch,
            training__batch_symbols=self.batch_symbols,
            training__evaluate_every=self.evaluate_every,
            training__evaluate_symbols=self.evaluate_symbols,
            training__patience=self.patience,
            training__recall_symbols=self.recall_symbols,
        )
        if self.random_seed >= RANDOM_SEEDS:
            raise UsageError(f"training.random_seed={self.random_seed} is not below 2 to the power of 63")
        for name in ("learning_rate", "matrix_rate"):
            if not 0 < getattr(self, name) < 10:
                raise UsageError(f"training.{name}={getattr(self, name)} is not in (0, 10)")
        if not self.clip > 0:
            raise UsageError(f"training.clip={self.clip} is not above 0")
        for name in ("warmup", "averaging", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"training.{name}={getattr(self, name)} is not in [0, 1)")
        if self.dtype not in ("float32", "bfloat16"):
            raise UsageError(f"training.dtype={self.dtype!r} is neither float32 nor bfloat16")
        if self.kernels not in ("torch", "compiled"):
            raise UsageError(f"training.kernels={self.kernels!r} is neither torch nor compiled")
        if self.device not in ("cpu", "cuda", "mps"):
            raise UsageError(f"training.device={self.device!r} is none of cpu, cuda, mps")
        starts = [start for start, _, _ in self.schedule]
        if starts and (starts[0] != 0 or sorted(set(starts)) != starts or starts[-1] >= self.steps):
            raise UsageError(f"training.schedule={self.schedule} does not rise from step 0 to below {self.steps}")
        if not all(0 <= progress <= 1 and slope >= 0 for _, progress, slope in self.schedule):
            raise UsageError(f"training.schedule={self.schedule} has a progress that is not in [0, 1], or falls")

    @property
    def segments(self) -> tuple[tuple[int, float, float], ...]:
        """The schedule, with its one segment written out where it is empty."""
        return self.schedule or ((0, 0.0, 1 / self.steps),)

    def progress(self, step: int) -> float:
        """How far the learning rate's course has come at a step, from 0 to 1."""
        start, progress, slope = next(segment for segment in reversed(self.segments) if segment[0] <= step)
        return min(1.0, progress + slope * (step - start))

    def rate(self, step: int) -> float:
        """The share of the highest learning rate at a step: a linear warm-up, then as straight to zero."""
        progress = self.progress(step)
        if progress < self.warmup:
            return max(progress / self.warmup, FIRST_RATE)
        return (1 - progress) / (1 - self.warmup)

    def looks(self, step: int) -> bool:
        """Whether the validation text is looked at after this many steps."""
        early = {self.evaluate_every // part for part in (8, 4, 2)}
        return step % self.evaluate_every == 0 or step in early or self.begins_segment(step) or step == self.steps

    def begins_segment(self, step: int) -> bool:
        """Whether the course was changed at this step."""
        return step > 0 and any(start == step for start, _, _ in self.schedule)


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training run computes."""

    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The recipe as plain data: section -> field -> value."""
        return dataclasses.asdict(self)

    def to_toml(self) -> str:
        """The recipe as a TOML file, which `--recipe` reads back."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, Any]]) -> Recipe:
        """The recipe with these settings, and the dataclasses' defaults for the rest.

        Raises:
            UsageError: an unknown section or field, a value of the wrong type, or settings that contradict each other.
        """
        checked = check_overrides(data)
        return cls(**{name: section(**checked.get(name, {})) for name, section in SECTIONS.items()})

    def replace(self, **fields: Any) -> Recipe:
        """A copy with these fields of `training` changed."""
        return dataclasses.replace(self, training=dataclasses.replace(self.training, **fields))


SECTIONS: dict[str, type[Any]] = {
    "corpus": CorpusSettings,
    "tokenizer": TokenizerSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
}


def check_overrides(data: Mapping[str, Any]) -> Overrides:
    """Settings with every name known and every value of its field's type.

    Raises:
        UsageError: an unknown section or field, or a value of the wrong type.
    """
    checked: Overrides = {}
    for section, fields in data.items():
        if section not in SECTIONS:
            raise _unknown(section, list(SECTIONS), "section")
        if not isinstance(fields, Mapping):
            raise UsageError(
                f"{section}={_shown(fields)} is not a section", hint=f"Name one of its settings: {section}.NAME"
            )
        hints = get_type_hints(SECTIONS[section])
        for name, value in fields.items():
            if name not in hints:
                raise _unknown(f"{section}.{name}", [f"{section}.{known}" for known in hints], "setting")
            checked.setdefault(section, {})[name] = _coerce(f"{section}.{name}", value, hints[name])
    return checked


def check_pairs(columns: Sequence[str], me: Sequence[str]) -> None:
    """Refuses columns of a table of pairs that are not two, and addresses as they are written.

    Raises:
        UsageError: there are fewer columns, more, or one of them twice; or an address where its digest belongs.
    """
    if columns and not len(set(columns)) == len(columns) == 2:
        raise UsageError(
            f"corpus.columns={','.join(columns)} does not name two columns",
            hint="Name that of the message and that of the reply: --columns question,answer",
        )
    if any("@" in digest for digest in me):
        raise UsageError("corpus.me holds an address, and not a part of its SHA-256", hint="Give it with --me ADDRESS.")


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """`section.field=value`, as `--set` takes it.

    Raises:
        UsageError: not of that form, an unknown setting, or a value of the wrong type.
    """
    name, equals, value = text.partition("=")
    section, dot, setting = name.strip().partition(".")
    if not equals or not dot:
        raise UsageError(
            f"--set {text!r} is not of the form section.key=value", hint="For example: --set model.hidden=256"
        )
    checked = check_overrides({section: {setting: value}})
    return section, setting, checked[section][setting]


def merge(*layers: Mapping[str, Mapping[str, Any]]) -> Overrides:
    """Settings from several places in one; later ones win."""
    merged: Overrides = {}
    for layer in layers:
        for section, fields in layer.items():
            merged.setdefault(section, {}).update(fields)
    return merged


def read_recipe(path: Path) -> Overrides:
    """The settings in a TOML file.

    Raises:
        UsageError: the file cannot be read, is not TOML, or holds unknown settings.
    """
    try:
        return check_overrides(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except RecursionError as error:
        raise UsageError("cannot be read as a recipe: nested too deep", where=str(path)) from error
    except (OSError, ValueError) as error:  # of UTF-8, of TOML, or of an integer with more digits than Python reads
        raise UsageError(f"cannot be read as a recipe: {error}", where=str(path)) from error
    except UsageError as error:
        raise UsageError(error.what, where=str(path), hint=error.hint) from error


def parse_duration(text: str) -> float:
    """Seconds from `90s`, `3m`, `1.5h`, `1h30m` or a bare number of seconds.

    Raises:
        UsageError: not a duration, or not above zero.
    """
    match = re.fullmatch(
        r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s?)?", text.strip().lower()
    )
    if match and any(match.groups()):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        if 0 < (total := 3600 * hours + 60 * minutes + seconds) < math.inf:
            return total
    raise UsageError(f"{text!r} is not a duration", hint="Write it as 90s, 3m, 1.5h or 1h30m.")


def _coerce(name: str, value: Any, hint: Any) -> Any:
    """The value as the field's type: exact from TOML and JSON, read from the text of `--set`."""
    try:
        if get_origin(hint) is tuple:
            inner = get_args(hint)
            items = (
                [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else list(value)
            )
            if inner[-1] is Ellipsis:
                return tuple(_coerce(name, item, inner[0]) for item in items)
            if len(items) == len(inner):
                return tuple(_coerce(name, item, kind) for item, kind in zip(items, inner, strict=True))
        elif hint is bool:
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.lower() in ("true", "false"):
                return value.lower() == "true"
        elif hint is str and isinstance(value, str):
            return value
        elif hint in (int, float) and isinstance(value, int | float | str) and not isinstance(value, bool):
            number = hint(value)
            if math.isfinite(number) and (hint is float or isinstance(value, str) or number == value):  # 1.5 is no int
                return number
    except (ValueError, TypeError, OverflowError):
        pass
    wanted = getattr(hint, "__name__", str(hint))
    raise UsageError(f"{name}={_shown(value)} is not of type {wanted if get_origin(hint) is None else 'list'}")


def _shown(value: Any) -> str:
    """A value in an error: of a long one the beginning."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _unknown(name: str, known: list[str], what: str) -> UsageError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
    return UsageError(f"there is no {what} {name!r}", hint=hint)


def _at_least(least: int, **values: float) -> None:
    for name, value in values.items():
        if not value >= least:
            raise UsageError(f"{name.replace('__', '.')}={value} is below {least}")


def _at_most(most: int, **values: int) -> None:
    for name, value in values.items():
        if not value <= most:
            raise UsageError(f"{name.replace('__', '.')}={value} is above {most}")
