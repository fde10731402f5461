"""A command of a plugin writes its answer like the core's own."""

import json

import pytest

REPORTING = """
import click
import inferbench as ib

@click.command("chips-by-peak")
@ib.output_options
def by_peak(output):
    \"\"\"Name the chips with their peaks.

    Example: inferbench chips-by-peak
    \"\"\"
    known = ib.installed()
    rows = [(name, known.chip(name).peak["bf16"]) for name in known.names("chips")]
    heads = (ib.Cell("chip"), ib.Cell("peak"))
    lines = tuple((ib.Cell(name), ib.Cell(ib.show(peak, "OP/s"))) for name, peak in rows)
    data = {"peaks": dict(rows)}
    ib.write_report(ib.Report((ib.Table("peaks", heads, lines),), data, ({"peaks": len(rows)},)), output)

@ib.hookimpl
def inferbench_commands():
    yield by_peak
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)

    return write


class TestReportsOfCommands:
    def test_a_table_json_and_a_file(self, toy_cli, file, tmp_path):
        path = file(REPORTING)
        code, out, _ = toy_cli("-p", path, "chips-by-peak")
        assert code == 0
        assert "toy-chip" in out
        data = json.loads(toy_cli("-p", path, "chips-by-peak", "--format", "json")[1])
        assert data["peaks"].keys() == {"toy-chip"}
        assert toy_cli("-p", path, "chips-by-peak", "--format", "csv", "--out", str(tmp_path / "x"))[1] == ""
        assert (tmp_path / "x").read_text() == "peaks\n1\n"

    def test_an_unknown_format_is_refused(self, toy_cli, file):
        code, _, err = toy_cli("-p", file(REPORTING), "chips-by-peak", "--format", "jsno")
        assert (code, err) == (2, "inferbench: --format: unknown format 'jsno'\n  did you mean 'json'?\n")

    def test_its_help_looks_like_that_of_the_core_s_commands(self, toy_cli, file):
        _, out, _ = toy_cli("-p", file(REPORTING), "chips-by-peak", "--help")
        _, ours, _ = toy_cli("doctor", "--help")
        frame = next(line for line in ours.splitlines() if "Options" in line)
        assert frame in out
