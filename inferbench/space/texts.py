"""Columns of few different texts, each written once; and columns put together, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from inferbench.num import Column

__all__ = ["Text", "joined"]


@attrs.define(eq=False)
class Text:
    """A column of few different texts.

    Attributes:
        codes: Index into `words` per row, int32; -1 for none.
        words: In order of first appearance.

    Example:
        >>> column = Text.of(["a", None, "a", "b"])
        >>> column.codes.tolist(), list(column.words)
        ([0, -1, 0, 1], ['a', 'b'])
    """

    codes: Column
    words: dict[str, int] = attrs.field(factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Text:
        """A column out of texts, None for none."""
        words: dict[str, int] = {}
        codes = [-1 if text is None else words.setdefault(text, len(words)) for text in texts]
        return cls(np.array(codes, dtype=np.int32), words)

    def code(self, word: str) -> int:
        """Number of a word, given on first sight."""
        return self.words.setdefault(word, len(self.words))

    def many(self, words: Sequence[str]) -> Column:
        """Numbers of several words, int32."""
        return np.array([self.code(word) for word in words], dtype=np.int32)

    def values(self) -> Column:
        """The texts themselves, None for none (object array)."""
        words = np.array([*self.words, None], dtype=object)
        return np.asarray(words[self.codes])

    def __getitem__(self, rows: slice) -> Text:
        """Some rows of it, over the same words."""
        return Text(self.codes[rows], self.words)

    def __len__(self) -> int:
        return len(self.codes)


def joined(parts: Sequence[Mapping[str, Column | Text]]) -> dict[str, Column | Text]:
    """Put columns of several parts one below the other.

    Args:
        parts: Each of the same names.

    Example:
        >>> whole = joined([{"chip": Text.of(["b"])}, {"chip": Text.of(["a", "b"])}])["chip"]
        >>> whole.values().tolist(), whole.codes.tolist()
        (['b', 'a', 'b'], [0, 1, 0])
    """
    if len(parts) == 1:
        return dict(parts[0])
    return {name: _below([part[name] for part in parts]) for name in parts[0]}


def _below(columns: Sequence[Column | Text]) -> Column | Text:
    if not isinstance(columns[0], Text):
        return np.concatenate([column for column in columns if not isinstance(column, Text)])
    whole = Text(np.empty(sum(map(len, columns)), dtype=np.int32))
    start = 0
    for column in columns:
        assert isinstance(column, Text)
        ours = np.append(whole.many(list(column.words)), np.int32(-1))
        whole.codes[start : start + len(column)] = ours[column.codes]
        start += len(column)
    return whole
