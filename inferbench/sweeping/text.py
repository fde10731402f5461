"""A column of few different texts, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

__all__ = ["Text"]


@attrs.define(eq=False)
class Text:
    """A column of few different texts.

    Attributes:
        codes: Index into `words` per row, int32; -1 for none.
        words: In order of first appearance.
    """

    codes: Any
    words: dict[str, int] = attrs.field(factory=dict)

    def code(self, word: str) -> int:
        """Number of a word, given on first sight."""
        return self.words.setdefault(word, len(self.words))

    def many(self, words: Sequence[str]) -> Any:
        """Numbers of several words."""
        return np.array([self.code(word) for word in words], dtype=np.int32)

    def values(self) -> Any:
        """The texts themselves, None for none (object array)."""
        words = np.array([*self.words, None], dtype=object)
        return words[self.codes]
