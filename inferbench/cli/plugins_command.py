"""`inferbench plugins`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import click

from inferbench.cli import common
from inferbench.cli.coloured import Command
from inferbench.cli.trials import ALL, left_out, tried
from inferbench.discovery.ownership import trust
from inferbench.discovery.registry import KINDS, Registry
from inferbench.report.model import Cell, Next, Report, Table

__all__ = ["command"]

PATIENCE = 10.0
HANGS = "hangs or ends the process: left out, see doctor"
HOOKS = [*KINDS, "aliases"]


@click.command("plugins", cls=Command)
@common.time_limit(PATIENCE, "Time for one import, or for asking one hook.")
@common.output_options(verbose=False)
def command(limit: float, output: common.Output) -> None:
    """Say which plugins are installed, whose they are, what they bring and how long they take to load.

    Example: inferbench plugins

    A name that two packages claim goes to the core, then to the project, then to a vendor of record, then to
    strangers; the other claim is refused. `inferbench --disable NAME` leaves a plugin out of one run. The
    variable INFERBENCH_PLUGINS, names with commas between them, allows those alone. A plugin that hangs, or
    ends the process, is named and left out.
    """
    trial = tried(ALL, depth="load", limit=limit)
    with left_out(trial.fatal):
        registry = common.the_registry()
        rows = [*_loaded(registry), *_left_out(registry, trial.fatal)]
    heads = (Cell("package"), Cell("trust · what it brings · time to load"))
    empty = ((Cell("none"), Cell("pip install 'inferbench-core[all]'", unsure=True)),)
    title = f"plugins ({len(registry.plugins)})"
    table = Table(title, heads, tuple(row.cells() for row in rows) or empty)
    flat = tuple({**attrs.asdict(row), "brings": row.brought()} for row in rows)
    data = {"schema": "inferbench.plugins/1", "plugins": [attrs.asdict(row) for row in rows]}
    report = Report((table,), data, flat, (Next("doctor"),))
    common.emit(report, output.form, output.out, registry)
    common.problems_line(registry)


@attrs.frozen
class Row:
    """One plugin.

    Attributes:
        plugin, package, version: What it is called, who brings it.
        trust: How far the package is trusted with names.
        brings: Kind of record to how many.
        load_s: Seconds until it was imported; None where it was not.
        state: What is the matter; empty where all is well.
    """

    plugin: str
    package: str
    version: str
    brings: Mapping[str, int]
    load_s: float | None
    state: str = ""
    trust: str = attrs.field()

    @trust.default
    def _trusted(self) -> str:
        return str(trust(self.package))

    def brought(self) -> str:
        """What it brings, in words."""
        words = [f"{number} {kind.replace('_', ' ')}" for kind, number in self.brings.items()]
        return ", ".join(word.removeprefix("1 ") if word == "1 aliases" else word for word in words)

    def cells(self) -> tuple[Cell, Cell]:
        """Its row on the screen: two columns fit into any width."""
        same = self.package.removeprefix("inferbench-") == self.plugin
        name = f"{self.package} {self.version}" + ("" if same else f" ({self.plugin})")
        load = "" if self.load_s is None else f"{1000 * self.load_s:.0f} ms"
        said = " · ".join(part for part in (self.trust, self.state, self.brought(), load) if part)
        return Cell(name), Cell(said)


def _loaded(registry: Registry) -> list[Row]:
    """A row per plugin that was loaded: counts of records by kind, and whether anything is wrong."""
    registry.wake()
    brings = {name: _counts(registry, name, owner) for name, (owner, _) in registry.plugins.items()}
    wrong = {problem.owner for problem in registry.problems}
    return [
        Row(
            name, owner, version, brings[name], registry.seconds[name], "see doctor" if owner in wrong else ""
        )
        for name, (owner, version) in registry.plugins.items()
    ]


def _left_out(registry: Registry, fatal: Sequence[str]) -> list[Row]:
    """A row per plugin that was not loaded: by choice, because it is broken, or since it hangs."""
    chosen = [
        Row(name, owner, version, {}, None, HANGS if owner in fatal else "left out")
        for name, (owner, version) in registry.left_out.items()
    ]
    broken = {
        problem.where: Row(problem.where, problem.owner, "?", {}, None, "broken, see doctor")
        for problem in registry.problems
        if not problem.where.startswith("inferbench_")
        and not problem.owner.startswith("INFERBENCH_")
        and problem.where not in {*registry.plugins, *registry.left_out}
    }
    return [*chosen, *broken.values()]


def _counts(registry: Registry, plugin: str, owner: str) -> dict[str, int]:
    """Records of a plugin by kind; of aliases, one where it brings any."""
    found = {}
    for kind in HOOKS:
        implemented = registry.implementations(f"inferbench_{kind}")
        if any(impl.plugin_name == plugin for impl in implemented):
            entries = registry.entries(kind).values() if kind in KINDS else ()
            found[kind] = sum(entry.owner == owner for entry in entries) if kind in KINDS else 1
    return found
