"""Every mark on a screen has its footnote, and every footnote its mark, at any width."""

from __future__ import annotations

import re

import pytest

from inferbench.report.model import Cell, Report, Table
from inferbench.report.render import RENDERERS

RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
SCREENS = (
    ("compare", "b200", "groq-lpu", "tpu-v5p"),
    ("compare", "b200", "gaudi-3", "-w", "llama3-8b/decode", "-v"),
    ("compare", "b200", "tpu-v7", "-w", "llama3-8b", "--users-at", "60tok/s"),
    ("run", "8xh100", "llama3-8b/decode", "--batch", "1,8", "-v"),
    ("card", "b200", "groq-lpu"),
    ("frontier", "b200", "tpu-v7", "1xgroq-lpu", "-w", "llama3-8b", "--batch", "1,8"),
    ("size", "llama3-8b/decode", "--tpot", "20ms", "--users", "8", "--chips", "b200,tpu-v6e"),
    ("sweep", "b200", "mi355x", "-w", "llama3-8b/decode", "--batch", "1,8", "--context", "1024", "-v"),
    ("op", "b200", "gemm", "--m", "8", "--n", "4096", "--k", "4096"),
    ("show", "b200"),
)


def split(text):
    """Marks of cells, and numbers of footnotes."""
    marks, notes = set(), set()
    for line in re.sub("mm²", "", text).splitlines():
        found = re.findall(f"(?:^|  )([{RAISED}]+) (?! )", line)
        if re.match(f"[{RAISED}]+ ", line):
            notes |= set(found)
        else:
            marks |= set(re.findall(f"[{RAISED}]+", line))
    return marks, notes


@pytest.mark.needs_plugins("chips/b200", "chips/tpu-v7", "networks/llama3-8b", "stacks/trtllm-1.3-b200")
@pytest.mark.slow
@pytest.mark.parametrize("width", ["80", "120", "160"])
@pytest.mark.parametrize("words", SCREENS, ids=lambda words: f"{words[0]}-{len(words)}")
def test_marks_and_footnotes_answer_each_other(cli, monkeypatch, words, width):
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = cli(*words)
    assert code == 0
    marks, notes = split(out)
    assert marks == notes
    assert max(map(len, out.splitlines())) <= int(width)


def test_a_remark_on_a_whole_table_has_no_number():
    table = Table("t", (Cell(""), Cell("x", ("why",))), ((Cell("a"), Cell("1")),), notes=("a remark",))
    marks, notes = split(RENDERERS["table"].render(Report((table,)), 80))
    assert (marks, notes) == ({"¹"}, {"¹"})
