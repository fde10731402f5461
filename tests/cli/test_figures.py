"""Renderers that draw, from the command line: bytes into files, a screen refused."""

from __future__ import annotations

import pytest

from inferbench.discovery.registry import installed

PLUGIN = """
import click
import inferbench as ib

def table(report, width):
    return b"BM" + report.figures[0].title.encode()

@ib.hookimpl
def inferbench_renderers():
    yield ib.Renderer("bmp", table, ("bmp",), draws=True)

@click.command("draw")
@ib.output_options
def draw(output):
    panel = ib.Panel(ib.Scale("x"), ib.Scale("y"), ())
    ib.write_report(ib.Report((), figures=(ib.Figure("f", "F", (panel,)),)), output)

@ib.hookimpl
def inferbench_commands():
    yield draw
"""


@pytest.fixture
def plugin(tmp_path):
    installed.cache_clear()
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    yield str(path)
    installed.cache_clear()


def test_the_extension_of_a_file_asks_for_its_renderer(cli, plugin, tmp_path):
    code, out, _ = cli("-p", plugin, "draw", "--out", str(tmp_path / "x.bmp"))
    assert (code, out) == (0, "")
    assert (tmp_path / "x.bmp").read_bytes() == b"BMF"


def test_bytes_are_not_for_a_screen(cli, plugin):
    assert "is not for a screen" in cli("-p", plugin, "draw", "--format", "bmp")[2]


def test_a_table_is_no_picture(cli, plugin):
    code, _, err = cli("-p", plugin, "list", "fabrics", "--format", "bmp")
    assert code == 2
    assert "'bmp' draws pictures" in err
