"""Discovery and ownership: who provides what, loaded one by one, so that one broken plugin costs only itself.

pluggy's stock loader loses every later plugin when one import fails, and drops the second of two equal
names in silence; this one records each failure against the distribution that caused it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from functools import cache
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pluggy

from inferbench._version import DISTRIBUTION, __version__
from inferbench.discovery import hookspecs
from inferbench.discovery.aliases import read_aliases, yielded
from inferbench.discovery.border import fixed, patient, quiet
from inferbench.discovery.entries import Entry, Problem, near_hook, said, spec_file
from inferbench.discovery.heads import heads
from inferbench.discovery.kinds import ANY, BROUGHT, KINDS, expanded, unknown
from inferbench.discovery.ownership import Choice, Trust, needs_newer_core, settled, trust
from inferbench.discovery.parsing import FILES, parsed
from inferbench.errors import Fault, InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.interfaces import Architecture, Fabric, PowerModel, Workload
from inferbench.records.network import Network
from inferbench.records.roles import ROLES, Role
from inferbench.records.run import Metric
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel
from inferbench.specs import assemble
from inferbench.specs.assemble_stack import UnknownTimeModel, stack_from
from inferbench.specs.configs import network_from_config, read_config_file
from inferbench.specs.heads import Headed

__all__ = ["BROUGHT", "KINDS", "Entry", "Problem", "Registry", "installed"]


FILE = "file"
"""Version of what the user loads from a file."""
DATA = ("chips", "networks", "stacks", "scenarios", "suites", "tables")
"""Kinds whose records are data: handed out so that nobody can change them for others."""


class Registry:
    """All that is installed. Listing parses nothing; a record is parsed when asked for, once.

    Example:
        >>> import inferbench
        >>> "ideal" in inferbench.installed().names("stacks")
        True
    """

    def __init__(
        self, load: bool = True, tell: Callable[[str, str], None] = lambda name, owner: None
    ) -> None:
        """Load everything installed, or nothing.

        Args:
            load: Whether.
            tell: Called with plugin and package before each is imported.
        """
        self._tell = tell
        self.manager = pluggy.PluginManager("inferbench")
        self.manager.add_hookspecs(hookspecs)
        self.problems: list[Problem] = []
        self.warnings: list[Fault] = []
        self.plugins: dict[str, tuple[str, str]] = {}
        self.left_out: dict[str, tuple[str, str]] = {}
        self.seconds: dict[str, float] = {}
        self.deprecated: list[Problem] = []
        self.printed: list[tuple[str, str, str]] = []
        self.changes: dict[str, dict[str, str]] = {}
        self._entries: dict[str, dict[str, Entry]] = {}
        self._records: dict[tuple[str, str], tuple[Entry, Any]] = {}
        self._aliases: dict[str, dict[str, str]] | None = None
        self._brought: dict[str, tuple[Any, ...]] = dict(BROUGHT)
        if load:
            self._load()

    def bring(self, kind: str, records: Iterable[Any]) -> None:
        """Add records of the core that live above the registry: renderers and commands. They own their names.

        Args:
            kind: `renderers`, `commands`.
            records: Each with a name; given again, they replace those given before.
        """
        records = tuple(records)
        if self._brought.get(kind) != records:
            self._brought[kind] = records
            self._entries.pop(kind, None)

    def owner_of(self, plugin: str) -> tuple[str, str]:
        """Distribution and version of a plugin."""
        return self.plugins.get(plugin, (plugin, "?"))

    def _load(self) -> None:
        """Load what the user allows: packages of record first, so that no stranger comes before them."""
        choice = Choice.of_environment()
        found = []
        for point in entry_points(group="inferbench"):
            dist = point.dist
            owner, version = (dist.name, dist.version) if dist else (point.value, "?")
            found.append((trust(owner), point.name, owner, version, point))
        for rank, name, owner, version, point in sorted(found, key=lambda one: one[:2]):
            if not choice.takes(name, owner):
                self.left_out[name] = (owner, version)
            elif rank > Trust.PROJECT and self._too_new(name, owner, point.dist):
                continue
            else:
                self._tell(name, owner)
                self.load(name, point.load, owner, version)
        for problem in choice.unknown((name, owner) for _, name, owner, *_ in found):
            self._problem(problem.owner, problem.where, problem.message, problem.remedy)

    def _too_new(self, name: str, owner: str, dist: Distribution | None) -> bool:
        """Refuse a plugin that was built for a newer core: its hooks may mean something else here."""
        wanted = needs_newer_core(dist) if isinstance(dist, Distribution) else ""
        if wanted:
            message = f"it was built for {DISTRIBUTION} {wanted}, and this is {__version__}"
            self._problem(owner, name, message, f"update {DISTRIBUTION}, or take an older {owner}")
        return bool(wanted)

    def load(self, name: str, get: Callable[[], Any], owner: str, version: str) -> None:
        """Register one plugin; a failure is recorded against its distribution, the others live on.

        Args:
            name: Entry-point name.
            get: Returns the plugin (imports it).
            owner: Distribution.
            version: Of the distribution.
        """
        if name in self.plugins:
            self._problem(
                owner,
                name,
                f"the plugin name '{name}' is already taken by {self.plugins[name][0]}",
                f"uninstall {owner} or {self.plugins[name][0]}",
            )
            return
        started = time.perf_counter()
        try:
            with (
                patient(name, owner),
                quiet() as aside,
                warnings.catch_warnings(record=True) as said_of_hooks,
            ):
                plugin = get()
                warnings.simplefilter("always")
                self.manager.register(plugin, name=name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._problem(owner, name, said(error), f"reinstall or update {owner}, or uninstall it")
            return
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            close = near_hook(self.manager, plugin)
            self.manager.unregister(name=name)
            self._problem(
                owner, name, said(error), f"{close} the list of hooks is docs/reference/hooks.md".strip()
            )
            return
        self.plugins[name] = (owner, version)
        self._noticed(owner, name, aside.text)
        self.seconds[name] = time.perf_counter() - started
        self.deprecated += [Problem(owner, name, str(one.message)) for one in said_of_hooks]
        self._entries.clear()
        self._aliases = None

    def load_file(self, path: str) -> None:
        """Register a single Python file as a plugin: the on-ramp before any packaging."""
        file = Path(path)
        spec = importlib.util.spec_from_file_location(f"inferbench_file_{file.stem}", file)
        if not file.is_file() or spec is None or spec.loader is None:
            remedy = "give the path of a .py file with @inferbench.hookimpl functions"
            raise InferBenchError.at("-p", f"'{path}' is not a Python file", remedy)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        loader = spec.loader

        def get() -> ModuleType:
            loader.exec_module(module)
            return module

        before = len(self.problems)
        self.load(f"file:{file.name}", get, str(path), FILE)
        if len(self.problems) > before:
            raise InferBenchError.at(str(path), self.problems[-1].message, "fix the file")

    def _problem(self, owner: str, where: str, message: str, remedy: str = "") -> None:
        if os.environ.get("INFERBENCH_STRICT") == "1":
            raise InferBenchError.at(f"{owner}: {where}", message, remedy)
        self.problems.append(Problem(owner, where, message, remedy))

    def _noticed(self, owner: str, where: str, text: str) -> None:
        if text.strip():
            self.printed.append((owner, where, text.strip().splitlines()[0]))

    def entries(self, kind: str) -> dict[str, Entry]:
        """Name to entry for a kind (`chips`, `metrics`, …), collected on first use."""
        if kind not in self._entries:
            self._entries[kind] = self._collect(kind)
        return self._entries[kind]

    def names(self, kind: str) -> list[str]:
        """Sorted names of a kind."""
        return sorted(self.entries(kind))

    def implementations(self, hook: str) -> list[Any]:
        """The implementations of a hook in the order in which plugins were loaded, whatever they ask for."""
        order = {name: number for number, name in enumerate(self.plugins)}
        found = getattr(self.manager.hook, hook).get_hookimpls()
        return sorted(found, key=lambda impl: order.get(impl.plugin_name, len(order)))

    def _collect(self, kind: str) -> dict[str, Entry]:
        found = {
            one.name: Entry(one.name, DISTRIBUTION, __version__, one) for one in self._brought.get(kind, ())
        }
        for impl in self.implementations(f"inferbench_{kind}"):
            owner, version = self.owner_of(impl.plugin_name)
            try:
                with quiet() as aside:
                    records = list(yielded(impl))
                self._noticed(owner, f"inferbench_{kind}", aside.text)
                entries = [entry for one in records for entry in expanded(kind, one, owner, version)]
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._problem(
                    owner, f"inferbench_{kind}", said(error), f"nothing of this hook is kept; update {owner}"
                )
                continue
            for entry in entries:
                found[entry.name], fault = settled(f"inferbench_{kind}", found.get(entry.name), entry)
                if fault is not None:
                    self._problem(fault.owner, fault.where, fault.message, fault.remedy)
        return found

    def alias(self, kind: str, name: str) -> str:
        """Our name for a foreign one; the name itself where no alias stands. Case does not matter."""
        table = self.aliases().get(kind, {})
        return table.get(name, table.get(name.lower(), name))

    def aliases(self) -> dict[str, dict[str, str]]:
        """Foreign name to ours, by kind."""
        if self._aliases is None:
            names = {kind: self.entries(kind) for kind in KINDS if kind != "commands"}
            found = self.implementations("inferbench_aliases")
            self._aliases = read_aliases(found, self.owner_of, names, self._problem)
        return self._aliases

    def get(self, kind: str, name: str) -> Any:
        """Return a record by name or alias; a scenario, a suite or a system from the path of a TOML file too.

        Raises:
            InferBenchError: Unknown name (with the closest spelling and what is installed), or a faulty file.
        """
        entries = self.entries(kind)
        if kind in FILES and name.endswith(".toml") and name not in entries:
            return FILES[kind](spec_file(name), Path(name).stem, name)
        ours = name if name in entries else self.alias(kind, name)
        entry = entries.get(ours) or entries.get(ours.lower())
        if entry is None:
            raise unknown(kind, name, self.names(kind), len(self.problems))
        if entry.record is not None and kind not in DATA:
            return entry.record
        key = (kind, entry.name)
        known = self._records.get(key)
        if known is None or known[0] is not entry:
            one = fixed(parsed(kind, entry, self) if entry.record is None else entry.record)
            known = self._records[key] = (entry, self._placed(one, entry) if kind == "chips" else one)
        return known[1]

    def _placed(self, chip: Chip, entry: Entry) -> Chip:
        """The chip with the node it usually sits in, by the table `[systems]` of the aliases; a stranger's
        says in its title whose it is.
        """
        if trust(entry.owner) is Trust.STRANGER and entry.version != FILE:
            chip = attrs.evolve(chip, title=f"{chip.title} ({entry.owner})")
        known = self.entries("systems")
        own, usual = self.alias("systems", chip.name), self.alias("systems", ANY)
        found = own if own in known else usual
        if chip.node is not None or found not in known:
            return chip
        return attrs.evolve(chip, node=self.get("systems", found))

    def chip(self, name: str) -> Chip:
        """Return a chip by name or alias, or from the path of a TOML file."""
        if name.endswith(".toml") and name not in self.entries("chips"):
            text, stem = spec_file(name), Path(name).stem
            return assemble.chip_from(text, stem, name, self.architecture, self.warnings.append)
        return self.get("chips", name)  # type: ignore[no-any-return]

    def network(self, name: str) -> Network:
        """Return a network by name or alias, or from the path of a `config.json` or a TOML file."""
        if name.endswith(".json") and name not in self.entries("networks"):
            workloads = [self.workload(workload) for workload in self.names("workloads")]
            return network_from_config(read_config_file(name), name, workloads)
        if name.endswith(".toml") and name not in self.entries("networks"):
            return assemble.network_from(spec_file(name), Path(name).stem, name, self.workload)
        return self.get("networks", name)  # type: ignore[no-any-return]

    def stack(self, name: str) -> Stack:
        """Return a stack by name or alias, or from the path of a TOML file (one that `calibrate` wrote)."""
        if name.endswith(".toml") and name not in self.entries("stacks"):
            return stack_from(spec_file(name), Path(name).stem, name, self.stack, self.time_model)
        return self.get("stacks", name)  # type: ignore[no-any-return]

    def stacks(self) -> Iterator[Stack]:
        """Yield the stacks whose time models are installed; those of other packages can't be used here."""
        for name in self.names("stacks"):
            with suppress(UnknownTimeModel):
                yield self.stack(name)

    def heads(self) -> Iterator[Headed]:
        """Yield what the stacks that can be used here say of where they apply, without their figures."""
        return heads(self, self._records, self._problem)

    def architecture(self, name: str) -> Architecture:
        """Return an architecture plugin by name."""
        return self.get("architectures", name)  # type: ignore[no-any-return]

    def time_model(self, name: str) -> TimeModel:
        """Return a time model by name."""
        return self.get("time_models", name)  # type: ignore[no-any-return]

    def workload(self, name: str) -> Workload:
        """Return a workload plugin by name."""
        return self.get("workloads", name)  # type: ignore[no-any-return]

    def fabric(self, name: str) -> Fabric:
        """Return a fabric plugin by name."""
        return self.get("fabrics", name)  # type: ignore[no-any-return]

    def power_model(self, chip: Chip) -> tuple[PowerModel | None, str]:
        """Return the most faithful power model that accepts a chip, or None and why each one declined."""
        models = (self.get("power_models", name) for name in self.names("power_models"))
        kind = chip.architecture_type
        fitting = [one for one in models if not one.architectures or kind in one.architectures]
        declined = []
        for model in sorted(fitting, key=lambda m: -m.fidelity):
            why = model.accepts(chip)
            if not why:
                return model, ""
            declined.append(why)
        # The most faithful of those made for this architecture says best what is missing.
        return None, declined[0] if declined else "no power model is installed (pip install inferbench-power)"

    def metrics(self) -> list[Metric]:
        """All metrics, in display order."""
        found = (self.get("metrics", name) for name in self.names("metrics"))
        return sorted(found, key=lambda m: (m.order, m.name))

    def roles(self) -> dict[Role, Metric]:
        """The metric of each role, in the order of `ROLES`; of two with one role the first on screens."""
        known = {metric.role: metric for metric in reversed(self.metrics()) if metric.role}
        return {role: known[role] for role in ROLES if role in known}

    def with_records(self, kind: str, records: Iterable[Any]) -> Registry:
        """Return a copy in which records take the places of those of their names; this one stays as it is.

        Args:
            kind: `chips`, `workloads`, …
            records: Each with a name.

        Example:
            >>> import inferbench
            >>> known = inferbench.installed()
            >>> slow = inferbench.override(known.chip("b200"), {"memory.hbm.bandwidth": "4 TB/s"})
            >>> half = known.with_records("chips", [slow])
            >>> half.chip("b200").memory["hbm"].bandwidth, known.chip("b200").memory["hbm"].bandwidth
            (4000000000000.0, 8000000000000.0)
        """
        other, entries = copy(self), dict(self.entries(kind))
        for record in records:
            entry = entries.get(record.name, Entry(record.name, DISTRIBUTION, __version__))
            entries[record.name] = attrs.evolve(entry, record=record)
        other._entries = {**self._entries, kind: entries}
        return other


@cache
def installed() -> Registry:
    """The process's registry of everything installed."""
    return Registry()
