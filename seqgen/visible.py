"""Text that a terminal may be sent: what would drive it, or turn the direction of what it shows, is seen and not obeyed."""

from __future__ import annotations

_CONTROLS = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
"""What terminals obey (C0, DEL and C1), but for line feeds and tabs, which are a part of texts."""
_TURNS = (0x61C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""What turns the direction of writing, so that a text is shown in another order than it has, and what ends a line elsewhere."""
_SURROGATES = range(0xD800, 0xE000)
"""Halves of characters. Bytes that are no UTF-8 in the name of a file or an argument become such ones."""
_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
"""How Python holds the bytes of a file's name that are no text."""
VISIBLE = {
    **{code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in (*_CONTROLS, *_TURNS, *_SURROGATES)},
    **_BYTES,
}
"""Code -> what is seen in its place: of control characters, of what turns the direction, of halves of characters."""
_ON_ONE_LINE = {**VISIBLE, 0x0A: "\\n"}
_FIELD = {**_ON_ONE_LINE, 0x09: "\\t", 0x5C: "\\\\"}
_IN_JSON = {code: f"\\u{code:04x}" for code in VISIBLE if code >= 0x7F}


def visible(text: str) -> str:
    r"""A text with `\x1b` in the place of the character 27, and so on for all that is in `VISIBLE`: tabs and line feeds stay."""
    return text.translate(VISIBLE)


def one_line(text: str) -> str:
    r"""The same of what is named in a line, such as a file: its line feeds are `\n`, so that it cannot look like two lines."""
    return text.translate(_ON_ONE_LINE)


def escaped(text: str) -> str:
    r"""A text as a field of a line for programs: also tabs are `\t`, and a backslash is two, so that it can be read back."""
    return text.translate(_FIELD)


def escaped_in_json(json: str) -> str:
    """JSON that says the same without those characters: inside its strings they are written as numbers."""
    return json.translate(_IN_JSON)
