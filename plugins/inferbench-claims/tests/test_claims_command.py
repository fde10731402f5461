"""`inferbench claims`: what it prints, and how it ends."""

import csv
import io
import json
from pathlib import Path

import pytest

FILE = """
title = "Toy"
[groups]
A = "sums"
[given]
dozen = 12
[[claims]]
id = "A1"
quote = "two and two is 4.0"
said = "4.0"
verdict = "EXACT"
expression = "2 + 2"
[[claims]]
id = "A2"
quote = "a dozen is 10 kg or so, as everybody who ever counted eggs in a market will readily tell you"
said = "10 k"
verdict = "WRONG"
corrected = "given.dozen * 1000"
assumption = "a dozen is 12"
[[claims]]
id = "B1"
quote = "needs what nobody has"
said = "1"
verdict = "EXACT"
expression = "none.useful"
needs = ["inferbench-none"]
"""
BROKEN = (
    FILE
    + """
[[claims]]
id = "B2"
quote = "two and two is 5"
said = "5"
verdict = "EXACT"
expression = "2 + 2"
[[claims]]
id = "B3"
quote = "a dozen is 10"
said = "10"
verdict = "WRONG"
corrected = "10"
assumption = "nothing"
"""
)


def test_wide(claims):
    code, out, _ = claims(FILE, columns=160)
    assert code == 0
    lines = [line.split("  ") for line in out.splitlines()]
    parts = [[part.strip() for part in line if part.strip()] for line in lines]
    assert ["toy · sums", "2 of 2 verdicts hold"] in parts
    assert ["A1", "two and two is 4.0", "4.0", "4.000", "–", "0 %", "exact", "✓ holds"] in parts
    assert next(p for p in parts if "10 k" in p)[-6:] == ["10 k", "–", "12.00", "+20 %", "wrong¹", "✓ holds"]
    assert ["¹ a dozen is 12"] in parts
    assert ["B1", "needs what nobody has", "1", "–", "–", "–", "exact¹", "? unchecked"] in parts
    assert ["¹ needs inferbench-none"] in parts


@pytest.mark.parametrize("columns", [80, 100, 110, 160])
def test_one_table_per_group_that_fits_the_screen(claims, columns):
    _, out, _ = claims(BROKEN, columns=columns)
    assert max(len(line) for line in out.splitlines()) <= columns
    assert sum(line.startswith("claim ") for line in out.splitlines()) == 2
    assert "".join(out.split()).count("✓holds") == 2
    assert all(word in out for word in ["everybody", "counted", "eggs", "market", "readily"])


def test_a_verdict_that_does_not_hold_ends_with_1(claims):
    code, out, _ = claims(BROKEN)
    assert code == 1
    assert out.count("✗ fails") == 2
    assert "5 does not come out under its own terms any more" in out
    assert "10 comes out with corrected facts" in out


def test_picked_claims_alone_decide(claims):
    code, out, _ = claims(BROKEN, "A")
    assert code == 0
    assert "B2" not in out
    assert claims(BROKEN, "B3")[0] == 1


def test_json(claims):
    code, out, _ = claims(BROKEN, "--format", "json")
    data = json.loads(out)
    rows = {row["id"]: row for row in data["claims"]}
    assert (code, data["schema"]) == (1, "inferbench.claims/2")
    assert [row["state"] for row in rows.values()] == ["holds", "holds", "unchecked", "fails", "fails"]
    wrong = rows["A2"]
    assert (wrong["theirs"], wrong["ours"], wrong["corrected"]) == (10e3, None, 12e3)
    assert wrong["deviation"] == pytest.approx(0.2)
    assert wrong["tolerance"] == pytest.approx(0.05)


def test_csv_and_markdown(claims):
    _, out, _ = claims(FILE, "--format", "csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(out))] == ["A1", "A2", "B1"]
    _, out, _ = claims(FILE, "A1", "--format", "markdown")
    line = "| A1 two and two is 4.0 | 4.0 | 4.000 | – | 0 % | exact | ✓ holds |"
    assert line in [" ".join(row.split()) for row in out.splitlines()]  # columns are padded


def test_expressions_on_request(claims):
    assert "A2, corrected = given.dozen * 1000" in claims(FILE, "-v")[1]
    assert "given.dozen" not in claims(FILE)[1]


def test_unknown_id(claims):
    assert claims(FILE, "A11") == (2, "", "inferbench: A11: no claim has this id\n  inferbench claims\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'said = "4.0"',
            'said = "four"',
            '"four" is not a number; write it as it was said, like "8.75 ms" or "0.7 %"',
        ),
        ('corrected = "given.dozen * 1000"\n', "", "A2 is WRONG and has no `corrected`"),
        ('assumption = "a dozen is 12"\n', "", "A2 is WRONG and has no `assumption` that says why"),
        ('expression = "2 + 2"\n', "", "A1 is EXACT and has no `expression`"),
        (
            'verdict = "EXACT"\nexpression = "2',
            'verdict = "TRUE"\nexpression = "2',
            (
                "claims.0.verdict: 'TRUE' is none of 'EXACT', 'ASSUMPTION', 'WRONG', 'INCONSISTENT',"
                " 'UNVERIFIED'"
            ),
        ),
        ('id = "A2"', 'id = "A1"', "toy.toml: A1: the id stands twice\n  give each claim an id of its own"),
        ('quote = "two', 'qoute = "two', "toy.toml: claims.0.qoute: unknown key\n  did you mean 'quote'?"),
    ],
)
def test_faulty_files(claims, old, new, message):
    assert old in FILE
    code, out, err = claims(FILE.replace(old, new, 1))
    assert (code, out) == (2, "")
    assert message in err


def test_an_error_in_an_expression_names_file_and_claim(claims):
    code, _, err = claims(FILE.replace("given.dozen", "given.dozn"))
    assert code == 2
    assert err == "inferbench: toy.toml: A2: corrected: unknown name 'given.dozn'\n  did you mean 'dozen'?\n"


@pytest.mark.needs_records("chips/tpu-v5p", "chips/groq-lpu", "claims/design-note", "power_models/linear")
def test_the_output_in_the_docs_is_what_it_prints(cli, monkeypatch):
    page = Path(__file__).parents[3].joinpath("docs/reference/claims.md").read_text(encoding="utf-8")
    command, _, rest = page.partition("```console\n$ inferbench ")[2].partition("\n")
    monkeypatch.setenv("COLUMNS", "80")
    assert cli(*command.split())[1].rstrip() == rest.partition("\n```")[0]
