"""A recipe and its command say the same; what is missing or wrong is refused by name."""

from __future__ import annotations

import attrs
import pytest

from inferbench.calibration.fits import fit_recipe
from inferbench.calibration.forms import step_form
from inferbench.calibration.recipe import Recipe, pooled
from inferbench.errors import InferBenchError

FULL = Recipe(
    kind="serving",
    files=("a.csv", "b.csv"),
    chip="h100-sxm",
    stack="mine",
    based_on="trtllm-1.3",
    software=("vLLM", "vllm 2"),
    precisions=("fp8_block",),
    networks=("llama3-8b",),
    kinds=("gemm",),
    without=("cutlass", "triton"),
    tuning="trtllm-1.0",
    free=("host.step",),
    phases=("decode", "generate"),
    pool={"a100-sxm-40gb": "trtllm-1.0"},
    join={"h200": "trtllm-1.3"},
)


@pytest.mark.parametrize("kind", ["kernels", "serving", "power"])
def test_a_command_reads_back_as_the_recipe(kind):
    recipe = attrs.evolve(FULL, kind=kind)
    assert Recipe.parse(recipe.command) == recipe


def test_a_command_knows_no_folders():
    recipe = Recipe(files=("/home/me/data/a.csv",), chip="b200", based_on="/home/me/stack.toml")
    assert recipe.command == "inferbench calibrate a.csv --chip b200 --based-on stack.toml"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "no `inferbench calibrate`"),
        ("inferbench validate a.csv", "no `inferbench calibrate`"),
        ("inferbench calibrate a.csv --chipp b200", "did you mean 'chip'?"),
        ("inferbench calibrate a.csv --chip", "a value was expected"),
    ],
)
def test_a_command_of_something_else_is_refused(command, said):
    with pytest.raises(InferBenchError, match=said):
        Recipe.parse(command)


@pytest.mark.parametrize("pair", ["a100", "a100=", "=trtllm"])
def test_a_pool_names_a_chip_and_a_stack(pair):
    with pytest.raises(InferBenchError, match="--pool"):
        pooled([pair])


def test_a_parameter_that_no_step_has_is_refused():
    with pytest.raises(InferBenchError, match=r"did you mean 'host\.step'"):
        step_form(["host.steps"])


@pytest.mark.parametrize(
    ("recipe", "where"),
    [
        (Recipe(), "calibrate"),
        (Recipe(files=("a.csv",)), "--chip"),
        (Recipe(kind="serving", files=("a.csv",), chip="b200"), "--based-on"),
    ],
)
def test_what_is_missing_is_named(recipe, where, bare):
    with pytest.raises(InferBenchError, match=f"^{where}"):
        fit_recipe(recipe, bare)
