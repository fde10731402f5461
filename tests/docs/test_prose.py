"""The prose of the documentation: short sentences, the field's words."""

from __future__ import annotations

import prose
import pytest

PAGES = prose.pages()
NAMES = [page.relative_to(prose.ROOT).as_posix() for page in PAGES]
# Sentences that are longer for a reason: their beginning.
ALLOWED: tuple[str, ...] = ()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_sentence_has_at_most_25_words(page):
    found = [one for one in prose.too_long(page) if not one.text.startswith(ALLOWED or ("\0",))]
    assert [f"line {one.line}, {one.words} words: {one.text}" for one in found] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_uses_the_words_of_the_field(page):
    assert prose.private(page) == [], "CONTRIBUTING.md has the list of words"


def test_sentences_are_found_in_paragraphs_lists_and_over_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading is none\n\nOne two three. Four `a b c` five:\n\n    code is left out\n\n"
        "- an item of a list\n  goes on here. Then ends.\n\n| a | table |\n"
    )
    assert [(one.line, one.words) for one in prose.sentences(page)] == [(3, 3), (3, 3), (7, 8), (7, 2)]
