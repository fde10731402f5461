"""What a plugin's command needs of the command line: the options of an answer, and where it is written."""

from __future__ import annotations

from collections.abc import Callable

from inferbench.cli import common
from inferbench.cli.common import Output
from inferbench.report.model import Report

__all__ = ["Output", "output_options", "table_width", "write_report"]


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--format`, `--out` and `-v`; the command takes them as `output`, an `Output`.

    Example:
        >>> import click, inferbench
        >>> @click.command("hello")
        ... @inferbench.output_options
        ... def hello(output):
        ...     table = inferbench.Table("hello", (inferbench.Cell("to"),), ((inferbench.Cell("all"),),))
        ...     inferbench.write_report(inferbench.Report((table,), {"to": "all"}), output)
    """
    return common.output_options()(command)


def table_width(output: Output) -> int:
    """Columns that a table on the screen may take; 0 for every other format, which has no such limit.

    Example:
        >>> import inferbench
        >>> inferbench.table_width(inferbench.Output("json", None, False))
        0
    """
    return common.terminal_width() if output.form == "table" else 0


def write_report(report: Report, output: Output) -> None:
    """Write a report in the format and to the place that the user chose.

    What is broken among the installed plugins is told in one line on standard error.

    Args:
        report: Tables for the screen, and the same as plain data.
        output: What `output_options` handed over.

    Raises:
        InferBenchError: Unknown format; a file that can't be written.
    """
    registry = common.the_registry()
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)
