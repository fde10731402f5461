"""Reports as files: the end of the name says the format, and nothing of a table is lost."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser

import pytest

from inferbench.report.model import Cell, Report, Table
from inferbench.report.render import RENDERERS

HEADS = (Cell(""), Cell("a & b", ("50 % of it",)), Cell("x_1"))
ROWS = ((Cell("  $/Mtok"), Cell("1.5 [.9–2]", best=True), Cell("≤ 98k", ("why", "50 % of it"))),)
TABLE = Table("Cost #1", HEADS, ROWS, "aside", notes=("a doubt",), legend=("● calibrated",))
REPORT = Report((TABLE,), {}, ({"a": 1.5, "b": "x", "c": None}, {"a": None, "c": [1]}, {"b": 2}))


def written(form):
    return RENDERERS[form].render(REPORT, 80)


def test_latex_is_booktabs_and_no_sign_of_a_cell_is_a_command():
    text = written("latex")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{Cost \#1 --- aside}"):
        assert text.count(rule) == 1
    for cell in (r"a \& b\textsuperscript{1}", r"x\_1", r"\quad{}\$/Mtok", r"\textbf{1.5 [.9--2]}"):
        assert cell in text
    assert r"$\leq$ 98k\textsuperscript{2} \textsuperscript{1}" in text
    assert r"\textsuperscript{1} 50 \% of it\par" in text
    assert "a doubt" in text
    assert r"$\bullet$ calibrated" in text
    assert text.isascii()


def test_markdown_keeps_pipes_and_weight():
    text = RENDERERS["markdown"].render(Report((Table("", (Cell("a|b"),), ((Cell("1", best=True),),)),)), 80)
    assert "a\\|b" in text
    assert "**1**" in text


def test_html_is_a_page_whose_texts_are_escaped():
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)  # type: ignore[method-assign]
    text = written("html")
    parser.feed(text)
    assert text.startswith("<!doctype html>")
    assert {"table", "th", "td", "b", "sup", "ol", "li"} <= set(found)
    assert "a &amp; b<sup>1</sup>" in text


def test_parquet_holds_the_rows_of_csv(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    path.write_bytes(written("parquet"))
    assert parquet.read_table(path).to_pylist() == [
        {"a": 1.5, "b": "x", "c": None},
        {"a": None, "b": None, "c": [1]},
        {"a": None, "b": "2", "c": None},
    ]


SCREENS = (
    ("compare", "b200", "groq-lpu", "-w", "llama3-8b/decode"),
    ("run", "b200", "llama3-8b/decode"),
    ("card", "b200"),
    ("frontier", "b200", "-w", "llama3-8b", "--batch", "1,8", "--chunk", "none"),
    ("size", "llama3-8b/decode", "--tpot", "20ms", "--users", "8", "--chips", "b200"),
    ("op", "b200", "gemm", "--m", "8", "--n", "8", "--k", "8"),
    ("explain", "b200", "llama3-8b/decode", "--measured", "9ms", "--stack", "trtllm-1.3-b200"),
    ("list", "chips"),
    ("show", "b200"),
    ("sweep", "b200", "-w", "llama3-8b/decode", "--batch", "1,8", "--context", "1024"),
)


@pytest.mark.needs_plugins("chips/b200", "chips/groq-lpu", "networks/llama3-8b", "metrics/tpot_s")
@pytest.mark.parametrize("words", SCREENS, ids=lambda words: words[0])
def test_the_end_of_a_name_says_the_format(cli, tmp_path, words):
    begins = {
        "csv": None,
        "json": "{",
        "md": None,
        "tex": "% needs",
        "html": "<!doctype html>",
        "txt": None,
    }
    for end, first in begins.items():
        path = tmp_path / f"x.{end}"
        assert cli(*words, "--out", str(path))[:2] == (0, "")
        text = path.read_text("utf-8")
        assert text.startswith(first or "")
    assert "schema" in json.loads((tmp_path / "x.json").read_text("utf-8"))
    assert len(list(csv.reader((tmp_path / "x.csv").read_text("utf-8").splitlines()))) > 1
    assert "|" in (tmp_path / "x.md").read_text("utf-8")


@pytest.mark.needs_plugins("chips/b200")
def test_an_end_that_nothing_writes_is_refused_and_bytes_are_no_screen(cli, tmp_path):
    code, _, err = cli("list", "chips", "--out", str(tmp_path / "x.xlsx"))
    assert (code, "no format is written to '*.xlsx'" in err) == (2, True)
    assert not list(tmp_path.iterdir())
    code, _, err = cli("list", "chips", "--format", "parquet")
    assert (code, "add --out answer.parquet" in err) == (2, True)
