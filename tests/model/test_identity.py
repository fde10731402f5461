"""Laws that hold at every point of every run, whatever the architecture: identity, order of bounds, grid =
points.
"""

from __future__ import annotations

import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("chips/tpu-v5p", "chips/groq-lpu", "architectures/dataflow")

AXES = {"batch": [1, 3, 64, 1000], "context": [128, 2048, 7777]}
PRECISIONS = ["bf16", "fp8", "w4a16", "int8"]
SYSTEMS = [
    ("b200", "ideal"),
    ("b200", "reference"),
    ("8xh100-sxm:tp8", "reference"),
    ("8xh100-sxm:tp2pp4", "ideal"),
    ("4xmi300x:tp2dp2", "reference"),
    ("tpu-v5p", "ideal"),
    ("16xtpu-v6e:tp8pp2", "ideal"),
    ("336xgroq-lpu:tp8pp42", "ideal"),
    ("2xgaudi-3:tp2", "ideal"),
    ("4xa100-sxm-80gb", "reference"),
]
WORK = ["llama3-8b/decode", "llama3-70b/prefill"]
FIELDS = (
    "seconds",
    "model",
    "bound_seconds",
    "roofline",
    "silicon",
    "useful",
    "compulsory",
    "needed",
    "items",
    "peak",
    "feasible",
)


def on(system, stack, workload, **axes):
    return ib.run(system, workload, stack=stack, precision=PRECISIONS, **(axes or AXES))


@pytest.fixture(params=[(*system, work) for system in SYSTEMS for work in WORK], ids=" ".join)
def case(request):
    return request.param


@pytest.fixture
def run(case):
    return on(*case)


def test_algorithm_hardware_and_software_multiply_to_utilization(run):
    """From the metrics as users see them, each computed by itself."""
    metrics = {metric.name: metric for metric in ib.installed().metrics()}
    parts = {
        name: run.values(metrics[name].compute(run))
        for name in ("utilization", "algorithm", "hardware", "software")
    }
    known = np.isfinite(run.values(run.peak))
    assert known.any()
    product = parts["algorithm"] * parts["hardware"] * parts["software"]
    np.testing.assert_allclose(product[known], parts["utilization"][known], rtol=1e-12)
    direct = run.values(run.useful / (run.peak * run.seconds))
    np.testing.assert_allclose(parts["utilization"][known], direct[known], rtol=1e-12)


def test_roofline_is_at_most_model_is_at_most_seconds(run):
    known = np.isfinite(run.values(run.peak))
    roofline, model, seconds = (run.values(field)[known] for field in (run.roofline, run.model, run.seconds))
    assert np.all(roofline <= model * (1 + 1e-12))
    assert np.all(model <= seconds * (1 + 1e-12))
    assert np.all(roofline > 0)


def test_grid_equals_point_by_point(case, run):
    """Identical, to the last bit: a point runs through axes of length one."""
    whole = {name: run.values(getattr(run, name)) for name in FIELDS}
    whole["joules"] = run.values(run.energy.joules)
    layouts = run.values(run.layout)
    for at, index in list(run.points())[::5]:
        at = dict(at)
        precision = at.pop("precision")
        system, stack, workload = case
        point = ib.run(system, workload, stack=stack, precision=precision, **at)
        for name in FIELDS:
            np.testing.assert_array_equal(point.values(getattr(point, name)).item(), whole[name][index])
        np.testing.assert_array_equal(point.values(point.energy.joules).item(), whole["joules"][index])
        assert point.layouts[int(point.values(point.layout).item())] == run.layouts[int(layouts[index])]


def test_everything_is_float64(run):
    for name in FIELDS[:-1]:
        assert np.asarray(getattr(run, name)).dtype == np.float64, name
    assert all(np.asarray(busy).dtype == np.float64 for busy in run.busy.values())


@pytest.mark.parametrize("workload", WORK)
@pytest.mark.parametrize(
    "system", [name for name, stack in SYSTEMS if stack == "ideal" and (":" in name or "x" not in name)]
)
def test_more_work_takes_no_less_time_on_ideal_software(system, workload):
    """A bigger batch and a longer context never take less time, nor fewer bytes, in one and the same
    layout.
    """
    run = on(system, "ideal", workload)
    for field in (run.roofline, run.model, run.bound_seconds, run.needed):
        for axis in (0, 1):
            values = run.values(field)
            known = np.isfinite(values).all(axis=axis, keepdims=True)
            steps = np.diff(values, axis=axis) / np.abs(values).max()
            assert np.all((steps >= -1e-12) | ~known)


def test_order_of_axes_does_not_matter(case):
    system, stack, workload = case
    there = on(system, stack, workload, batch=[1, 64], context=[128, 2048])
    back = on(system, stack, workload, context=[128, 2048], batch=[1, 64])
    np.testing.assert_array_equal(there.values(there.seconds), back.values(back.seconds).transpose(1, 0, 2))
