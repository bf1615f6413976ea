"""What somebody wrote, and what they quoted: the lines of a mail, taken apart.

quotequail finds where a quote begins. Before, the lines that introduce one are brought into a form that it knows, since
programs wrap them and say them in many ways; after, its text is taken from the place that it found, since it looks
for the innermost quote where we want the outermost.
"""

from __future__ import annotations

import re
from typing import Any

from seqgen.mail.extras import missing

MAX_LINES = 800
"""Lines in which a quote may begin: the library's time grows with their square."""
_ROUNDS = 10
_LONG = 300
"""Characters of a line that are looked at together."""
_SHORT = 60
_UNLIKE = "\ue000"
"""What makes a line unlike an introduction that quotequail would take it for; no text has it (see `cleaning`)."""
_PIECE = f"{_UNLIKE}\n"
_INTRODUCED = "On that day somebody wrote:"
_MARKED = "-----Original Message-----"
_FORWARDED = "-----Forwarded Message-----"

_PREFIX = re.compile(r"(?:> ?)*")
_DATE = re.compile(r"\d{4}|\d\d?[:.h]\d\d|@")
"""What there is in each introduction: a year, a time or an address."""
_VERB = (
    r"\b(?:wrote|writes|schrieb|geschrieben|a écrit|écrivait|escribi[óo]|ha scritto|scrive|schreef|geschreven|escreveu"
    r"|skrev|написал)\b"
)
_WROTE = re.compile(_VERB, re.IGNORECASE)
_WROTE_THEN = re.compile(rf"{_VERB} (?:on|am|le|el|il|op|em)\b", re.IGNORECASE)
_MYSELF = re.compile(r"\b(?:(?:I|we) wrote|schrieben? (?:ich|wir)|j['’]ai écrit)\b", re.IGNORECASE)
_START = re.compile(r"(?:(?:On|Am|Le|El|En|Il|Em|Op|Den)\b|\d{1,2}[./]|\d{4}-)")
_NO_VERB = re.compile(
    r"(?:Zitat von|Quoting|Citando) .{2,100}:|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b[^<>]{0,120}<[^<>\s@]+@[^<>\s@]+>:"
)
_ORIGINAL = re.compile(
    r"-{3,} ?(?:original (?:message|appointment)|ursprüngliche (?:nachricht|e-mail)|message d['’]origine|mensaje original"
    rf"|messaggio originale|oorspronkelijk bericht|mensagem original|.{{1,80}} {_VERB} ?:) ?-{{3,}}",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"-{3,} ?(?:forwarded (?:message|by .{1,80})|weitergeleitete nachricht|message transféré|mensaje reenviado"
    r"|messaggio inoltrato|doorgestuurd bericht|mensagem encaminhada) ?-{3,}"
    r"|(?:begin forwarded message|anfang der weitergeleiteten (?:e-?mail|nachricht)|début du message (?:réexpédié|transféré)"
    r"|inicio del mensaje reenviado|inizio messaggio inoltrato|begin doorgestuurd bericht) ?:",
    re.IGNORECASE,
)
_INLINE = re.compile(
    rf"((?:On|Am|Le|El|Il|Em|Op) [^<>]{{10,200}} ?<[^<>\s@]{{1,100}}@[^<>\s]{{1,100}}> ?(?:[^<>:]{{0,20}}{_VERB}) ?:) (?=\S)"
)
"""An introduction before what is quoted on the same line, as some phones write it."""
_HEADER = re.compile(r"[*_]{0,2}[^\W\d][\w -]{0,24}[*_]{0,2} ?:")
_SIGN = re.compile(r"^>|:|[-_>]$", re.MULTILINE)
_WRAPPED = 3
"""Lines, and one more, that quotequail takes together."""
_RULE = re.compile(r"[-_=*]{5,}")
_ITALIAN = {"da": "From", "inviato": "Sent", "oggetto": "Subject", "data": "Date"}
_ITALIAN_HEADER = re.compile(r"\*?(Da|Inviato|Oggetto|Data) ?:\*?(?= )")


def split(text: str) -> tuple[list[str], str]:
    """The parts that the sender wrote, and the text that they quoted without its own quotes.

    Args:
        text: a mail, its lines without white space at their ends.

    Raises:
        DataError: quotequail is not installed.
    """
    own, quoted = _split(text)
    return own, "\n\n".join(part for quote in quoted for part in _split(quote)[0])


def _split(text: str) -> tuple[list[str], list[str]]:
    """What was written and what was quoted, in their order."""
    lines = _introduced(_INLINE.sub(r"\1\n", text).split("\n"))
    end = next((number for number in range(min(MAX_LINES, len(lines)), 0, -1) if lines[number - 1]), 0)
    rest = re.sub(rf"([^\n]{{{_LONG}}})(?=[^\n>])", rf"\1{_PIECE}", "\n".join(lines[:end]))
    beyond = lines[end:]
    own: list[str] = []
    quoted: list[str] = []
    for _ in range(_ROUNDS):
        found = _find(rest)
        if found is None:
            break
        before, quote, rest, ends = found
        own.append(before)
        quoted.append(quote)
        if ends:
            quoted[-1] = "\n".join([quote, *beyond]) if quote else ""
            beyond = []
            break
    own.append("\n".join([rest, *beyond]))
    parts: list[str] = []
    for part in own:
        _take_marked(_whole(part), parts, quoted)
    return [part for part in parts if part.strip()], [_whole(quote) for quote in quoted if quote.strip()]


def _whole(text: str) -> str:
    """A text without what was put into it for quotequail."""
    return text.replace(_PIECE, "").replace(_UNLIKE, "")


def _find(text: str) -> tuple[str, str, str, bool] | None:
    """What stands before the next quote, the quote, what stands behind it, and whether nothing can stand there."""
    start = _first_sign(text)
    head, text = text[:start], text[start:]
    found = _unwrap(text) if text else None
    if found is None:
        return None
    before = found.get("text_top", "")
    lines = text.strip()[len(before) :].strip().split("\n")
    following = next((line for line in lines[1:] if line.strip()), "")
    if found["type"] == "quote" or lines[0].startswith(">") or following.startswith(">"):
        return head + before, _unless_forwarded(lines[0], found.get("text", "")), found.get("text_bottom", ""), False
    if found["type"] == "reply":
        return head + before, "\n".join(lines[1:]), "", True
    marked = not _HEADER.match(lines[0])
    if not marked and not ("from" in found and ("date" in found or "subject" in found)):
        return None
    body = lines[1:] if marked else lines
    if _HEADER.match(following) or not marked:
        body = _below_headers(body)
    return _without_rule(head + before), _unless_forwarded(lines[0], "\n".join(body)), "", True


def _first_sign(text: str) -> int:
    """Where the lines begin of which one can introduce a quote: quotequail compares each with all that it knows."""
    sign = _SIGN.search(text)
    if sign is None:
        return len(text)
    end = sign.start()
    for _ in range(_WRAPPED):
        end = max(text.rfind("\n", 0, end), 0)
    return end + 1 if end else 0


def _unwrap(text: str) -> dict[str, Any] | None:
    try:
        import quotequail
    except ImportError as error:
        raise missing(error) from error
    found: dict[str, Any] | None = quotequail.unwrap(text)
    return found


def _unless_forwarded(marker: str, quote: str) -> str:
    """A quote; what is forwarded is not what the mail answers."""
    return "" if _FORWARDED in marker else quote


def _without_rule(text: str) -> str:
    """A text without the line that Outlook draws below it."""
    lines = text.split("\n")
    while lines and (not lines[-1].strip() or _RULE.fullmatch(lines[-1].strip())):
        lines.pop()
    return "\n".join(lines)


def _below_headers(lines: list[str]) -> list[str]:
    """The lines below a block of headers; lists of addresses may go over several lines."""
    start = next((index for index, line in enumerate(lines) if line), 0)
    for index in range(start, len(lines)):
        if not lines[index] or not (_HEADER.match(lines[index]) or re.search("[@;<]", lines[index])):
            return lines[index:]
    return []


def _introduced(lines: list[str]) -> list[str]:
    """The lines; each that introduces a quote in a form that quotequail knows, wrapped ones joined."""
    italian = any(line.startswith(("Da:", "*Da:*")) for line in lines) and any("Oggetto:" in line for line in lines)
    result: list[str] = []
    for number, line in enumerate(lines):
        prefix = _PREFIX.match(line)
        start = prefix.group() if prefix else ""
        bare = line[len(start) :]
        result.append(line)
        if (bare.startswith("-") and len(bare) < 120) or bare.endswith(":"):
            if _FORWARD.fullmatch(bare):
                result[-1] = start + _FORWARDED
            elif _ORIGINAL.fullmatch(bare):
                result[-1] = start + _MARKED
        if bare.endswith(":"):
            below = next(filter(None, lines[number + 1 : number + 3]), "")
            if below.startswith(start + ">") and _introduces_shortly(bare):
                result[-1] = start + _INTRODUCED
            _join_introduction(result, start)
        elif italian:
            result[-1] = start + _ITALIAN_HEADER.sub(lambda match: f"{_ITALIAN[match[1].lower()]}:", bare)
    return result


def _join_introduction(lines: list[str], prefix: str) -> None:
    """Replaces the last line, or the last ones where they were wrapped, if they introduce a quote."""
    joined = ""
    count = 0
    for size in range(1, min(4, len(lines)) + 1):
        line = lines[-size]
        bare = line[len(prefix) :].strip()
        if not line.startswith(prefix) or not bare or len(line) + len(joined) > _LONG:
            break
        joined = f"{bare} {joined}".strip()
        if _START.match(bare) and _introduces(joined):
            count = size  # the whole of it: an address and a verb alone could also be the end of a longer one
            break
        if not count and _introduces(joined):
            count = size
    if count:
        lines[-count:] = [prefix + _INTRODUCED]
    elif _WROTE.search(lines[-1]):
        lines[-1] = f"{lines[-1][:-1]}{_UNLIKE}:"


def _introduces_shortly(line: str) -> bool:
    """Whether a line above ">" introduces that quote without a day, such as "Anna wrote:"."""
    return len(line) <= _SHORT and _WROTE.search(line) is not None and not _MYSELF.search(line)


def _introduces(line: str) -> bool:
    """Whether a line says that somebody wrote what follows."""
    wrote = _WROTE.search(line)
    if wrote is None:
        return _NO_VERB.fullmatch(line) is not None
    if not _DATE.search(line) or _MYSELF.search(line):
        return False
    return _START.match(line) is not None or "@" in line[: wrote.start()] or _WROTE_THEN.search(line) is not None


def _take_marked(text: str, own: list[str], quoted: list[str]) -> None:
    """Parts a text into what is marked with ">" and what is not; short quotes without an introduction are still there."""
    part: list[str] = []
    quote: list[str] = []
    for line in text.split("\n"):
        if line.startswith(">"):
            quote.append(line[1:].strip())
        elif line.strip() or not quote:
            if quote:
                quoted.append("\n".join(quote))
                own.append("\n".join(part))
                part, quote = [], []
            if line != _INTRODUCED:
                part.append(line)
    if quote:
        quoted.append("\n".join(quote))
    own.append("\n".join(part))
