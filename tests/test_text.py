"""Text of others: what would act on a screen is written out, what can be read stays."""

from __future__ import annotations

import pytest

from inferbench.text import short, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – “quoted” 芯片 é", "plain – “quoted” 芯片 é"),
        ("\x1b[2J\x07", "␛[2J␇"),
        ("a\u202eb\u2066c", "a⟨U+202E⟩b⟨U+2066⟩c"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x7f\x9b31m", "␡⟨U+009B⟩31m"),
    ],
)
def test_what_acts_on_a_screen_is_written_out(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown


def test_a_cut_text_says_so_and_never_grows():
    assert short("x" * 10_000, 40) == "x" * 39 + "…"
    assert short("x" * 40, 40) == "x" * 40
