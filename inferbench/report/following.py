"""What to do next with a run: the command that asks for it again, with everything that was asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from inferbench.records.run import Run

__all__ = ["axis_words", "option_words", "run_words", "system_word"]

# Values of an axis that one line has room for.
MOST = 8


def run_words(run: Run) -> tuple[str, ...]:
    """Return the arguments of `inferbench run` that give a run: system with software, work, axes, formats.

    Example:
        >>> import inferbench as ib
        >>> run = ib.run("2xh100@vllm", "llama3-8b/decode", batch=[1, 8], context=4096, precision="bf16")
        >>> " ".join(run_words(run))
        '2xh100-sxm:tp2@vllm-serving-h100 llama3-8b/decode --batch 1,8 --context 4096 --precision bf16'
    """
    axes = {
        **{name: values.tolist() for name, values in run.grid.axes.items() if name not in run.grid.solved},
        **dict.fromkeys(run.grid.solved, "max"),
    }
    return (
        system_word(run),
        f"{run.network.name}/{run.phase}",
        *axis_words(axes),
        "--precision",
        ",".join(run.grid.precisions),
        *option_words(run.options),
    )


def system_word(run: Run) -> str:
    """Write the system of a run: its layout where all points have one, and its software."""
    system = run.system
    count = f"{system.count}x" if system.count > 1 else ""
    chosen = set(np.ravel(run.values(run.layout)).astype(int).tolist())  # np.unique imports numpy.ma
    layout = f":{run.layouts[chosen.pop()]}" if len(chosen) == 1 and system.count > 1 else ""
    return f"{count}{system.chip.name}{layout}@{run.stack.name}"


def axis_words(axes: Mapping[str, float | str | list[float]]) -> tuple[str, ...]:
    """Write axes as options: `--batch 1,8`, others as `--axis steps=28`.

    Example:
        >>> axis_words({"batch": "max", "context": 2048.0, "steps": [20.0, 28.0]})
        ('--batch', 'max', '--context', '2048', '--axis', 'steps=20,28')
    """
    words: list[str] = []
    for name, given in axes.items():
        text = given if isinstance(given, str) else _joined(given if isinstance(given, list) else [given])
        own = name in ("batch", "context")
        words += [f"--{name}", text] if own else ["--axis", f"{name}={text}"]
    return tuple(words)


def _joined(values: Iterable[float]) -> str:
    texts = [f"{value:.12g}" for value in values]
    return ",".join(texts if len(texts) <= MOST else (*texts[: MOST - 1], texts[-1]))


def option_words(options: Mapping[str, object]) -> tuple[str, ...]:
    """Write options of a workload: `--option kv=false`."""
    return tuple(
        word for name, value in options.items() for word in ("--option", f"{name}={str(value).lower()}")
    )
