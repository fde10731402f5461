"""What is said of a fit: which figures moved, which kernel got which energy, which rows can't be fitted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration import kernel_power
from inferbench.calibration.fitting import _at_bound
from inferbench.calibration.kernel_power import Readings, fit_kernel_energies
from inferbench.calibration.kernels import Sort, _sort
from inferbench.calibration.lines import _counted
from inferbench.calibration.shipped import _compared, _times
from inferbench.records.free import Free
from inferbench.records.kinds import op_kinds
from inferbench.records.measurement import EXPERTS, Measurement

SHIPPED: Any = {
    "host": {"step": 1.0e-3},
    "fit": {"rows": 100, "error": 10.0, "command": "a text"},
    "time": {"gemm": {"launch": 2e-6}},
}


def fitted(**fit: float) -> Any:
    stack = {**SHIPPED, "fit": {**SHIPPED["fit"], **fit}, "host": {"step": fit.pop("step", 1.0e-3)}}
    text = (
        '[host]\nstep = 1e-3\n[time.gemm]\nlaunch = 2e-6\n[fit]\nrows = 1\nerror = 1.0\ncommand = "a text"\n'
        '[[fit.files]]\nname = "x"\n'
    )
    return SimpleNamespace(toml=text, recipe=SimpleNamespace(name="made"), stack=stack)


@pytest.mark.parametrize(
    ("again", "moved"),
    [
        ({}, []),
        ({"error": 10.2}, []),
        ({"error": 12.0}, ["fit.error"]),
        ({"rows": 101}, ["fit.rows"]),
        ({"step": 1.02e-3}, ["host.step"]),
    ],
)
def test_errors_may_move_a_little_and_rows_and_parameters_may_not(again, moved):
    """An error of 10.2 for 10 is within five per cent; 12 is not. A row more is another table."""
    figures = list(_compared(SHIPPED, fitted(**again)))
    assert {one.path for one in figures} == {"host.step", "fit.rows", "fit.error", "time.gemm.launch"}
    assert [one.path for one in figures if not one.same] == moved


def test_a_kernel_moved_as_far_as_its_farthest_row():
    """Rows of 1, 2 and 4 s that take 1, 2.5 and 4 s again: the middle one moved by a quarter."""
    times = {"old": [1.0, 2.0, 4.0], "new": [1.0, 2.5, 4.0]}
    kernel = SimpleNamespace(
        key="gemm",
        fitted=np.array([True, True, True, False]),
        time=lambda stack, tuning: np.array([*times[stack.name], stack.bonus]),
    )
    old: Any = SimpleNamespace(name="old", tuning={}, bonus=1.0)
    new = SimpleNamespace(name="new", tuning={}, bonus=9.0)
    fits = [SimpleNamespace(kernel=kernel, tuned={})]
    chip = SimpleNamespace(architecture_type="simt")
    found: Any = SimpleNamespace(kernels=SimpleNamespace(fits=fits), stack=new, chip=chip)
    assert _times(old, found) == {"gemm": pytest.approx(0.25)}
    assert _times(old, SimpleNamespace(kernels=None)) == {}


def test_a_value_near_a_tiny_end_is_not_at_it():
    """The lower end is a billionth: half a thousandth is far above it, the end itself is not."""
    launch = Free("launch", 1.0, 1e-9, 100.0, 0.0, "")
    assert _at_bound([launch], np.array([5e-4])) == []
    assert _at_bound([launch], np.array([1e-9])) == ["launch"]
    assert _at_bound([launch], np.array([100.0])) == ["launch"]


def test_each_format_gets_its_own_energy_and_all_get_one_per_byte(monkeypatch):
    """0.5 pJ in one format, 0.25 pJ in another, 1 pJ in a kind that is fitted later; a byte takes 20 pJ."""
    pytest.importorskip("scipy", reason="scipy is not installed")
    ops = np.array([1e14, 2e14, 4e14, 1e13, 5e13, 3e14] * 2)
    moved = np.array([1e11, 2e12, 1e12, 3e12, 5e11, 1e12] * 2)
    joules = np.repeat([0.5e-12, 0.25e-12], 6)
    rates = {"ops": ops, "bytes.hbm": moved}
    names, groups = np.repeat(["one", "two"], 6), np.array(list("aabbcc" * 2))
    files = np.array(["f"] * 12)
    made = {
        "attention": Readings(
            np.array(["three"] * 12), groups, rates, 60.0 + 1e-12 * ops + 2e-11 * moved, files
        ),
        "gemm": Readings(names, groups, rates, 100.0 + joules * ops + 2e-11 * moved, files),
    }
    spelled = {name: (f"kernel.{name}", name) for name in ("one", "two", "three")}
    monkeypatch.setattr(kernel_power, "_readings", lambda *_: (made, spelled))
    frees = (
        Free("baseline", 80.0, 1.0, 1000.0, None, ""),
        Free("ops", 1e-12, 0.0, 1e-10, None, ""),
        Free("bytes.hbm", 1e-11, 0.0, 1e-9, None, ""),
    )
    chip: Any = SimpleNamespace(name="c", power=SimpleNamespace(tdp=1e4))
    known: Any = None
    found = fit_kernel_energies([], chip, known, frees, (), (), ())
    keys = ["kernel.one", "kernel.two", "kernel.three"]
    energies = found.energies
    assert [energies["ops"][key] for key in keys] == pytest.approx([0.5e-12, 0.25e-12, 1e-12], rel=1e-3)
    assert [energies["baseline"][key] for key in keys] == pytest.approx([100.0, 100.0, 60.0], rel=1e-3)
    assert [energies["bytes.hbm"][key] for key in keys] == pytest.approx([2e-11] * 3, rel=1e-3)
    assert found.files == {"f": 24}
    some = fit_kernel_energies([], chip, known, frees, (), ["two"], ())
    assert list(some.energies["ops"]) == ["kernel.two"]
    assert some.energies["ops"]["kernel.two"] == pytest.approx(0.25e-12, rel=1e-3)


def row(op: str, precision: str = "bf16", kv: str = "", **axes: float) -> Measurement:
    extra = {"kv_dtype": kv} if kv else {}
    return Measurement(source="s", chip="c", op=op, precision=precision, axes=axes, extra=extra)


def test_rows_of_no_known_operator_or_without_its_sizes_can_t_be_fitted():
    known = ib.installed()
    assert "which is no kernel that can be fitted" in str(_sort(row("nosuch"), known))
    assert _sort(row("gemm", m=8.0, n=64.0), known) == "without the k that gemm needs"
    assert "no precision of ours" in str(_sort(row("gemm", "int77", m=8.0, n=64.0, k=8.0), known))
    assert isinstance(_sort(row("gemm", m=8.0, n=64.0, k=8.0), known), Sort)
    assert "no kernel" not in str(_sort(row(EXPERTS), known))


def test_attention_with_a_smaller_cache_is_a_kernel_of_its_own():
    """A cache in fp8 beside queries in bf16 has 8 bits a value; one in bf16 is what bf16 means."""
    known = ib.installed()
    wanted = {name: 8.0 for name, field in op_kinds()["attention"].fields.items() if field.wanted}
    plain = _sort(row("attention", **wanted), known)
    assert isinstance(plain, Sort)
    assert (plain.precision, plain.suffix) == ("bf16", "")
    assert _sort(row("attention", kv="bf16", **wanted), known) == plain
    small = _sort(row("attention", kv="fp8", **wanted), known)
    assert isinstance(small, Sort)
    assert (small.suffix, small.spelled) == ("kv8", "bf16 with KV in fp8")


def test_kernels_of_prompts_are_their_share_of_the_passes():
    """Of four passes two process prompts: half of ten kernels and of two exchanges, that is six."""
    exchange = SimpleNamespace(kind="collective", repeat=2.0)
    ops = [SimpleNamespace(kind="gemm", repeat=7.0, joined=False)]
    ops.append(SimpleNamespace(kind="elementwise", repeat=3.0, joined=True))
    workload = SimpleNamespace(passes=lambda *_: 4.0, eager=lambda *_: 2.0)
    case: Any = SimpleNamespace(
        graph=lambda at: ops, workload=workload, network=None, phase=SimpleNamespace(name="p"), options=None
    )
    run: Any = SimpleNamespace(ops=[*ops, exchange], feasible=np.array(True), roofline=np.array(1.0))
    grid: Any = SimpleNamespace(at={})
    _, _, kernels, passes, exchanges, eager, joined = _counted(run, case, grid)
    assert [float(x) for x in (kernels, passes, exchanges, eager, joined)] == [12.0, 4.0, 2.0, 6.0, 3.0]
