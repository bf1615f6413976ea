"""What can be set in a session, by the names that the command line has for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqgen.errors import UsageError
from seqgen.writing import PRECISIONS, UNTIL

SLOWEST, FASTEST = 5, 1000
"""Quarter notes a minute."""
DEFAULT = "default"
"""What sets a setting back."""


class Setting(NamedTuple):
    """Something that can be set.

    Attributes:
        read: what was typed to its value.
        usual: what holds where it is not set, in words.
        about: what it does, in a line.
        known: all that can be typed, where that can be listed.
        matter: what alone it is for, "text" or "music"; empty: both.
    """

    read: Callable[[str], Any]
    usual: str
    about: str
    known: tuple[str, ...] = ()
    matter: str = ""


def _whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"{text!r} is no whole number") from None
        if not least <= value <= most:
            side, bound = ("below", least) if value < least else ("above", most)
            raise UsageError(f"{value} is {side} {bound}")
        return value

    return read


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number") from None
    if not math.isfinite(value):
        raise UsageError(f"{text!r} is no number that can be meant")
    return value


def _tempo(text: str) -> float:
    value = _number(text)
    if not SLOWEST <= value <= FASTEST:
        raise UsageError(f"{text} is not from {SLOWEST} to {FASTEST} quarter notes a minute")
    return value


def _slope(text: str) -> tuple[float, float | None]:
    """A temperature, or two of them: `0.5..1.2`."""
    first, dots, last = text.partition("..")
    if last.startswith("."):
        raise UsageError(f"{text!r} has three dots, and nobody knows what is meant", hint="Write 0.5..1.2.")
    return _number(first), _number(last) if dots else None


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise UsageError(f"{text!r} is none of {', '.join(known)}")
        return text

    return read


def _switch(text: str) -> bool:
    return _one_of(("on", "off"))(text) == "on"


def _texts(text: str) -> tuple[str, ...]:
    """One text as it stands; or several, or one with blanks at its ends, in double quotes as JSON writes them."""
    if not text.startswith('"'):
        return (text,)
    decoder, found, rest = json.JSONDecoder(), list[str](), text
    while rest:
        try:
            one, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{text} is not text in double quotes", hint='Write "one" "another".') from error
        if not isinstance(one, str):
            raise UsageError(f"{rest} is not text in double quotes", hint='Write "one" "another".')
        found.append(one)
        rest = rest[end:].lstrip()
    return tuple(found)


_RULES = {
    "temperature": Setting(_slope, "0.8", "below 1 safer, above 1 wilder; 0.5..1.2 rises along a --length"),
    "top-k": Setting(_whole(1), "all", "draw among so many of the likeliest symbols"),
    "top-p": Setting(_number, "all", "draw among the likeliest that have this probability together"),
    "min-p": Setting(_number, "all", "draw among those at least this share as likely as the likeliest"),
    "repetition-penalty": Setting(_number, "none", "divides the logits of the latest 64 symbols"),
    "no-repeat": Setting(_whole(1), "none", "no run of so many symbols comes twice"),
}
_RANDOM_SEED = {
    "random-seed": Setting(_whole(0, 10**99 - 1), "new", "of the next answer; the one after it has the next")
}

OF_WRITING: Mapping[str, Setting] = {
    **_RULES,
    "length": Setting(_whole(0), "as it ends", "characters or notes to write at most"),
    "count": Setting(_whole(1, 100), "1", "answers to each seed"),
    "min-length": Setting(_whole(0), "0", "characters before which it does not end by itself", matter="text"),
    "until": Setting(_one_of(UNTIL), "a fair length", "where it ends", UNTIL, matter="text"),
    "stop": Setting(_texts, "none", 'end before it; several: "one" "another"', matter="text"),
    "ban": Setting(_texts, "none", "text that is never written", matter="text"),
    "prefer": Setting(_texts, "none", "text that becomes likelier", matter="text"),
    "recall": Setting(_switch, "on", "use the names and phrases of a long seed again", ("on", "off")),
    "precision": Setting(_one_of(PRECISIONS), "auto", "of the weights while they are used", PRECISIONS),
    "bars": Setting(_whole(1), "as it ends", "so many in all", matter="music"),
    "key": Setting(str, "any", "D minor", matter="music"),
    "metre": Setting(str, "any", "3/4", matter="music"),
    "range": Setting(str, "any", "no pitch beyond these, such as C3-C6", matter="music"),
    "tempo": Setting(_tempo, "its own", "quarter notes a minute, in files and on playing", matter="music"),
    "program": Setting(_whole(0, 127), "its own", "the General MIDI instrument of all parts", matter="music"),
    "transpose": Setting(_whole(-127, 127), "0", "semitones, in files and on playing", matter="music"),
    "soundfont": Setting(Path, "the system's", "the instruments for .wav", matter="music"),
    **_RANDOM_SEED,
}
"""For models that write on."""

OF_CHATTING: Mapping[str, Setting] = {
    **_RULES,
    "length": Setting(_whole(1), "as it ends", "words of a reply at most"),
    "count": Setting(_whole(1, 50), "3", "replies to choose from"),
    "beam": Setting(_whole(1, 64), "24", "replies that are followed at once"),
    "start": Setting(str, "none", "what every reply begins with"),
    **_RANDOM_SEED,
}
"""For models that answer."""

SHORT = {"temp": "temperature", "t": "temperature"}
"""Other names."""


def find_setting(settings: Mapping[str, Setting], name: str) -> str:
    """The full name of a setting.

    Raises:
        UsageError: there is none of this name here.
    """
    plain = name.removeprefix("--").replace("_", "-")
    plain = SHORT.get(plain, plain)
    if plain not in settings:
        elsewhere = plain in OF_WRITING or plain in OF_CHATTING
        what = f"{plain} has no meaning for this model" if elsewhere else f"there is no setting {name!r}"
        raise UsageError(what, hint=f"There are: {', '.join(settings)}.")
    return plain


def written(value: Any) -> str:
    """A value as it can be typed."""
    match value:
        case bool():
            return "on" if value else "off"
        case (float() as first, None):
            return repr(first)
        case (float() as first, float() as last):
            return f"{first!r}..{last!r}"
        case tuple():
            return " ".join(json.dumps(text, ensure_ascii=False) for text in value)
        case float():
            return repr(value)
    return str(value)
