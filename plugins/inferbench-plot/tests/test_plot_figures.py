"""What the pictures show, against closed forms and published figures."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from inferbench_plot.figures.space import best_of
from inferbench_plot.figures.verdict import ask_parity, parity

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("networks/llama3-8b", "stacks/trtllm-1.3-b200")


def compared(*systems: str, **more: object) -> ib.Comparison:
    return ib.compare(systems, "llama3-8b/decode", **{"batch": [1], "precision": "fp8", **more})


def layers(figure: ib.Figure, kind: type) -> list:
    return [layer for panel in figure.panels for layer in panel.layers if isinstance(layer, kind)]


def test_the_ridge_of_a_b200_is_its_peak_over_its_bandwidth():
    """4.5 POP/s dense fp8 over 8 TB/s: 562.5 operations per byte."""
    figure = compared("b200").plot("roofline").figure
    (ridge,) = [dots for dots in layers(figure, ib.Dots) if dots.texts and "OP/B" in dots.texts[0]]
    assert ridge.x == (562.5,)
    assert ridge.y == (4.5e15,)


def test_no_point_of_a_roofline_lies_above_its_chip_s_ceilings():
    figure = compared("b200", "h100-sxm", batch=[1, 64]).plot("roofline").figure
    tops = {line.colour: line for line in layers(figure, ib.Line) if line.look == "solid" and line.name}
    for dots in layers(figure, ib.Dots):
        if dots.marker == 9:
            continue
        line = tops[dots.colour]
        slope = line.y[1] / line.x[1]
        for x, y in zip(dots.x, dots.y, strict=True):
            assert y <= min(slope * x, max(line.y)) * (1 + 1e-9) or dots.small  # operators may lie in caches


def test_what_does_not_fit_is_outlined_and_said_so():
    run = ib.run("h100-sxm", "llama3-70b/decode", precision="bf16")
    figure = run.plot("roofline").figure
    hollow = [dots for dots in layers(figure, ib.Dots) if dots.hollow]
    assert [text for dots in hollow for text in dots.texts] == ["H100 SXM decode: does not fit"]


def test_the_parts_of_a_breakdown_are_the_whole():
    run = ib.run("b200", "llama3-8b/decode", precision="fp8", batch=8)
    time, joules = run.plot("breakdown").figure.panels
    assert math.fsum(time.layers[0].values) == pytest.approx(run["tpot_s"].item(), rel=1e-9)
    assert math.fsum(joules.layers[0].values) == pytest.approx(float(run.energy.joules.item()), rel=1e-9)


def test_the_steps_of_the_factors_end_at_the_step():
    run = ib.run("b200", "llama3-8b/decode", precision="fp8")
    (panel,) = run.plot("factors").figure.panels
    added, whole = panel.layers
    assert math.fsum(added.values[1:]) == pytest.approx(whole.values[0], rel=1e-12)
    # The time that arithmetic alone takes: useful operations over 4.5 POP/s.
    assert added.values[-1] == pytest.approx(float(run.useful.item()) / 4.5e15, rel=1e-12)


def test_cost_and_energy_add_up_to_the_metrics():
    run = ib.run("b200", "llama3-8b/decode", precision="fp8")
    for name, metric in (("cost", "usd_per_mtok"), ("energy", "joules_per_token")):
        (panel,) = run.plot(name).figure.panels
        assert sum(bars.values[0] for bars in panel.layers) == pytest.approx(run[metric].item(), rel=1e-9)


def test_memory_is_a_share_of_the_capacity():
    """Weights of 8.03 billion parameters at 8 bits, of 180 GB: four per cent and a half."""
    weights = layers(compared("b200").plot("memory").figure, ib.Bars)[0]
    assert weights.name == "weights"
    assert 4.0 < weights.values[0] < 5.0


@pytest.mark.parametrize(("apart", "spread"), [(0.0, 0.3), (0.3, 0.3), (1.0, 0.5)])
def test_the_odds_of_two_are_the_normal_distribution_s(apart, spread):
    """P(ln a > ln b) = Phi(d / (sqrt 2 s)) for equal errors s."""
    one, other = np.array([math.exp(apart)]), np.array([1.0])
    odds = best_of([one, other], [np.array([spread])] * 2)
    exact = 0.5 * (1 + math.erf(apart / spread / 2.0))
    assert odds[0][0] == pytest.approx(exact, abs=2e-3)
    assert odds[0][0] + odds[1][0] == pytest.approx(1.0)


def test_a_system_that_does_not_fit_is_best_nowhere():
    odds = best_of([np.array([1.0]), np.array([np.nan])], [np.array([0.2])] * 2)
    assert (odds[0][0], odds[1][0]) == (1.0, 0.0)


def test_a_map_is_hatched_where_nobody_is_sure_to_be_the_best():
    answer = ib.compare(["b200", "b200@ideal"], "llama3-8b/decode", batch=[1, 2], context=[512, 1024])
    (heat, *_) = layers(answer.plot("space").figure, ib.Heat)
    assert heat.names == ("B200", "B200")
    assert all(value == 1.0 for row in heat.values for value in row)
    assert all(one for row in heat.hatched for one in row)  # a bound is never sure to be the best


def test_the_footer_says_software_grade_precision_sources_and_version():
    for name in ("roofline", "breakdown", "factors", "memory", "energy", "cost"):
        answer = compared("b200")
        foot = " ".join(answer.plot(name).figure.footer)
        assert f"{answer.runs[0].stack.name} (" in foot
        assert "fp8" in foot
        assert f"InferBench {ib.__version__}" in foot
        assert "Specs: " in foot
        assert "not cited" not in foot


def test_the_footers_of_maps_cards_and_frontiers_say_the_same():
    served = ib.frontier(["b200"], "llama3-8b", batch=[1, 8])
    figures = [
        compared("b200", batch=[1, 8], context=[512, 1024]).plot("space").figure,
        ib.card(["b200"]).plot().figure,
        *(served.plot(name).figure for name in ("frontier", "frontier-cost", "frontier-energy")),
    ]
    for figure in figures:
        foot = " ".join(figure.footer)
        assert "vllm-serving-b200 (" in foot
        assert "fp8" in foot
        assert f"InferBench {ib.__version__}" in foot
        assert "Specs: ml-engineering" in foot


def test_measured_points_carry_the_name_of_their_chip_and_format():
    """A reader of a grey print has no colour to tell them by."""
    figure = ib.frontier(["h100-sxm"], "llama3-8b", batch=[1, 64], context=1024).plot().figure
    measured = [dots for dots in layers(figure, ib.Dots) if dots.hollow]
    assert measured
    assert all(dots.name.startswith("H100 SXM measured") for dots in measured)


def test_operators_of_a_roofline_have_intervals_and_other_ceilings_their_formats():
    figure = compared("b200@trtllm-1.3-b200").plot("roofline").figure
    assert "fitted on whole steps" not in " ".join(figure.notes)
    small = [dots for dots in layers(figure, ib.Dots) if dots.small and dots.marker != 9]
    ends = [one for dots in small for one in zip(dots.low, dots.y, dots.high, strict=True)]
    assert ends
    assert all(low < y < high for low, y, high in ends)
    ridges = {dots.texts[0]: dots for dots in layers(figure, ib.Dots) if dots.marker == 9}
    assert ridges["fp4"].y == (9e15,)  # the datasheet's dense peak, over 8 TB/s
    assert ridges["fp4"].x == (1125.0,)


def test_software_fitted_on_whole_steps_says_that_it_knows_no_interval_of_an_operator():
    notes = compared("b200@vllm-serving-b200").plot("roofline").figure.notes
    assert "fitted on whole steps" in " ".join(notes)


def test_the_reserve_of_an_engine_fills_what_the_largest_batch_leaves():
    """vLLM keeps a tenth of the memory: weights, cache, activations and reserve are all of it."""
    figure = compared("b200", batch="max").plot("memory").figure
    bars = {bars.name: bars for bars in layers(figure, ib.Bars)}
    assert bars["reserve"].values[0] == pytest.approx(10.0)
    assert 99.0 < sum(one.values[0] for one in bars.values()) <= 100.0


def test_a_frontier_has_its_band_its_bound_and_its_limit():
    found = ib.frontier(["8xb200"], "llama3-8b", batch=[1, 16, 64], slo_tpot="20ms")
    figure = found.plot().figure
    expected, bound = layers(figure, ib.Line)
    assert bound.look == "thin"
    assert all(low < y < high for low, y, high in zip(expected.low, expected.y, expected.high, strict=True))
    assert max(bound.x) > max(expected.x)
    (limit,) = layers(figure, ib.Rule)
    assert limit.at == 50.0


def test_a_card_has_no_crown_and_all_four_metrics():
    figure = ib.card(["b200"]).plot().figure
    assert [panel.title.split(":")[0] for panel in figure.panels] == [
        "useful TOPS per chip",
        "useful TOPS per $/h",
        "useful TOPS per watt at the wall",
        "flexibility",
    ]


@pytest.mark.slow
def test_parity_counts_what_lies_in_its_interval(cli, tmp_path):
    path = tmp_path / "parity.json"
    assert cli("plot", "parity", "h100-sxm", "--out", str(path))[0] == 0
    data = json.loads(path.read_text())
    dots = [layer for panel in data["panels"] for layer in panel["layers"] if layer["kind"] == "dots"]
    for one in dots:
        inside = sum(low <= x <= high for x, low, high in zip(one["x"], one["low"], one["high"], strict=True))
        assert one["name"] == f"h100-sxm {inside}/{len(one['x'])}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rofline", "b200"), "did you mean 'roofline'"),
        (("nonsense", "b200"), "known are breakdown, card, cost, energy, factors, frontier"),
        (("roofline",), "no system was named"),
        (("roofline", "b200", "-o", "x.nosuch"), "no renderer writes '.nosuch'"),
        (("roofline", "b200", "-o", "picture"), "has no extension"),
        (("roofline", "b200", "-w", "nosuch"), "unknown network"),
        (("roofline", "b200", "-w", "llama3-8b", "-o", "/nowhere/x.svg"), "can't be written"),
        (("roofline", "b200", "-w", "llama3-8b", "--format", "png"), "is not for a screen"),
        (("frontier", "b200"), "a frontier is of one network"),
        (("space", "b200", "-w", "llama3-8b", "--batch", "1", "--context", "512"), "needs two axes"),
        (("card", "b200", "-w", "llama3-8b/decode"), "a card is of a suite"),
    ],
)
def test_bad_input_is_one_message(cli, arguments, message):
    code, out, err = cli("plot", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert "bug of InferBench" not in err


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "html", "json", "csv", "tex", "md"])
def test_a_picture_is_written_in_the_format_of_its_name(cli, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    assert cli("plot", "memory", "b200", "-w", "llama3-8b/decode", "-o", str(path))[0] == 0
    assert path.stat().st_size > 100


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_terminal_of_any_width_gets_its_picture(cli, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    code, out, _ = cli("plot", "roofline", "b200", "-w", "llama3-8b")
    assert code == 0
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "\x1b" not in out


def test_drawing_in_a_terminal_imports_nothing_heavy(cli):
    """In a process of its own: Matplotlib takes half a second."""
    import subprocess
    import sys

    code = (
        "import sys; from inferbench.cli.app import run;"
        "run(['plot', 'memory', 'b200', '-w', 'llama3-8b/decode']);"
        "print([m for m in ('matplotlib', 'plotly', 'jinja2', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith("[]")


def scored(chip, metric, measured, predicted, **more):
    usual = {
        "scored": True,
        "low": 0.8 * predicted,
        "high": 1.25 * predicted,
        "stack": "vllm-h100",
        "precision": "bf16",
        "set": "a table",
        "fitted": False,
        "inside": True,
        "network": "llama3-8b",
        "op": "",
        "phase": "decode",
        "source": "somebody",
    }
    figures = {"chip": chip, "metric": metric, "measured": measured, "predicted": predicted}
    return SimpleNamespace(**{**usual, **figures, **more})


def test_parity_counts_who_lies_in_the_intervals_by_chip_and_kind():
    """Of the H100 one time of two is inside, of the B200 its power; rows without a figure are left out."""
    rows = [
        scored("h100-sxm", "tpot_s", 0.010, 0.011, fitted=True),
        scored("h100-sxm", "tpot_s", 0.020, 0.011, inside=False),
        scored("b200", "power_w", 800.0, 810.0, stack="ideal"),
        scored("b200", "tokens_per_s", 9.0, 9.0),
        scored("b200", "tpot_s", math.nan, 9.0),
        scored("b200", "tpot_s", 9.0, 0.0),
        scored("b200", "tpot_s", 9.0, 9.0, scored=False),
    ]
    figure = parity(SimpleNamespace(rows=rows))
    times, power = figure.panels
    assert [panel.title for panel in figure.panels] == ["time", "power"]
    assert [dots.name for dots in layers(figure, ib.Dots)] == ["h100-sxm 1/2", "b200 1/1"]
    (dots,) = [layer for layer in times.layers if isinstance(layer, ib.Dots)]
    assert (dots.x, dots.y) == ((0.010, 0.020), (0.011, 0.011))
    assert (dots.low[0], dots.high[0]) == pytest.approx((0.0088, 0.01375))
    assert (power.x.unit, times.x.unit) == ("W", "s")
    assert figure.title == "Predicted against measured: 4 figures"
    assert "3 points inside the box of their software's fit, 1 outside" in figure.footer[1]
    assert figure.notes[1] == "1 of the 4 figures took part in a fit, or may have."


def test_parity_is_of_the_chips_that_are_named(monkeypatch):
    rows = (scored("h100-sxm", "tpot_s", 1.0, 1.0), scored("b200", "tpot_s", 1.0, 1.0))
    monkeypatch.setattr(ib, "validate", lambda registry: ib.Validation(rows, (), ()))
    known = ib.installed()
    assert ask_parity([], (), registry=known).rows == rows
    assert ask_parity(["8xh100"], (), registry=known).rows == rows[:1]
    with pytest.raises(ib.InferBenchError, match="no installed measurement of groq-lpu is scored") as told:
        ask_parity(["groq-lpu"], (), registry=known)
    assert "there are some of b200, h100-sxm" in str(told.value)
