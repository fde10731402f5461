"""Text that means harm shows as text in every format of the core."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from inferbench.report.export import html_tables as page
from inferbench.report.model import Cell, Next, Report, Table
from inferbench.report.render import RENDERERS

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\U000e0000-\U000e007f]"
)
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "link": "[click](javascript:alert(1)) <javascript:alert(1)>",
    "image": '"><img src=x onerror=alert(1)>',
    "escape": "\x1b]0;owned\x07\x1b[31mred",
    "turned": "\u202egnp.exe",
    "markup": "[bold red]loud[/bold red] [link=file:///etc/passwd]x[/link]",
    "formula": '=HYPERLINK("http://x","y")',
    "command": "@SUM(1+1)*cmd|' /C calc'!A0",
    "ticks": "`<b>x</b>``\n\n<script>alert(1)</script>`",
    "wide formula": "＝1+1",
    "formula below": "\n=1+1",
    "isolated": "\u2066a\u2069\u200b\u0085\x9b2J\U000e0041",
    "long": "A" * 10_000,
}


def of(text: str) -> Report:
    table = Table(text, (Cell(""), Cell(text)), ((Cell(text), Cell("1", (text,))),), text, legend=(text,))
    row = {"name": text, "value": -1.5, "plus": "+3.5", text: text}
    return Report((table,), {"name": text}, (row,), (Next("show", (text,)),))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_screen_is_told_no_command(text):
    shown = RENDERERS["table"].render(of(text), 80)
    letters = re.sub(r"\s", "", shown)
    for word in ("alert(1)", "[boldred]loud[/boldred]"):
        if word in text.replace(" ", ""):
            assert word in letters


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "latex", "html"])
def test_no_format_holds_a_character_that_acts(form, text):
    shown = RENDERERS[form].render(of(text), 80)
    assert not HIDDEN.search(shown)
    if form == "json":
        assert json.loads(shown)["name"] == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_markdown_holds_no_html_and_no_link(text):
    shown = re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", RENDERERS["markdown"].render(of(text), 80))
    assert "<" not in shown
    assert "](" not in shown
    assert all(line.count("|") - line.count("\\|") in (0, 3) for line in shown.splitlines())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_spreadsheet_gets_no_formula_and_numbers_stay(text):
    (row,) = csv.DictReader(io.StringIO(RENDERERS["csv"].render(of(text), 80)))
    assert not any(cell.startswith(("=", "+", "@", "\t", "\n", "|", "＝")) for cell in (*row, row["name"]))
    assert (row["value"], row["plus"]) == ("-1.5", "+3.5")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_notebook_gets_no_element_of_the_text(text):
    shown = page(of(text))
    tags = set(re.findall(r"<(/?\w+)", shown))
    assert {tag.strip("/") for tag in tags} <= {
        "h4",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "sup",
        "ol",
        "li",
    }


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_latex_gets_no_command_of_it(text):
    shown = RENDERERS["latex"].render(of(text), 80).partition("\n")[2]
    ours = {"begin", "end", "centering", "caption", "toprule", "midrule", "bottomrule", "par", "smallskip"}
    ours |= {
        "footnotesize",
        "raggedright",
        "textsuperscript",
        "quad",
        "textbf",
        "textbackslash",
        "ensuremath",
    }
    assert set(re.findall(r"\\([A-Za-z]+)", shown)) <= ours
    assert shown.replace(r"\{", "").count("{") == shown.replace(r"\}", "").count("}")
