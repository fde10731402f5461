"""What must hold on the validation page, and its paragraphs that quote constants of the core."""

from __future__ import annotations

import math

import inferbench as ib
from inferbench.model.intervals import HOSTLESS, ISOLATED, MATERIAL

__all__ = ["BARS", "COVERAGE", "KERNEL_BARS", "KERNEL_POWER", "intervals"]

# What must hold on rows left out of the fit: parts of stacks whose names begin so, and the mean error at
# most.
STATIC = ("vllm-a100", "vllm-h100", "tensorrt-llm-")
LOOPS = ("vllm-serving-", "trtllm-serving-", "sglang-serving-")
BARS = (
    ("language models, end to end, network left out", STATIC, "generate", 6.0),
    ("time per output token, network left out", STATIC, "decode", 6.0),
    ("time to first token, network left out", STATIC, "prefill", 8.0),
    ("time per token in closed loops, network left out", LOOPS, "decode", 12.0),
    ("UNets, seconds, network left out", ("diffusers-",), "image", 6.0),
    ("UNets, joules, network left out", ("diffusers-",), "image.joules", 8.0),
    ("diffusion transformers, seconds, network left out", ("xdit-",), "image", 12.0),
    ("diffusion transformers, joules, network left out", ("xdit-",), "image.joules", 12.0),
    (
        "layers of experts, all chips and formats, network left out",
        ("trtllm-",),
        ("gemm.experts", "gemm.experts.fp8"),
        16.0,
    ),
)

# The same for kernels: beginnings of a stack's name and of a kernel's, and the mean error at most; the first
# that fits.
KERNEL_BARS = (
    ("", "attention.context.mla", 12.0),
    ("", "attention.generation.mla", 12.0),
    ("", "recurrence", 12.0),
    ("", "elementwise.convolution", 12.0),
    ("sglang-", "attention.context", 6.0),
    ("sglang-", "attention.generation", 14.0),
    ("vllm-0", "attention.context", 6.0),
    ("vllm-0", "attention.generation", 14.0),
    ("vllm-collectives-", "collectives", 15.0),
    ("", "collectives", 9.0),
    ("", "gemm.experts", 16.0),
    ("", "gemm.int8", math.nan),
    ("sglang-", "gemm", math.nan),
    ("vllm-0", "gemm", math.nan),
    ("trtllm-1.3-b200-block", "gemm", 12.0),
    ("trtllm-1.3-block", "gemm", 12.0),
    ("", "gemm.w", 12.0),
    ("", "gemm.nvfp4", 9.0),
    ("trtllm-1.3-b200", "gemm", 9.0),
    ("", "gemm", 6.0),
    ("", "attention.context", 4.0),
    ("", "attention.generation", 12.0),
)
# The same of energies of kernels alone, by the beginning of their names; no bar is set.
KERNEL_POWER = {
    "gemm": "matrix products on B200, mean power, shape left out",
    "attention": "attention over prompts on B200, mean power, heads left out",
}
# Parts of stacks whose left-out measurements are counted in their 90% intervals.
COVERAGE = (
    (
        "language models, times",
        STATIC,
        ("generate", "decode", "prefill"),
    ),
    ("language models in closed loops, times per token", LOOPS, ("decode",)),
    ("UNets, seconds", ("diffusers-",), ("image",)),
    ("UNets, mean power", ("diffusers-",), ("image.power",)),
    ("UNets, joules", ("diffusers-",), ("image.joules",)),
    ("diffusion transformers, seconds", ("xdit-",), ("image",)),
    ("diffusion transformers, mean power", ("xdit-",), ("image.power",)),
    ("diffusion transformers, joules", ("xdit-",), ("image.joules",)),
)


def intervals() -> list[str]:
    """How intervals are made, and what widens them."""
    return [*_times(), *_energies()]


def _times() -> list[str]:
    """Intervals of times."""
    off = ib.installed().get("time_models", "tiled-kernel").figures().unfitted
    return [
        (
            "Intervals are of 90%. For whole steps they are split-conformal: the 90th percentile of the"
            " errors of networks left out, stretched"
        ),
        (
            "by `sqrt(1 + 1/g)` for g networks. Kernels of different shape err independently, repeats of one"
            " shape together, in quadrature with"
        ),
        (
            "the step's. Outside the box in which a stack was fitted the log standard error grows by 0.25 for"
            " each of an unseen chip, precision or"
        ),
        (
            "phase and by 0.1 per doubling beyond an axis or a number of chips, in quadrature, and the result"
            " says `extrapolated`. On a chip of another"
        ),
        f"vendor it grows by {off.kernel}: none of the kernels there is one that was fitted.",
        (
            "It says so too where operators outside the boxes of their kernels (more rows than the largest"
            " product, kinds without a figure) take"
        ),
        (
            f"more than {100 * MATERIAL:.0f}% of a step. A stack of kernels alone has no step residual: it is"
            f" given {HOSTLESS}, which reaches what the serving"
        ),
        (
            "stacks on the same kernels say. Kinds of kernels that such a stack has no figure of run at the"
            " roofline: they get a log standard"
        ),
        (
            f"error of {off.kernel} (nine in ten published kernels take up to ten times the roofline),"
            f" {off.movement} where they only move data. Generation attention"
        ),
        (
            f"with more than {off.group:g} query heads per key head is another kernel: {off.other}. Such"
            " errors are shared: the upper end of a step has all of"
        ),
        "these operators at theirs.",
        "",
    ]


def _energies() -> list[str]:
    """Intervals of power and energy."""
    return [
        (
            "Power and energy: what the energies per action leave open at the true duration, joined in"
            " quadrature with the duration's error,"
        ),
        (
            "which moves energy by the baseline's share of it and power by the rest, the other way. Diffusion"
            " stacks bring the errors of whole"
        ),
        (
            "predicted steps instead. Neither passes what the power limit allows. docs/explanation/power.md"
            " has the rules that widen them; under the ideal"
        ),
        (
            "stack figures are bounds and have no interval. A kernel alone under energies of decoding:"
            f" {ISOLATED} in quadrature."
        ),
        "",
    ]
