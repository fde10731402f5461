"""Suggestions, and arguments in the reader's own spelling."""

from __future__ import annotations

import click
import pytest

from inferbench.cli.spelling import message
from inferbench.errors import InferBenchError, suggest


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("GH200", "h200"),
        ("MI250", "mi250x"),
        ("b20", "b200"),
        ("h100-pcie", "h100-sxm"),
        ("tpu-v5x", "tpu-v5p"),
        ("llama3-8c", "llama3-8b"),
        ("a100-sxm-60gb", "a100-sxm-40gb"),
        ("nonsense", "sense8"),
    ],
)
def test_a_suggestion_never_names_another_product(word, known):
    assert suggest(word, [known]) == suggest(word.lower(), [known]) == ""


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("h100sxm", "h100-sxm"),
        ("lama3-8b", "llama3-8b"),
        ("mixtrl-8x7b", "mixtral-8x7b"),
        ("contxt", "context"),
        ("h100-sxn", "h100-sxm"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(word, known):
    assert suggest(word, ["decode", known]) == f"did you mean '{known}'?"


@click.command()
@click.argument("system")
@click.option("-w", "--workload", "patterns")
@click.option("--batch")
@click.option("--slo-tpot")
@click.option("--axis", "axes")
@click.option("--yes", is_flag=True)
def command() -> None:
    """Stand for any command."""


@pytest.mark.parametrize(
    ("error", "python", "line"),
    [
        (
            InferBenchError.of_argument("batch", "0 is out of range", batch=[1, 8]),
            "batch: 0 is out of range\n  give batch=[1, 8]",
            "--batch: 0 is out of range\n  write --batch 1,8",
        ),
        (
            InferBenchError.of_argument("slo_tpot", "20 has no unit", slo_tpot="20 ms"),
            "slo_tpot: 20 has no unit\n  give slo_tpot='20 ms'",
            "--slo-tpot: 20 has no unit\n  write --slo-tpot '20 ms'",
        ),
        (
            InferBenchError.of_argument("steps", "is odd", "use {give}", steps=28),
            "steps: is odd\n  use steps=28",
            "--axis steps: is odd\n  use --axis steps=28",
        ),
        (
            InferBenchError.of_argument("workload", "unknown", "", "x/y", yes=True),
            "workload x/y: unknown\n  give yes=True",
            "--workload x/y: unknown\n  write --yes",
        ),
        (
            InferBenchError.of_argument("system", "unknown chip", "list them", "b2000"),
            "system b2000: unknown chip\n  list them",
            "b2000: unknown chip\n  list them",
        ),
    ],
)
def test_python_names_arguments_and_the_command_line_its_options(error, python, line):
    assert str(error) == python
    assert message(error, command) == line
