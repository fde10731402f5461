"""`inferbench list --coverage`: every kind once, in the shade that is true."""

from __future__ import annotations

import json
from collections import Counter

import pytest

SHADES = """
import inferbench as ib

@ib.hookimpl
def inferbench_architectures():
    class Mine(ib.Architecture):
        name, title, params = "mine", "Mine", ib.NoParams
        impossible = {"attention": "there is no memory for keys"}
        def gemm(self, op, site):
            return ib.Cost(busy={"compute": 1.0})
    yield Mine()
"""


def shades(answer):
    code, out, err = answer
    assert (code, err) == (0, "")
    rows = json.loads(out)["coverage"]
    assert max(Counter((row["kind"], row["architecture"]) for row in rows).values()) == 1
    return {(row["kind"], row["architecture"]): row["support"] for row in rows}


def test_every_shade(toy_cli, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SHADES)
    found = shades(toy_cli("-p", str(path), "list", "--coverage", "--format", "json"))
    mine = {kind: shade for (kind, name), shade in found.items() if name == "mine"}
    assert mine["gemm"] == "full"
    assert mine["conv2d"] == "lowered"
    assert mine["attention"] == "impossible"
    assert mine["move"] == "not modelled"
    assert mine["collective"] == "fabric"  # the toy plugin brings one


@pytest.mark.needs_plugins(
    "workloads/resnet",
    "workloads/dit",
    "workloads/moe",
    "fabrics/switch",
    "architectures/simt",
    "architectures/cgra",
)
def test_kinds_of_everything_installed(cli):
    found = shades(cli("list", "--coverage", "--format", "json"))
    kinds = {kind for kind, _ in found}
    assert {
        "attention",
        "collective",
        "conv2d",
        "elementwise",
        "gemm",
        "linearattention",
        "move",
        "reduce",
    } <= kinds
    assert "fused" not in kinds  # made by an architecture for itself; no network has it
    assert found["collective", "simt"] == "fabric"
    assert found["conv2d", "simt"] == "lowered"
    code, out, _ = cli("list", "--coverage")
    assert code == 0
    assert "● fabric" in out
