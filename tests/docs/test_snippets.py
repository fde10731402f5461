"""The snippets of the how-tos that are not console examples: they parse, run and do what the text says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import docs
import inferbench as ib
from inferbench import testing
from inferbench.specs.assemble_chip import chip_from


def snippets(page: str, language: str) -> list[str]:
    return [block.body for block in docs.blocks((docs.ROOT / page).read_text()) if block.language == language]


def executed(page: str, given: dict[str, Any]) -> dict[str, Any]:
    names = {"ib": ib, **{name: getattr(testing, name) for name in testing.__all__}, **given}
    for code in snippets(page, "python"):
        exec(code, names)
    return names


def test_the_chip_of_the_how_to_is_a_valid_spec():
    pytest.importorskip("inferbench_simt")
    text, _ = snippets("docs/howto/write-a-chip-package.md", "toml")
    doubts: list[ib.Fault] = []
    known = ib.installed()
    chip = chip_from(
        text.encode(), "my-chip", "my-chip.toml", known.architecture, doubts.append, known.chip_file
    )
    assert doubts == []
    assert chip.memory["hbm"].bandwidth == 3.6e12
    assert chip.facts["memory.hbm.bandwidth"].basis == "measured"
    assert chip.missing("power.idle") == "not published"


def test_the_architecture_of_the_how_to_costs_a_product():
    @ib.frozen
    class Params:
        setup: ib.Seconds = 0.0

    chip = ib.Chip(
        name="c",
        title="",
        vendor="",
        architecture_type="my-arch",
        architecture=Params(2e-6),
        peak={"bf16": 1e12},
        memory={"hbm": ib.MemoryLevel(1e9, 1e12)},
    )
    names = executed("docs/howto/write-an-architecture.md", {"Params": Params, "CHIP": chip})
    op = ib.Gemm(name="g", precision=ib.Precision.of(["bf16"]), m=100.0, n=200.0, k=500.0)
    cost = names["MyArch"]().cost(op, names["TestMyArch"]().site())
    # 2 * 100 * 200 * 500 = 2e7 operations at 1e12 per second.
    assert float(cost.busy["compute"][0]) == pytest.approx(20e-6)
    assert cost.exposed == {"setup": 2e-6}


def test_the_workload_of_the_how_to_yields_its_operators():
    @ib.frozen
    class Params:
        width: int

    names = executed("docs/howto/write-a-workload.md", {"Params": Params})
    network = ib.Network(name="n", title="", type="my-net", params=Params(10))
    at = ib.Grid.of({"batch": [3.0]}, ["bf16"]).at
    (up,) = names["MyNet"]().graph(network, at, "forward", None)
    assert float(up.useful.max()) == 2 * 3 * 10 * 40
    assert up.repeat == 12.0


def test_the_readme_plugin_has_about_ten_lines():
    blocks = docs.blocks((docs.ROOT / "README.md").read_text())
    (plugin,) = [block for block in blocks if block.directive == "file"]
    assert Path(plugin.argument).suffix == ".py"
    assert len(plugin.body.splitlines()) <= 10
