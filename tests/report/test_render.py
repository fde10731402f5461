"""Screens of any width: a table may be split and wrapped, but never loses a character."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferbench.report.model import Cell, Report, Table
from inferbench.report.render import RENDERERS, align

TEXT = st.text("abc 0123456789.", min_size=1, max_size=90).map(str.strip)


@st.composite
def tables(draw):
    columns = draw(st.integers(2, 5))
    rows = draw(st.lists(st.lists(TEXT, min_size=columns, max_size=columns), min_size=1, max_size=3))
    heads = draw(st.lists(TEXT, min_size=columns, max_size=columns))
    return Table(
        "title",
        tuple(map(Cell, heads)),
        tuple(tuple(map(Cell, row)) for row in rows),
        numeric=draw(st.booleans()),
    )


@given(tables(), st.integers(20, 160))
def test_no_character_is_lost(table, width):
    text = RENDERERS["table"].render(Report((table,)), width)
    there = Counter(text.replace(" ", ""))
    wanted = Counter(
        "".join(cell.text for row in (table.columns, *table.rows) for cell in row).replace(" ", "")
    )
    assert not wanted - there
    assert max(map(len, text.splitlines())) <= width


def test_a_sentence_beside_a_label_wraps():
    sentence = "a GEMM of M=32 (91.8 µs) is slower than one of M=64 (87.7 µs) at N=K=8192"
    table = Table("", (Cell("state"), Cell("found")), ((Cell("doubtful"), Cell(sentence)),))
    assert sentence in " ".join(RENDERERS["table"].render(Report((table,)), 80).split())


@pytest.mark.parametrize(
    ("texts", "aligned"),
    [
        (["1.5", "10", "100.25"], ["  1.5", " 10", "100.25"]),
        (["1.00 GB", "–", "12.0 GB"], [" 1.00 GB", "–", "12.0 GB"]),
    ],
)
def test_numbers_are_aligned_on_the_decimal(texts, aligned):
    assert align(texts) == aligned


def test_equal_footnotes_share_a_number_and_json_stays_whole():
    cells = (Cell("a"), Cell("1", ("why",)), Cell("2", ("why", "other")))
    report = Report((Table("t", (Cell(""), Cell("x"), Cell("y")), (cells,)),), {"x": 1e-300})
    text = RENDERERS["table"].render(report, 80)
    assert "1¹" in text
    assert "2¹ ²" in text
    assert "¹ why\n² other" in text
    assert RENDERERS["json"].render(report, 80) == '{\n  "x": 1e-300\n}\n'
