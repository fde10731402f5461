"""Every extension point on one page.

All hooks are argument-free and yield frozen records; those of specs may yield a folder of TOML
(`importlib.resources.files(__package__) / "chips"`) instead. A name has one owner. Hook wrappers are not
supported: each implementation is called by itself, so that a failure is its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, TypeAlias

import pluggy

if TYPE_CHECKING:
    import click

    from inferbench.records.chip import Chip
    from inferbench.records.executor import Executor
    from inferbench.records.figure import Plot
    from inferbench.records.interfaces import Architecture, Fabric, PowerModel, Renderer, Workload
    from inferbench.records.measurement import Importer
    from inferbench.records.network import Network
    from inferbench.records.node import Node
    from inferbench.records.published import PublishedTable
    from inferbench.records.run import Metric
    from inferbench.records.scenario import Scenario, Suite
    from inferbench.records.stack import Stack
    from inferbench.records.time_model import TimeModel

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("inferbench")
hookimpl = pluggy.HookimplMarker("inferbench")

Folder: TypeAlias = Traversable


@hookspec
def inferbench_chips() -> Iterable[Chip | Folder]:
    """Yield chips, or a folder of TOML files that describe them.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_networks() -> Iterable[Network | Folder]:
    """Yield networks, or a folder of TOML files with their hyper-parameters.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_stacks() -> Iterable[Stack | Folder]:
    """Yield stacks, or a folder of TOML files with their efficiencies.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_systems() -> Iterable[Node | Folder]:
    """Yield servers and racks, or a folder of TOML files: fixed watts, conversion, host, links.

    A table `[systems]` of the package's aliases gives a chip's name the node it usually sits in.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_scenarios() -> Iterable[Scenario | Folder]:
    """Yield economic scenarios, or a folder of TOML files.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_suites() -> Iterable[Suite | Folder]:
    """Yield suites of workload points, or a folder of TOML files.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_claims() -> Iterable[Folder]:
    """Yield folders of TOML files of published claims; the package inferbench-claims reads them.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_aliases() -> Iterable[Folder]:
    """Yield TOML files with other names for records: tables `chips`, `networks`, `precisions`, `stacks`,
    `systems`.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_architectures() -> Iterable[Architecture]:
    """Yield performance models. A chip names the one it needs in `[architecture] type`.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_time_models() -> Iterable[TimeModel]:
    """Yield models that turn the cost of a kernel into seconds. A stack names the one it needs in
    `[time] model`; the core brings `roofline`.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_workloads() -> Iterable[Workload]:
    """Yield generators of operator graphs. A network names the one it needs in `[network] type`.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_fabrics() -> Iterable[Fabric]:
    """Yield models of interconnects. A chip's link names the one it needs in `fabric`.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_power_models() -> Iterable[PowerModel]:
    """Yield models that turn action counts and time into joules; the one of highest fidelity that accepts a
    chip serves it. Those of packages of record come first.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_metrics() -> Iterable[Metric]:
    """Yield figures of merit computed from a finished run.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_importers() -> Iterable[Importer]:
    """Yield readers of measured results; the first that does not decline reads a file.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_measurements() -> Iterable[Folder]:
    """Yield folders of TOML measurement sets, which `inferbench validate` runs on.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_tables() -> Iterable[PublishedTable]:
    """Yield tables of published measurements, which `inferbench calibrate --shipped` fits again.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_executors() -> Iterable[Executor]:
    """Yield ways to run the chunks of a sweep; the core brings inline and processes.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_renderers() -> Iterable[Renderer]:
    """Yield output formats for reports; the core brings table, json, csv and markdown.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_plots() -> Iterable[Plot]:
    """Yield kinds of pictures for `inferbench plot`: what is computed, and how it becomes a figure.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def inferbench_commands() -> Iterable[click.Command]:
    """Yield sub-commands for the command line.

    .. versionadded:: 0.1
    """
    return ()
