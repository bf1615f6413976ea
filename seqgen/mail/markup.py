"""The text of a mail in HTML, as a mail in plain text would have it: what is quoted behind ">"."""

from __future__ import annotations

import functools
import re
from typing import Any

from seqgen.mail.extras import missing

MAX_CHARACTERS = 1 << 18
"""Characters of HTML that are read."""
_MOST_ROWS = 1000
"""Rows of tables in a page up to which cells stand side by side: each is as wide as the widest of its column."""
_TABLE = re.compile(r"<(/?)t(?:able|[dhr])\b", re.IGNORECASE)
_QUOTE, _SIGNATURE = "quote", "signature"
_SIGNATURES = {
    *("#class=gmail_signature", "#class=moz-signature", "#class=protonmail_signature_block", "#id=Signature"),
    *("#id=AppleMailSignature", "#id=ms-outlook-mobile-signature"),
}


def text_of(page: str) -> str:
    """The text of a mail's HTML, without the signatures that are marked in it.

    Raises:
        DataError: inscriptis is not installed.
    """
    try:
        from inscriptis import get_annotated_text
    except ImportError as error:
        raise missing(error) from error
    page = page[:MAX_CHARACTERS].replace("\0", "").lstrip("\ufeff")
    if page.lower().count("<tr") > _MOST_ROWS:
        page = _TABLE.sub(r"<\1div", page)
    found: dict[str, Any] = get_annotated_text(page, _config())
    spans = [(start, end, label) for start, end, label in found.get("label", ()) if end > start]
    return _marked(found.get("text", ""), spans)


@functools.cache
def _config() -> Any:
    """How pages are read; made once, since inscriptis writes its rules into the styles that it is given."""
    from inscriptis.css_profiles import STRICT_CSS_PROFILE
    from inscriptis.model.config import ParserConfig

    rules = {"blockquote": [_QUOTE]} | {where: [_SIGNATURE] for where in _SIGNATURES}
    return ParserConfig(css=STRICT_CSS_PROFILE.copy(), annotation_rules=rules)


def _marked(text: str, spans: list[tuple[int, int, str]]) -> str:
    """The text; each line that begins in quotes with a ">" for each of them, and none that begins in a signature."""
    changes = sorted([(start, 1, label) for start, _, label in spans] + [(end, -1, label) for _, end, label in spans])
    depth = {_QUOTE: 0, _SIGNATURE: 0}
    lines = []
    position = next_change = 0
    for line in text.split("\n"):
        begin = position + len(line) - len(line.lstrip())
        while next_change < len(changes) and changes[next_change][0] <= begin:
            _, step, label = changes[next_change]
            depth[label] += step
            next_change += 1
        if not depth[_SIGNATURE]:
            lines.append("> " * depth[_QUOTE] + line.strip())
        position += len(line) + 1
    pairs = zip(["-", *lines], lines, strict=False)
    return "\n".join(line for before, line in pairs if line.strip("> ") or line != before)
