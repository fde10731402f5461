"""No error of whole steps grows by more than a tenth unseen."""

from __future__ import annotations

import csv

import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("importers/csv", "tables/serving", "stacks/vllm-h100", "chips/b200")


@pytest.fixture(scope="module")
def errors(tool):
    return tool("tools/errors_page.py")


@pytest.mark.slow
def test_no_error_has_grown_by_more_than_a_tenth(errors):
    """`python tools/errors_page.py` writes the figures anew, where a change is meant to make some worse."""
    registry = ib.installed()
    rows = errors.rows_of(registry, intervals=False)  # the gate holds errors alone
    now = {name: (n, error) for name, n, error in errors.gate(errors.groups_of(rows, registry))}
    with errors.GATE.open(newline="", encoding="utf-8") as file:
        known = {
            row["group"]: (int(row["rows"]), float(row["error_percent"])) for row in csv.DictReader(file)
        }
    assert len(known) >= 20
    lost = {name for name, (n, _) in known.items() if name not in now or now[name][0] < n}
    grown = {
        name: (error, now[name][1])
        for name, (_, error) in known.items()
        if name not in lost and now[name][1] > error * (1.0 + errors.TENTH) + errors.LEAST
    }
    assert (lost, grown) == (set(), {})


def test_groups_are_worst_first_and_beside_two_simple_predictors(errors):
    rows = [_row("tpot_s", 1.0, predicted) for predicted in (1.1, 0.9)] + [_row("ttft_s", 1.0, 2.0)]
    worst, other = errors.groups_of(rows, ib.installed())
    assert (worst.mape, worst.n) == (1.0, 1)
    assert (other.mape, other.bias, other.constant) == pytest.approx((0.1, 0.0, 0.0))
    assert other.trivial == pytest.approx(0.5)
    assert other.rests == "transferred"


def _row(metric, measured, predicted):
    from inferbench.validation.validate import Row

    return Row(
        set="s",
        source="s, row 1",
        chip="h100-sxm",
        chips=1,
        software="vLLM 0.5",
        stack="vllm-h100",
        network="llama3-8b",
        phase="decode",
        op="",
        metric=metric,
        precision="bf16",
        axes={},
        measured=measured,
        predicted=predicted,
        trivial={"bandwidth": 0.5},
    )
