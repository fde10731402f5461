"""What ships comes out of the shipped tables again; what was changed by hand is told."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.calibration.fitting import fit
from inferbench.calibration.kernels import kernels
from inferbench.calibration.shipped import Figure, fit_again, fitted_names
from inferbench.errors import InferBenchError
from inferbench.evidence.matching import read_rows

pytest.importorskip("scipy", reason="scipy is not installed: pip install 'inferbench-core[calibrate]'")
pytestmark = pytest.mark.needs_plugins(
    "importers/csv", "tables/gemm", "stacks/vllm-h100", "stacks/sn40l-2024", "power_models/linear"
)

NAMES = [
    "atom-mi355x",
    "cerebras-2024",
    "class-any",
    "class-cgra",
    "class-dataflow",
    "class-simt",
    "class-simt-nvidia",
    "class-systolic",
    "diffusers-a100",
    "diffusers-h100",
    "groq-2024",
    "habana-gaudi",
    "mlx-m4-max",
    "nccl-2.27",
    "nccl-2.29",
    "nccl-2.29-b200",
    "neuronx",
    "sglang-0.5-b200",
    "sglang-0.5-b200-block",
    "sglang-0.5-b200-linear",
    "sglang-0.5-b200-wide",
    "sglang-0.5-h100",
    "sglang-0.5-h100-block",
    "sglang-0.5-h100-linear",
    "sglang-0.5-h100-wide",
    "sglang-serving-b200",
    "sglang-serving-h100",
    "sglang-serving-h200",
    "sn40l-2024",
    "tensorrt-llm-a100",
    "tensorrt-llm-h100",
    "tpu-serving",
    "trtllm-1.0",
    "trtllm-1.3",
    "trtllm-1.3-b200",
    "trtllm-1.3-b200-block",
    "trtllm-1.3-b200-latent",
    "trtllm-1.3-b200-linear",
    "trtllm-1.3-b200-mla",
    "trtllm-1.3-b200-wide",
    "trtllm-1.3-block",
    "trtllm-1.3-latent",
    "trtllm-1.3-linear",
    "trtllm-1.3-mla",
    "trtllm-1.3-wide",
    "trtllm-serving-b200",
    "trtllm-serving-h100",
    "trtllm-serving-h200",
    "tt-metal",
    "vllm-0.24-b200",
    "vllm-0.24-b200-block",
    "vllm-0.24-h100",
    "vllm-0.24-h100-block",
    "vllm-a100",
    "vllm-ascend",
    "vllm-collectives-0.14",
    "vllm-collectives-0.24",
    "vllm-collectives-0.24-b200",
    "vllm-h100",
    "vllm-mi300x",
    "vllm-serving-b200",
    "vllm-serving-h100",
    "vllm-serving-h200",
    "xdit-b200",
    "xdit-h100",
    "linear/a100-sxm-40gb",
    "linear/b200",
    "linear/h100-sxm",
]


def test_everything_that_was_fitted_is_on_the_list():
    registry = ib.installed()
    assert fitted_names(registry) == NAMES
    stacks = [registry.stack(name) for name in registry.names("stacks")]
    # A variant has what its base was fitted on, on other kernels.
    fitted = [
        stack.name
        for stack in stacks
        if stack.fit.rows and f"--stack {stack.based_on} " not in stack.fit.command
    ]
    assert set(fitted) <= set(NAMES)


# Fits of a group share what takes longest: samples of whole steps, evaluated networks, replayed loops.
GROUPS = {
    "refits of classes": (
        "atom-mi355x",
        "class-",
        "habana-gaudi",
        "mlx-m4-max",
        "neuronx",
        "tpu-serving",
        "tt-metal",
        "vllm-ascend",
        "vllm-mi300x",
    ),
    "refits of images": ("diffusers-", "xdit-"),
    "refits of language models": ("tensorrt-llm-", "vllm-a100", "vllm-h100"),
    "refits of SGLang's servers": ("sglang-serving-",),
    "refits of TensorRT-LLM's servers": ("trtllm-serving-",),
    "refits of vLLM's servers": ("vllm-serving-",),
}


def group_of(name):
    """With which other fits one is made in one process."""
    return next((group for group, names in GROUPS.items() if name.startswith(names)), f"refit of {name}")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(group_of(name))) for name in NAMES]
)
@pytest.mark.slow
def test_it_comes_out_of_the_shipped_tables_again(name):
    found = fit_again(name, ib.installed())
    assert found.warnings == ()
    assert found.figures
    assert found.same, [(f.path, f.shipped, f.again) for f in found.moved]


@pytest.mark.parametrize("key", ["collective.all_reduce.2", "collective.reduce_scatter.2"])
@pytest.mark.slow
def test_another_rounding_leads_to_the_same_fit(key, tmp_path):
    """Launch and startup can stand for each other on these rows; which one stays is not left to the last
    digit.
    """
    registry = ib.installed()
    chip = registry.chip("b200")
    rows = read_rows(registry.get("tables", "collectives").write(tmp_path), registry)
    found, _ = kernels(rows, chip, registry, ["TRTLLM-2.29.2:NCCL"])
    kernel = next(one for one in found if one.key == key)
    noise = 1e-9 * np.random.default_rng(1).standard_normal(len(kernel.measured))
    one, other = fit(kernel), fit(attrs.evolve(kernel, measured=kernel.measured * (1.0 + noise)))
    assert [free.path for free in one.frees] == [free.path for free in other.frees]
    assert one.seconds == pytest.approx(other.seconds, rel=0.01)
    assert one.part.error == pytest.approx(other.part.error, rel=0.02)


@pytest.mark.parametrize("name", ["vllm-h100", "groq-2024"])
def test_fast_ones_agree_figure_by_figure(name):
    found = fit_again(name, ib.installed())
    assert found.moved == ()


def test_a_figure_that_was_changed_by_hand_is_told(monkeypatch):
    registry = ib.Registry()
    stack = registry.stack("vllm-h100")
    changed = attrs.evolve(stack, host=attrs.evolve(stack.host, step=stack.host.step * 1.01))
    real = registry.stack
    monkeypatch.setattr(registry, "stack", lambda name: changed if name == "vllm-h100" else real(name))
    found = fit_again("vllm-h100", registry)
    assert not found.same
    assert [figure.path for figure in found.moved] == ["host.step"]
    assert found.moved[0].difference == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_a_table_that_was_changed_is_told(monkeypatch):
    registry = ib.Registry()
    stack = registry.stack("vllm-h100")
    files = tuple(attrs.evolve(file, sha256="0" * 64) for file in stack.fit.files)
    changed = attrs.evolve(stack, fit=attrs.evolve(stack.fit, files=files))
    real = registry.stack
    monkeypatch.setattr(registry, "stack", lambda name: changed if name == "vllm-h100" else real(name))
    assert "llm_end_to_end.csv is another table" in fit_again("vllm-h100", registry).warnings[0]


@pytest.mark.parametrize("name", ["ideal", "eager-kernels-h100", "linear/h200"])
def test_what_was_not_fitted_says_what_was(name):
    with pytest.raises(InferBenchError, match="no command of calibrate says how it was fitted"):
        fit_again(name, ib.installed())


def test_the_command_says_so(cli):
    code, said, _ = cli("calibrate", "--shipped", "groq-2024", "-v")
    assert code == 0
    assert "tuning.dataflow.sync" in said


def test_a_figure_beside_none_differs():
    nan = float("nan")
    assert Figure("a", 1.0, nan).difference == float("inf")
    assert Figure("a", nan, nan).same
    assert Figure("a", 2.0, 2.0 + 1e-12).same
