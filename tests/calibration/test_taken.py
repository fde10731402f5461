"""Which rows a fit takes, and what it says of those it leaves; what a class's stack says of its rows."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.kernels import _one_software, _taken
from inferbench.calibration.pooled import Unseen, _of, _part
from inferbench.calibration.pooled_writing import _domain, listed_names
from inferbench.calibration.priors import Effects, Prior
from inferbench.calibration.samples import Sample
from inferbench.errors import InferBenchError

EFFECTS = Effects(10, 3, 0.3, 0.3, 0.4)
PRIOR = Prior(
    "made", "", np.log([0.5, 0.5, 0.5, 1e-6, 1e-5]), {"decode": EFFECTS, "prefill": EFFECTS}, ("a",)
)
GEMM: Any = SimpleNamespace(variant="gemm")


def step(
    measured: float, chip: str = "c", software: str = "s 1", phase: str = "decode", **more: Any
) -> Sample:
    """Two operators of 3 and 1 ms at the datasheet's rates, and 1 ms of nothing else."""
    work = np.array([[3e-3, 1e-3, 0.0, 0.0, 5.0, 0.0], [0.0, 1e-3, 5e-4, 1e-3, 5.0, 0.0]])
    usual = {"precision": "fp8", "count": 1, "axes": {"batch": 4.0, "context": 100.0}}
    return Sample(chip, "v", "made", software, "n", phase, "t", measured, work, **{**usual, **more})


def test_scores_of_a_phase_by_hand():
    """The floor is 3 + 1 + 1 = 5 ms. Of 10, 20 and 40 ms the others have the means 28, 20 and 14 ms."""
    mine = [step(0.01), step(0.02, chip="d"), step(0.04)]
    unseen = [Unseen(mine[0], math.log(1.1), 0.1), Unseen(mine[1], math.log(0.6), 0.1)]
    other = Unseen(step(1.0, phase="prefill"), 9.0, 0.1)
    part = _part(mine, [*unseen, other], "decode", PRIOR)
    assert (part.rows, part.scored, part.chips) == (3, 2, 2)
    assert part.error == pytest.approx((10 + 40) / 2)
    assert part.roofline == pytest.approx((50 + 75 + 87.5) / 3)
    assert part.constant == pytest.approx(100 * (math.sqrt(8) - 1 + 0 + 1 - math.sqrt(2) / 4) / 3)
    assert part.sd == pytest.approx((math.log(1.1) - math.log(0.6)) / 2)
    assert part.coverage == 0.5  # 0.095 and 0.51 of 1.645 x 0.1
    alone = _part(mine[:1], [], "decode", PRIOR)
    assert math.isnan(alone.constant)
    assert math.isnan(alone.error)
    assert math.isnan(alone.coverage)
    two = _part([step(0.01), step(0.04)], [], "decode", PRIOR)
    assert two.constant == pytest.approx((300 + 75) / 2)


def test_a_box_of_a_class_holds_its_rows():
    rows = [
        step(0.01, count=8),
        step(0.02, chip="d", count=2, axes={"batch": 64.0, "context": 1000.0, "output": 50.0}),
        step(0.02, precision="bf16", phase="prefill"),
    ]
    said = _domain(rows, ["c", "d"])
    assert said == [
        "",
        "[domain]",
        'chips = ["c", "d"]',
        "counts = [1, 8]",
        'precisions = ["fp8", "bf16"]',
        'phases = ["decode", "generate", "prefill"]',
        "",
        "[domain.axes]",
        "batch = [4, 64]",
        "context = [100, 1050]",
    ]
    assert 'phases = ["prefill"]' in _domain(rows[2:], ["c"])
    assert 'phases = ["decode", "generate"]' in _domain(rows[:2], ["c"])
    assert listed_names(["b", "a", "b"]) == ["b", "a"]


def test_images_and_other_software_are_of_no_class():
    image = step(0.01, axes={"batch": 1.0})
    assert [
        _of(step(0.01, software="vLLM 0.9"), names) for names in ((), ("VLLM",), ("sglang", "v"), ("s",))
    ] == [
        True,
        True,
        True,
        False,
    ]
    assert not _of(image, ())


def row(software: str = "lib 1", **more: Any) -> Any:
    usual = {"chip": "h100-sxm", "software": software, "precision": "bf16", "latency_s": 1e-3, "extra": {}}
    return SimpleNamespace(**{**usual, **more})


def test_of_two_versions_the_one_that_is_asked_for_first_is_taken():
    left: Counter[str] = Counter()
    rows = [row("lib 1"), row("lib 2"), row("lib 1")]
    assert _one_software(GEMM, rows, ["lib 2", "lib 1"], left) == rows[1:2]
    assert left == {"of gemm under lib 1: lib 2 was asked for first": 2}
    assert _one_software(GEMM, rows[:1], [], left) == rows[:1]
    for asked in ([], ["lib"], ["lib", "other"], ["lib 1"]):
        with pytest.raises(InferBenchError, match="measured under lib 1, lib 2"):
            _one_software(GEMM, rows, asked, Counter())


@pytest.mark.needs_plugins("chips/h100-sxm")
@pytest.mark.parametrize(
    ("one", "why"),
    [
        (row(chip="b200"), "of the chip b200"),
        (row("other 1"), "under other 1"),
        (row(""), "under software that is not named"),
        (row(precision="fp8"), "in fp8"),
        (row(extra={"kernel": "slow-2"}), "of the kernel slow-2"),
        (row(latency_s=0.0), "without a time"),
        (row(latency_s=math.nan), "without a time"),
    ],
)
def test_rows_that_are_not_taken_say_why(one, why):
    known = ib.installed()
    left: Counter[str] = Counter()
    found = _taken([one, one], known.chip("h100-sxm"), known, ["lib"], ["bf16"], ["slow"], left)
    assert (found, left) == ([], {why: 2})
