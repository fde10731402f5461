"""Tables of steps: what lies between their entries, and beyond them, by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from inferbench.records.system import Layout
from inferbench.serving.tabulated import Axis, StepTable, _batches, _geometric

NOBODY: Any = None


def table(**more: Any) -> StepTable:
    """Seconds of two sequences and contexts, two numbers of tokens, and prompts with and without a past."""
    usual: dict[str, Any] = {
        "layout": Layout(pp=4),
        "batches": Axis([1.0, 3.0]),
        "contexts": Axis([0.0, 100.0]),
        "tokens": Axis([100.0, 300.0, 500.0]),
        "pasts": Axis([0.0, 1000.0]),
        "mean": 50.0,
        "decode": [[10.0, 12.0], [14.0, 20.0]],
        "joint": [[1.0, 3.0], [5.0, 9.0], [9.0, 15.0]],
        "prompts": [[2.0, 4.0], [8.0, 16.0], [14.0, 28.0]],
        "deep": [6.0, 20.0, 41.0],
        "decode_watts": [[100.0] * 2] * 2,
        "joint_watts": [[200.0, 240.0], [300.0, 380.0], [400.0, 520.0]],
        "prompt_watts": [250.0, 350.0, 450.0],
        "idle": 20.0,
        "decode_error": [0.1, 0.3],
        "prompt_error": [0.2, 0.4],
        "outside": [False, True],
        "room": 1e9,
        "run": NOBODY,
    }
    return StepTable(**{**usual, **more})


@pytest.mark.parametrize(
    ("batch", "context", "seconds"),
    [
        (1, 0, 10.0),
        (1, 50, 11.0),
        (3, 100, 20.0),
        (2, 0, 12.0),
        (2, 100, 16.0),
        (2, 50, 14.0),
        (5, 100, 28.0),
    ],
)
def test_a_step_lies_between_its_neighbours(batch, context, seconds):
    assert table().of_tokens(batch, context)[0] == pytest.approx(seconds)
    assert table(scale=2.0).of_tokens(batch, context)[0] == pytest.approx(2 * seconds)


def test_a_prompt_beside_tokens_adds_to_their_step():
    """200 tokens beside 2 sequences add (1 + 3 + 5 + 9) / 4 s; 500 positions before them half of 2 and 8."""
    seconds, watts = table().of_both(2.0, 50.0, 200.0, 0.0)
    assert (seconds, watts) == pytest.approx((14.0 + 4.5, 280.0))
    behind, _ = table().of_both(2.0, 50.0, 200.0, 500.0)
    assert behind == pytest.approx(14.0 + 4.5 + (1.0 + 4.0) / 2)


def test_prompts_alone_fill_the_stages():
    """One prompt of 200 tokens takes 5 s, all four stages 13 s; two of 400 lie a third of the way between."""
    assert table().of_prompts(200.0, 0.0, 1) == pytest.approx((5.0, 300.0))
    assert table().of_prompts(800.0, 0.0, 4)[0] == pytest.approx(13.0)
    assert table().of_prompts(400.0, 0.0, 2)[0] == pytest.approx(5.0 + (13.0 - 5.0) / 3)
    assert table().of_prompts(1600.0, 0.0, 8)[0] == pytest.approx((20.0 + 41.0) / 2)  # 400 of each stage
    assert table().of_prompts(200.0, 1000.0, 1)[0] == pytest.approx(10.0)
    # Short prompts that see nothing of each other are quicker, but not beyond a quarter.
    assert table().of_prompts(200.0, -500.0, 1)[0] == pytest.approx(2.5)
    assert table().of_prompts(200.0, -5000.0, 1)[0] == pytest.approx(1.25)


def test_errors_are_those_of_tokens_and_of_prompts_by_their_share():
    assert table().error(2.0, 0.0) == pytest.approx((0.2, 0.4))
    assert table().error(2.0, 0.25) == pytest.approx((0.75 * 0.2 + 0.25 * 0.4, 0.4))
    assert table().error(1.0, 1.0)[0] == pytest.approx(0.4)
    assert [table().leaves_the_box(batch) for batch in (1.0, 1.5, 2.5, 3.0)] == [False, False, True, True]


def test_numbers_of_sequences_lie_close_where_they_are_few():
    assert _batches(5.0) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert _batches(16.0) == [float(i) for i in range(1, 17)]
    many = _batches(256.0)
    assert many[:16] == [float(i) for i in range(1, 17)]
    assert many[-1] == 256.0
    assert len(many) == 16 + 16  # four per doubling
    assert max(b / a for a, b in pairwise(many[16:])) < 1.25


def test_steps_of_equal_factors():
    assert _geometric(1.0, 8.0) == [1.0, 2.0, 4.0, 8.0]
    assert _geometric(1.0, 4.0, 2) == pytest.approx([1.0, 2**0.5, 2.0, 2**1.5, 4.0], rel=1e-5)
    assert _geometric(5.0, 5.0) == pytest.approx([5.0, 5.005])


def test_lanes_are_microbatches_of_ranks():
    """Four stages of two ranks: a rank's sequences fill up to four microbatches, one at the least."""
    four = table(layout=Layout(pp=4, dp=2))
    assert [four.lanes(batch) for batch in (1.0, 2.0, 4.0, 64.0)] == [2.0, 2.0, 4.0, 8.0]
    assert [four.side(64.0, count) for count in (1, 2, 5)] == [4.0, 8.0, 8.0]
    assert four.depth == 8


def test_later_steps_are_as_much_longer():
    both, prompts = table().later(5.0), table().later(5.0, prompts=True)
    assert [one.of_tokens(2.0, 50.0)[0] for one in (both, prompts)] == pytest.approx([19.0, 14.0])
    assert [one.of_prompts(200.0, 0.0, 1)[0] for one in (both, prompts)] == pytest.approx([10.0, 10.0])
    assert [one.of_both(2.0, 50.0, 200.0, 0.0)[0] for one in (both, prompts)] == pytest.approx([23.5, 23.5])
