"""How much of a sample stands in what a model learned from, as plain data and in words, beside the same of held-out text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

REPEATED = 8
"""Characters that are all the same from which on they are counted and not shown."""
SHOWN = 100
"""Characters of a passage that are told in words; JSON has all of them."""


@dataclass(frozen=True)
class Place:
    """Where something stands in the training documents.

    Attributes:
        document: its number among them, from 1.
        source: the name of the file or the like that it comes from; None: it was not noted.
        title: of the document; may be empty.
        details: where in it: "line" and "offset" (characters from its beginning), or "part" and "bar".
    """

    document: int
    source: str | None = None
    title: str = ""
    details: Mapping[str, int | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        title = {"title": self.title} if self.title else {}
        return {"document": self.document, "source": self.source, **title, **self.details}

    def __str__(self) -> str:
        where = [f"\u201c{self.title}\u201d"] if self.title else []
        where.append(f"document {self.document}" if self.source is None else _last(self.source))
        where += [f"{name} {self.details[name]}" for name in ("line", "bar") if self.details.get(name) is not None]
        return " ".join(where) if len(where) == 2 and not self.title else ", ".join(where)


@dataclass(frozen=True)
class Run:
    """A passage of a sample that stands in the training documents.

    Attributes:
        length: in the unit of the overlap.
        text: the passage itself.
        details: where in the sample it begins: "start" (characters), or "part" and "bar".
        place: the first place at which it stands.
        places: at how many it stands; None: not counted.
    """

    length: int
    text: str
    details: Mapping[str, float]
    place: Place
    places: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        places = {} if self.places is None else {"places": self.places}
        return {"length": self.length, "text": self.text, **self.details, **places, "source": self.place.to_dict()}

    def __str__(self) -> str:
        more = f" and {self.places - 1:,} more places" if self.places and self.places > 2 else ""
        more = more or (" and another place" if self.places == 2 else "")
        bar = f" from bar {self.details['bar']} on" if "bar" in self.details else ""
        return f"{bar}, \u201c{shorten(self.text)}\u201d, {self.place}{more}"


class Ordinary(NamedTuple):
    """What held-out text of the same length has in common with the training documents, without having been learned.

    Attributes:
        stretches: how many stretches of it were looked at.
        length: how long each is.
        mean: the mean of the longest run of each.
        longest: the longest of all.
        shares: of the n-grams of all stretches together, those that are known, by n; None: they are too short for any.
    """

    stretches: int
    length: int
    mean: float
    longest: int
    shares: Mapping[int, float | None]

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {**self._asdict(), "shares": _named(self.shares)}


@dataclass(frozen=True)
class Originality:
    """How much of a sample stands in what the model learned from.

    Attributes:
        unit: what lengths are counted in: "character", "note".
        what: what the longest run is called: "run", "melody".
        matter: where it stands: "text", "pieces".
        length: of what was looked at: the sample without its seed.
        longest: the longest run; None: nothing stands there.
        shares: of its n-grams, those that stand there, by n; None: it is too short for any.
        ordinary: the same of held-out text; None: the corpus holds nothing out.
        further: other passages by their names, for `--json`.
        is_document: whether the whole, its seed included, is one of the training documents; of music it is not looked at.
    """

    unit: str
    what: str
    matter: str
    length: int
    longest: Run | None
    shares: Mapping[int, float | None]
    ordinary: Ordinary | None
    further: Mapping[str, Run | None] = field(default_factory=dict)
    is_document: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "unit": self.unit,
            "length": self.length,
            "is_document": self.is_document,
            "longest": self.longest.to_dict() if self.longest else None,
            **{name: run.to_dict() if run else None for name, run in self.further.items()},
            "shares": _named(self.shares),
            "held_out": self.ordinary.to_dict() if self.ordinary else None,
        }

    def words(self) -> list[str]:
        """The same in a line or two."""
        where = f"the training {self.matter}"
        if self.longest is None:
            return [f"nothing of it stands in {where}"]
        size, known = self.longest.length, self.ordinary
        whole = ", all of it" if size == self.length else ""
        whole = ", all of it, and a training document as a whole" if self.is_document else whole
        held_out = f"held-out {self.matter}"
        beside = f"; {held_out}: {known.mean:.0f} on average, {known.longest:,} at most" if known else ""
        lines = [f"longest {self.what} that stands in {where}: {_count(size, self.unit)}{whole}{self.longest}{beside}"]
        told = [n for n, share in self.shares.items() if share is not None]
        if told:
            n = told[0]
            theirs = known.shares.get(n) if known else None
            beside = f"; {held_out}: {percent(theirs)}" if theirs is not None else ""
            lines.append(f"{percent(self.shares[n])} of its runs of {n} {self.unit}s stand there{beside}")
        return lines


class Learned(NamedTuple):
    """A training document."""

    text: str
    place: Place


class Judge(Protocol):
    """Says how much of a text stands in the training documents that it was made from."""

    def judge(self, text: str, seed: str) -> Originality:
        """Of a text without its seed, which the model did not write.

        Args:
            text: the whole, in the form that documents have.
            seed: what it grew from; empty: nothing.

        Raises:
            DataError: it cannot be read.
        """
        ...


def summary(found: Sequence[Originality]) -> str:
    """Many samples in a line."""
    lengths = [one.longest.length if one.longest else 0 for one in found]
    first = found[0]
    average = _count(round(sum(lengths) / len(lengths)), first.unit)
    line = (
        f"{len(found)} samples: the longest {first.what} has {average} on average, "
        f"{max(lengths):,} at most (sample {lengths.index(max(lengths)) + 1})"
    )
    known = [one.ordinary for one in found if one.ordinary]
    if known:
        mean, most = sum(one.mean for one in known) / len(known), max(one.longest for one in known)
        line += f"; held-out {first.matter}: {mean:.0f} on average, {most:,} at most"
    return line


def shorten(text: str) -> str:
    """A passage on one line, its middle left out where it is long."""
    if len(text) > REPEATED and text == text[0] * len(text):
        return f"{len(text):,} times {text[0]!r}"
    line = text.replace("\n", "\\n").replace("\t", "\\t")
    half = SHOWN // 2
    return line if len(line) <= SHOWN else f"{line[:half]} \u2026 {line[-half:]}"


def percent(share: float | None) -> str:
    """A share in words; one that is not nothing is not told as 0 %."""
    if share is None:
        return "none"
    return "under 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _last(source: str) -> str:
    """A name on one line; of a long one its end, which tells most."""
    return source if len(source) <= SHOWN // 2 else f"\u2026{source[-SHOWN // 2 :]}"


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _named(shares: Mapping[int, float | None]) -> dict[str, float | None]:
    return {str(n): share for n, share in shares.items()}
