"""What each kind of published row is the time of: every branch by hand."""

from __future__ import annotations

from collections import Counter

import pytest

import inferbench as ib
from inferbench.calibration.published_times import published, samples_of

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "networks/sd1.5")
USUAL = {
    "chip": "h100-sxm",
    "n_chips": "1",
    "software": "vLLM",
    "version": "0.9",
    "network": "llama3-8b",
    "precision": "bf16",
    "phase": "decode",
}


@pytest.fixture
def times(tmp_path):
    """What a row with some cells is the time of, and why it is of none."""

    def read(**cells):
        row = {**USUAL, **{name: str(value) for name, value in cells.items()}}
        path = tmp_path / "rows.csv"
        path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
        left = Counter()
        return list(published(str(path), ib.installed(), left)), dict(left)

    return read


def decode(batch, context):
    return (1.0, "decode", {"batch": batch, "context": context})


@pytest.mark.parametrize(
    ("cells", "phase", "seconds", "parts"),
    [
        # Decoding at a rate without lengths: a thousand positions, half of them generated.
        ({"batch": 4, "tokens_per_s": 200}, "decode", 0.02, [decode(4.0, 750.0)]),
        # One sequence, and a token in two seconds.
        ({"batch": 1, "tokens_per_s": 0.5}, "decode", 2.0, [decode(1.0, 750.0)]),
        # A time per token at half of the answer.
        (
            {"batch": 4, "input_len": 100, "output_len": 50, "tpot_s": 0.01},
            "decode",
            0.01,
            [decode(4.0, 125.0)],
        ),
        # Without an answer's length, or of none: at the prompt.
        (
            {"batch": 4, "input_len": 100, "output_len": 0, "tpot_s": 0.01},
            "decode",
            0.01,
            [decode(4.0, 100.0)],
        ),
        ({"batch": 4, "input_len": 100, "tpot_s": 0.01}, "decode", 0.01, [decode(4.0, 100.0)]),
        # A prefill by its latency, or by the first token.
        (
            {"phase": "prefill", "batch": 2, "input_len": 512, "latency_s": 0.05},
            "prefill",
            0.05,
            [(1.0, "prefill", {"batch": 2.0, "context": 512.0})],
        ),
        (
            {"phase": "prefill", "batch": 2, "input_len": 512, "latency_s": 0.05, "ttft_s": 0.04},
            "prefill",
            0.04,
            [(1.0, "prefill", {"batch": 2.0, "context": 512.0})],
        ),
        # Whole answers.
        (
            {"batch": 2, "input_len": 512, "output_len": 100, "latency_s": 2.0},
            "decode",
            2.0,
            [(1.0, "generate", {"batch": 2.0, "context": 512.0, "output": 100.0})],
        ),
        # A closed loop of 10: one prompt for each answer, 10 of them in 50 steps; lengths are drawn shorter.
        (
            {"phase": "serving", "concurrency": 10, "input_len": 100, "output_len": 50, "tpot_s": 0.01},
            "decode",
            0.01,
            [decode(10.0, 112.5), (10 / 45, "prefill", {"batch": 1.0, "context": 90.0})],
        ),
        # A shared service: one user, a thousand tokens and two hundred.
        ({"batch_kind": "shared service", "tpot_s": 0.01}, "decode", 0.01, [decode(1.0, 1100.0)]),
        # Lengths that the source leaves open: OpenOrca's.
        ({"batch": 8, "flag": "lengths_unknown", "tpot_s": 0.01}, "decode", 0.01, [decode(8.0, 441.0)]),
        # Ten slots at 1,000 output tokens/s wait 10 ms for each.
        (
            {
                "batch": 10,
                "batch_kind": "slots",
                "input_len": 100,
                "output_len": 50,
                "tokens_per_s": 1000,
                "tokens_counted": "output",
            },
            "decode",
            0.01,
            [decode(10.0, 125.0), (10 / 50, "prefill", {"batch": 1.0, "context": 100.0})],
        ),
        # All offered at once: eight prompts of 1,000 fit into a pass of 8,192 tokens, one for each answer.
        (
            {
                "batch": 64,
                "batch_kind": "offered at once",
                "input_len": 1000,
                "output_len": 100,
                "tokens_per_s": 3200,
                "tokens_counted": "output",
            },
            "decode",
            0.02,
            [decode(64.0, 1050.0), (64 / 100 / 8, "prefill", {"batch": 8.0, "context": 1000.0})],
        ),
        # No more than are there, and one of those that fill a pass alone.
        (
            {
                "batch": 4,
                "batch_kind": "offered at once",
                "input_len": 1000,
                "output_len": 100,
                "tokens_per_s": 400,
                "tokens_counted": "output",
            },
            "decode",
            0.01,
            [decode(4.0, 1050.0), (4 / 100 / 4, "prefill", {"batch": 4.0, "context": 1000.0})],
        ),
        (
            {
                "batch": 4,
                "batch_kind": "offered at once",
                "input_len": 9000,
                "output_len": 100,
                "tokens_per_s": 400,
                "tokens_counted": "output",
            },
            "decode",
            0.01,
            [decode(4.0, 9050.0), (4 / 100, "prefill", {"batch": 1.0, "context": 9000.0})],
        ),
        # One user of a closed loop: nobody's prompt is processed meanwhile.
        (
            {"batch": 1, "batch_kind": "slots", "input_len": 100, "output_len": 50, "tpot_s": 0.01},
            "decode",
            0.01,
            [decode(1.0, 125.0)],
        ),
        # A time per token that holds prompts is none: that of whole answers counts.
        (
            {
                "batch": 2,
                "input_len": 100,
                "output_len": 50,
                "tpot_s": 0.5,
                "latency_s": 1.0,
                "flag": "prefill_in_tpot",
            },
            "decode",
            1.0,
            [(1.0, "generate", {"batch": 2.0, "context": 100.0, "output": 50.0})],
        ),
        # An engine that pads: the step that it computes.
        (
            {"batch": 3, "input_len": 100, "tpot_s": 0.01, "computed_batch": 8, "computed_positions": 256},
            "decode",
            0.01,
            [decode(8.0, 256.0)],
        ),
        # Whole images.
        (
            {"network": "sd1.5", "precision": "fp16", "batch": 2, "latency_s": 3.0},
            "prefill",
            3.0,
            [(1.0, "image", {"batch": 2.0})],
        ),
    ],
)
def test_a_row_is_the_time_of(times, cells, phase, seconds, parts):
    (one,), left = times(**cells)
    assert (one.phase, one.seconds, left) == (phase, pytest.approx(seconds), {})
    assert [(pytest.approx(weight), name, axes) for weight, name, axes in parts] == list(one.parts)
    assert one.software == "vLLM 0.9"


def test_a_time_to_the_first_token_stands_beside_that_per_token(times):
    (token, first), _ = times(batch=4, input_len=100, output_len=50, tpot_s=0.01, ttft_s=0.2)
    assert (token.phase, first.phase, first.seconds) == ("decode", "prefill", 0.2)
    assert first.parts == ((1.0, "prefill", {"batch": 4.0, "context": 100.0}),)
    (_, few), _ = times(batch=4, input_len=100, output_len=50, tpot_s=0.01, ttft_s=0.2, prompts_at_once=2)
    assert few.parts[0][2]["batch"] == 2.0
    (alone,), _ = times(phase="serving", batch=4, input_len=100, output_len=50, tpot_s=0.01, ttft_s=0.2)
    assert alone.phase == "decode"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"batch": 4}, "no time at a known point"),
        ({"batch": 0, "tokens_per_s": 200}, "no time at a known point"),
        ({"batch": 4, "tokens_per_s": 0}, "no time at a known point"),
        ({"batch": 4, "phase": "prefill", "tokens_per_s": 200}, "no time at a known point"),
        ({"batch": 4, "input_len": 9, "tpot_s": 0.01, "flag": "saturated"}, "flagged by the table"),
        (
            {"batch": 4, "input_len": 9, "tpot_s": 0.01, "spec_decode": "yes: 3 tokens"},
            "speculative decoding",
        ),
        ({"batch": 4, "input_len": 9, "tpot_s": 0.01, "n_chips": 0.5}, "a part of a chip"),
        ({"network": "sd1.5", "precision": "fp16", "batch": 2, "latency_s": 0}, "no time at a known point"),
        # Rates of all tokens, and of batches that do not ask again.
        (
            {
                "batch": 4,
                "batch_kind": "slots",
                "input_len": 9,
                "output_len": 5,
                "tokens_per_s": 9,
                "tokens_counted": "all",
            },
            "no time at a known point",
        ),
        (
            {"batch": 4, "input_len": 9, "output_len": 5, "tokens_per_s": 9, "tokens_counted": "output"},
            "no time at a known point",
        ),
        (
            {"batch": 4, "batch_kind": "at once", "input_len": 9, "output_len": 5, "latency_s": 1},
            "no time at",
        ),
        ({"batch": 4, "input_len": 9, "latency_s": 1}, "no time at a known point"),
        ({"batch": "many", "input_len": 9, "tpot_s": 0.01}, "no time at a known point"),
        ({"batch": 4, "input_len": 9, "tpot_s": 0.01, "n_chips": 2.5}, "a part of a chip"),
        ({"phase": "prefill", "batch": 2, "input_len": 512, "latency_s": 0}, "no time at a known point"),
    ],
)
def test_a_row_that_is_of_no_time_says_why(times, cells, why):
    found, left = times(**cells)
    assert found == []
    assert any(reason.startswith(why) for reason in left)


@pytest.mark.parametrize(
    ("chips", "tp", "layout"),
    [
        *((1, "", "None"), (2, "", "tp2"), (3, "", "None"), (3, 3, "tp3"), (8, "", "tp8")),
        *(
            (4, "", "tp4"),
            (6, "", "None"),
            (16, "", "None"),
            (16, 8, "None"),
            (16, 16, "tp16"),
            (1, 1, "None"),
        ),
    ],
)
def test_chips_share_the_network_where_that_is_usual_or_said(times, chips, tp, layout):
    (one,), _ = times(batch=4, input_len=100, tpot_s=0.01, n_chips=chips, tp=tp)
    assert (one.system.count, str(one.system.layout)) == (chips, layout)


@pytest.mark.parametrize(("every", "rows"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 2, 4])])
def test_every_third_row_of_a_chip_and_software_is_taken_from_the_first_on(tmp_path, every, rows):
    """Rows 2 and 6 are of a version of their own; of the other rows 0 is the first and 4 the fourth."""
    path = tmp_path / "rows.csv"
    versions = ("0.9", "0.9", "1.0", "0.9", "0.9", "0.9", "1.0")
    cells = [{**USUAL, "version": one, "batch": "4", "input_len": "100"} for one in versions]
    lines = [",".join([*row.values(), f"{0.01 + 0.001 * i}"]) for i, row in enumerate(cells)]
    path.write_text("\n".join([",".join([*cells[0], "tpot_s"]), *lines]) + "\n")
    found, left = samples_of([str(path)], ib.installed(), every)
    assert [round((one.measured - 0.01) / 0.001) for one in found] == rows
    assert left == {}
