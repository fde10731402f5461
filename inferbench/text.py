"""Text that others wrote, made harmless to look at: what can't be seen is written out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

__all__ = ["all_visible", "escaped", "short", "visible"]

# Controls (ESC begins a terminal's commands), marks that turn the direction of writing, what has no width,
# half surrogates, and the invisible tags beyond the basic plane. Tabs and line feeds stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Write out every character that would act on a screen instead of being read.

    Example:
        >>> visible("a\\x1b[31mb"), visible("\\u202egnp")
        ('a␛[31mb', '⟨U+202E⟩gnp')
    """
    return _HIDDEN.sub(_name, text)


def all_visible(texts: Iterable[str]) -> tuple[str, ...]:
    """The same for several texts."""
    return tuple(visible(text) for text in texts)


def escaped(text: str) -> str:
    """Write the same characters of a JSON text as JSON escapes, which any reader turns back.

    Example:
        >>> escaped('{"a": "\\u202egnp"}')
        '{"a": "\\\\u202egnp"}'
    """
    return _HIDDEN.sub(lambda match: json.dumps(match[0])[1:-1], text)


def short(text: str, most: int = 40) -> str:
    """Cut a text to so many characters; the last one says that there was more.

    Example:
        >>> short("abcdef", 4)
        'abc…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _name(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
