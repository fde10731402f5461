"""What stands in the files of a site, and what is refused before anything is written."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins(
    "networks/llama3-8b", "chips/h100-sxm", "plots/roofline", "suites/reference"
)


class Page(HTMLParser):
    """Elements of a page, its links, and attributes that act."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.acting: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.acting.append(f"{tag} {name}")


def pages(folder):
    return sorted(folder.rglob("*.html"))


def test_every_link_of_a_site_leads_somewhere_and_nothing_is_loaded_from_outside(site, board):
    for folder in (site, board):
        assert len(pages(folder)) >= 5
        for path in pages(folder):
            for link in Page(path.read_text("utf-8")).links:
                if link.startswith(("https://", "http://", "#")):
                    continue
                assert (path.parent / link).resolve().exists(), (path, link)


def test_hostile_texts_make_no_element_no_action_and_no_link(site, board):
    for folder in (site, board):
        for path in pages(folder):
            page = Page(path.read_text("utf-8"))
            assert page.acting == []
            assert "img" not in page.tags
            assert "iframe" not in page.tags
            assert not [
                link for link in page.links if link.lower().startswith(("javascript:", "data:", "vbscript:"))
            ]
            assert len(re.findall(r"<script(?![^>]*application/json)", path.read_text("utf-8"))) == 1
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", path.read_text("utf-8"))


def test_downloads_hold_the_same_numbers(site):
    document = json.loads((site / "data/results.json").read_text())
    rows = list(csv.DictReader((site / "data/results.csv").read_text().splitlines()))
    assert len(rows) == len(document["results"]) == 6
    for row, result in zip(rows, document["results"], strict=True):
        assert float(row["utilization"]) == result["metrics"]["utilization"]
    assert (site / "data/results.tex").read_text().count(r"\toprule") == 2


def test_a_board_has_an_api_with_its_schema(board):
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads((board / "api/records.json").read_text())
    jsonschema.validate(document, json.loads((board / "api/schema.json").read_text()))
    assert [one["name"] for one in document["records"]] == ["good", "bad"]
    assert [one["whole"] for one in document["records"]] == [True, False]
    stored = json.loads((board / "api" / document["records"][0]["file"]).read_text())
    assert stored["results"] == document["records"][0]["results"]


def test_a_tampered_record_is_marked_on_its_board(board):
    assert "changed since it was made" in (board / "index.html").read_text("utf-8")
    assert "its hash is another" in (board / "records/bad.html").read_text("utf-8")
    assert "as it was made" in (board / "records/good.html").read_text("utf-8")


def test_a_site_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 15e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("b200", "--out", "FULL"), "the folder is not empty"),
        (("b200", "--out", "FULL/x"), "is a file"),
        (("nosuch", "--out", "NEW"), "unknown chip"),
        (("b200", "x.json", "--out", "NEW"), "of systems or of records, not of both"),
        (("x.json", "--out", "NEW"), "can't be read"),
        (("FULL/x.json", "--out", "NEW"), "is not 'inferbench.record/1'"),
    ],
)
def test_bad_input_is_one_message_and_writes_nothing(cli, tmp_path, arguments, message):
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("mine")
    (full / "x.json").write_text('{"schema": "inferbench.record/7"}')
    given = [one.replace("FULL", str(full)).replace("NEW", str(tmp_path / "new")) for one in arguments]
    code, out, err = cli("report", *given)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "new").exists()
    assert (full / "x").read_text() == "mine"


def test_jinja_is_loaded_where_it_is_used(cli):
    import subprocess
    import sys

    code = "import sys, inferbench as ib; ib.installed().names('commands'); print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"


def row(value, low, high, **more):
    ends = {
        "tokens_per_s_per_user": value,
        "tokens_per_s_per_user_low": low,
        "tokens_per_s_per_user_high": high,
    }
    return {"work": "decode", "feasible": True, "grade": "calibrated", **ends, **more}


def test_a_ratio_has_the_errors_of_both():
    """Twice as fast, each known to a factor of 1.5: sqrt(2) ln 1.5 to either end of nine in ten.

    Half of the normal distribution and what lies within 1.6449 standard errors is 95%.
    """
    from inferbench_site.pairs import ratios

    (found,) = ratios(row(60.0, 40.0, 90.0), row(30.0, 20.0, 45.0))
    assert found["ratio"] == 2.0
    assert found["ratio_low"] == pytest.approx(2.0 / 1.5**2**0.5, rel=1e-9)
    assert found["ratio_high"] == pytest.approx(2.0 * 1.5**2**0.5, rel=1e-9)
    (level,) = ratios(row(60.0, 40.0, 90.0), row(60.0 / 1.5**2**0.5, 20.0, 45.0))
    assert level["odds"] == pytest.approx(0.95, abs=1e-9)


def test_shares_and_odds_are_read_without_prefixes():
    from inferbench_site.pages import rows_table

    rows = [{"share": 0.00134, "share_low": 0.0012, "share_high": 0.0074, "odds": odds} for odds in (1e-9, 1)]
    cells = rows_table([*rows, {"odds": 0.856}], {"share": ("share", "%"), "odds": ("odds", "odds")})["rows"]
    assert (cells[0][0]["text"], cells[0][0]["ends"]) == ("0.134 %", "[0.12–0.74 %]")
    assert [line[1]["text"] for line in cells] == ["< 1 %", "> 99 %", "86 %"]


def test_a_map_is_of_as_many_chips_as_the_rest_of_its_page():
    """The chip's page names the system; a grid of large batches needs more chips, which stay out."""
    from inferbench_site.build import _map

    known = ib.installed()
    asked = {"batch": 1, "context": 2048, "precision": "8bit", "registry": known}
    run = ib.compare(["l40s"], "llama3-70b/decode", **asked).columns[0][0].run
    mapped = _map(known, "l40s", run)
    assert run.system.count > 1
    assert mapped is not None
    assert mapped.columns[0][0].run.system.count == run.system.count


def test_a_bound_has_a_ratio_and_no_odds():
    from inferbench_site.pairs import ratios

    (found,) = ratios(row(60.0, None, None, grade="bound"), row(30.0, 20.0, 45.0))
    assert found["ratio"] == 2.0
    assert "odds" not in found
    assert list(ratios(row(60.0, 40.0, 90.0, feasible=False), row(30.0, 20.0, 45.0))) == []


def test_of_many_systems_only_pairs_with_the_first_have_pages():
    from inferbench_site.pairs import pairs

    assert len(pairs([f"chip {i}" for i in range(12)])) == 66
    assert [(pair.first, pair.second) for pair in pairs([f"chip {i}" for i in range(13)])] == [
        (0, i) for i in range(1, 13)
    ]
    assert len({pair.page for pair in pairs(["same", "same", "same"])}) == 3


def test_a_column_with_a_number_stands_to_the_right_whatever_is_missing_in_it():
    from inferbench_site.pages import rows_table

    rows = [{"time": None, "name": "a", "fits": True}, {"time": 0.25, "name": "b", "fits": False}]
    made = rows_table(rows, {"time": ("time", "s"), "name": ("name", ""), "fits": ("fits", "")})
    assert [head["right"] for head in made["heads"]] == [True, False, False]
    assert [cell["text"] for cell in made["rows"][0]] == ["\u2013", "a", "yes"]
    assert [cell["text"] for cell in made["rows"][1]] == ["250 ms", "b", "no"]
    assert [cell["sort"] for cell in made["rows"][1]] == [0.25, "", ""]
    assert {cell["right"] for row in made["rows"] for cell in row[:1]} == {True}
