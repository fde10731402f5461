"""Discovery and ownership: who provides what, by kind and name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import attrs

from inferbench._version import DISTRIBUTION, __version__
from inferbench.discovery.aliases import Claim, claims, read_aliases, without_taken
from inferbench.discovery.border import fixed
from inferbench.discovery.collecting import LOADING, busy_with, collect, not_while
from inferbench.discovery.entries import FILE, Entry, Problem, spec_file
from inferbench.discovery.heads import heads
from inferbench.discovery.kept import Index
from inferbench.discovery.kinds import ANY, BROUGHT, KINDS, unknown
from inferbench.discovery.loading import Plugins, untold
from inferbench.discovery.ownership import Trust, trust
from inferbench.discovery.parsing import FILES, recalled
from inferbench.errors import Fault, InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.interfaces import Architecture, Fabric, PowerModel, Workload
from inferbench.records.network import Network
from inferbench.records.roles import ROLES, Role
from inferbench.records.run import Metric
from inferbench.records.stack import Stack
from inferbench.records.time_model import TimeModel
from inferbench.records.typed import typed
from inferbench.specs import assemble
from inferbench.specs.assemble_chip import chip_from
from inferbench.specs.assemble_stack import UnknownTimeModel, stack_from
from inferbench.specs.configs import network_from_config, read_config_file
from inferbench.specs.heads import Headed

__all__ = ["BROUGHT", "KINDS", "Entry", "Problem", "Registry", "installed"]


class _Named(Protocol):
    """A record, or the head of one."""

    @property
    def name(self) -> str:
        """Its name."""


Named = TypeVar("Named", bound=_Named)
DATA = ("chips", "networks", "stacks", "scenarios", "suites", "tables")
"""Kinds whose records are data: handed out so that nobody can change them for others."""
READ_WITH = ("stacks", "architectures", "workloads", "time_models", "power_models")
"""Kinds whose records others are read with."""


class Registry(Plugins):
    """All that is installed. Listing parses nothing; a record is parsed when asked for, once.

    Example:
        >>> import inferbench
        >>> "ideal" in inferbench.installed().names("stacks")
        True
    """

    def __init__(
        self, load: bool = True, tell: Callable[[str, str], None] = untold, lazy: bool = False
    ) -> None:
        """Load everything installed, or nothing.

        Args:
            load: Whether.
            tell: Called with plugin and package before each is imported, with hook and package before it is
                asked.
            lazy: Whether to use what earlier starts have kept: a plugin is then imported when one of its
                hooks is asked.
        """
        super().__init__(tell)
        self.warnings: list[Fault] = []
        self.changes: dict[str, dict[str, str]] = {}
        self._entries: dict[str, dict[str, Entry]] = {}
        self._parts: dict[tuple[str, str], dict[str, Entry]] = {}
        self._records: dict[tuple[str, str], tuple[Entry, Any]] = {}
        self._aliases: Mapping[str, Mapping[str, str]] | None = None
        self._claims: list[Claim] | None = None
        self._brought: dict[str, tuple[Any, ...]] = dict(BROUGHT)
        if load:
            self._load(self.time_model, lazy)

    def _forget(self) -> None:
        self._entries.clear()
        self._parts.clear()
        self._aliases = self._claims = None

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
            self._parts.pop((kind, DISTRIBUTION), None)

    def entries(self, kind: str) -> dict[str, Entry]:
        """Name to entry for a kind (`chips`, `metrics`, …), collected on first use."""
        if kind not in self._entries:
            asked = [part for (of, _), part in self._parts.items() if of == kind]
            self._entries[kind] = self._collect(kind)
            for part in asked:  # what was handed out stays the same object
                self._entries[kind].update(part)
        return self._entries[kind]

    def entry(self, kind: str, name: str) -> Entry | None:
        """The entry of a name; where it is known who brings it, only that package is asked."""
        owner = self.index.names.get(kind, {}).get(name) if self.index is not None else None
        if kind in self._entries or owner is None:
            return self.entries(kind).get(name)
        if (kind, owner) not in self._parts:
            self._parts[kind, owner] = self._collect(kind, owner)
        return self._parts[kind, owner].get(name) or self.entries(kind).get(name)

    def names(self, kind: str) -> list[str]:
        """Sorted names of a kind."""
        return sorted(self.entries(kind))

    def strange(self, kind: str, name: str) -> bool:
        """Whether a record is of an installed package that is neither the project's nor a vendor's of record.

        What the core chooses by itself for others' chips and files is never such a record while there is
        another. What the user loads from a file is his own choice.
        """
        entry = self.entry(kind, name)
        return entry is not None and entry.version != FILE and trust(entry.owner) is Trust.STRANGER

    def rounds(self, kind: str, records: Iterable[Named], chip: Chip) -> list[list[Named]]:
        """Records among which the core may choose for a chip: strangers' in a second round, where the first
        has none; for a chip of a stranger all in one.
        """
        known = list(records)
        own = self.strange("chips", chip.name)
        theirs = {one.name for one in known if not own and self.strange(kind, one.name)}
        rounds = (
            [one for one in known if one.name not in theirs],
            [one for one in known if one.name in theirs],
        )
        return list(filter(None, rounds))

    def ranked(self, kind: str) -> list[str]:
        """Names of a kind, sorted, those of strangers last."""
        return sorted(self.entries(kind), key=lambda name: (self.strange(kind, name), name))

    def _collect(self, kind: str, only: str = "") -> dict[str, Entry]:
        """Collect the entries of a kind, or those alone that one distribution brings."""
        brought = self._brought.get(kind, ()) if only in ("", DISTRIBUTION) else ()
        core = [Entry(one.name, DISTRIBUTION, __version__, one) for one in brought]
        not_while((id(self), kind), kind, "a hook asks for what hooks are just collected for")
        with busy_with((id(self), kind)):
            asked = self.implementations(f"inferbench_{kind}", only)
            found = collect(kind, core, asked, self.owner_of, self._problem, self._noticed, self._tell)
        if self.index is not None:  # nobody's name is another's
            return found
        return without_taken(kind, found, self._claimed(), self._problem)

    def _claimed(self) -> list[Claim]:
        """All aliases as packages bring them; each package is asked once."""
        if self._claims is None:
            found = self.implementations("inferbench_aliases")
            self._claims = claims(found, self.owner_of, self._problem)
        return self._claims

    def alias(self, kind: str, name: str) -> str:
        """Our name for a foreign one; the name itself where no alias stands. Case does not matter."""
        table = self.aliases().get(kind, {})
        return table.get(name, table.get(name.lower(), name))

    def aliases(self) -> Mapping[str, Mapping[str, str]]:
        """Foreign name to ours, by kind."""
        if self._aliases is None and self.index is not None:
            self._aliases = self.index.aliases
        elif self._aliases is None:
            names = {kind: self.entries(kind) for kind in KINDS if kind != "commands"}
            self._aliases = read_aliases(self._claimed(), names, self._problem)
        return self._aliases

    def keep(self) -> None:
        """Write what was read of specs, and who brings which names, for the next start.

        The names are kept only where nothing is wrong with any package and none prints anything: such is said
        at every start.
        """
        if self.kept is None:
            return
        if self.index is None and not self._asleep:
            aliases, every = self.aliases(), {kind: self.entries(kind) for kind in KINDS}
            if not (self.problems or self.printed or self.deprecated):
                owners = {
                    kind: {name: one.owner for name, one in all_.items()} for kind, all_ in every.items()
                }
                self.kept.add_index(Index(self.hooks(), owners, aliases))
        self.kept.save()

    @typed
    def get(self, kind: str, name: str) -> Any:
        """Return a record by name or alias; one that names no other record also from the path of a TOML file.

        Raises:
            InferBenchError: Unknown name (with the closest spelling and what is installed), or a faulty file.
        """
        entry = self.entry(kind, name)
        if entry is None and kind in FILES and name.endswith(".toml"):
            return FILES[kind](spec_file(name), Path(name).stem, name)
        if entry is None:
            ours = self.alias(kind, name)
            entry = self.entry(kind, ours) or self.entry(kind, ours.lower())
        if entry is None:
            raise unknown(kind, name, self.names(kind), len(self.problems))
        if entry.record is not None and kind not in DATA:
            return entry.record
        key = (kind, entry.name)
        known = self._records.get(key)
        if known is None or known[0] is not entry:
            one = recalled(kind, entry, self) if entry.record is None else fixed(entry.record)
            known = self._records[key] = (entry, self._placed(one, entry) if kind == "chips" else one)
        return known[1]

    def _placed(self, chip: Chip, entry: Entry) -> Chip:
        """The chip in its node; a stranger's says in its title whose it is."""
        if trust(entry.owner) is Trust.STRANGER and entry.version != FILE:
            chip = attrs.evolve(chip, title=f"{chip.title} ({entry.owner})")
        return self._seated(chip)

    def _seated(self, chip: Chip) -> Chip:
        """The chip with the node that it, or the chip it is based on, usually sits in: by the table
        `[systems]` of the aliases.
        """
        known = self.entries("systems")
        names = (self.alias("systems", name) for name in (chip.name, chip.based_on, ANY))
        found = next((name for name in names if name in known), None)
        if chip.node is not None or found is None:
            return chip
        return attrs.evolve(chip, node=self.get("systems", found))

    @typed
    def chip(self, name: str) -> Chip:
        """Return a chip by name or alias, or from the path of a TOML file."""
        if name.endswith(".toml") and name not in self.entries("chips"):
            text, stem = spec_file(name), Path(name).stem
            warn = self.warnings.append
            return self._seated(chip_from(text, stem, name, self.architecture, warn, self.chip_file))
        return self.get("chips", name)  # type: ignore[no-any-return]

    def chip_file(self, name: str) -> bytes:
        """The file of an installed chip, which another may be based on.

        Raises:
            InferBenchError: Unknown name; a chip without a file.
        """
        ours = self.alias("chips", name)
        entry = self.entry("chips", name) or self.entry("chips", ours)
        if entry is None:
            raise unknown("chips", name, self.names("chips"), len(self.problems))
        if entry.file is None:
            found = f"'{name}' is made by code of {entry.owner}: it has no file"
            raise InferBenchError.at(f"chips/{name}", found, "name a chip that has one")
        return entry.file.read_bytes()  # type: ignore[no-any-return]

    @typed
    def network(self, name: str) -> Network:
        """Return a network by name or alias, or from the path of a `config.json` or a TOML file."""
        if name.endswith(".json") and name not in self.entries("networks"):
            workloads = [self.workload(workload) for workload in self.ranked("workloads")]
            return network_from_config(read_config_file(name), name, workloads)
        if name.endswith(".toml") and name not in self.entries("networks"):
            return assemble.network_from(spec_file(name), Path(name).stem, name, self.workload)
        return self.get("networks", name)  # type: ignore[no-any-return]

    @typed
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
        return heads(self, self._records, self.kept, self._problem)

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
        """Return the most faithful power model that accepts a chip, or None and why each one declined.

        A stranger's serves others' chips only where no other does.
        """
        kind = chip.architecture_type
        names = [name for name, made_for in self._power_models() if not made_for or kind in made_for]
        fitting: list[PowerModel] = [self.get("power_models", name) for name in names]
        rounds = self.rounds("power_models", sorted(fitting, key=lambda m: -m.fidelity), chip)
        declined = []
        for model in chain.from_iterable(rounds):
            why = model.accepts(chip)
            if not why:
                return model, ""
            declined.append(why)
        # The most faithful of those made for this architecture says best what is missing.
        return None, declined[0] if declined else "no power model is installed (pip install inferbench-power)"

    def _power_models(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Names of power models and the architectures that they are made for, none for all; from earlier
        starts, so that those of other architectures are not imported.
        """
        old = None if self.kept is None else self.kept.get("power_models", "", None)
        if old is not None:
            return old[0]  # type: ignore[no-any-return]
        every = ((name, self.get("power_models", name).architectures) for name in self.names("power_models"))
        found = tuple((name, tuple(made_for)) for name, made_for in every)
        if self.kept is not None:
            self.kept.add("power_models", "", None, found)
        return found

    def metrics(self) -> list[Metric]:
        """All metrics, in display order."""
        found = (self.get("metrics", name) for name in self.names("metrics"))
        return sorted(found, key=lambda m: (m.order, m.name))

    def roles(self) -> dict[Role, Metric]:
        """The metric of each role, in the order of `ROLES`; of two with one role the first on screens, and no
        stranger's before another.
        """
        order = sorted(self.metrics(), key=lambda metric: self.strange("metrics", metric.name))
        known = {metric.role: metric for metric in reversed(order) if metric.role}
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
        other.kept = None if kind in READ_WITH else self.kept
        return other


@cache
def installed() -> Registry:
    """The process's registry of everything installed."""
    not_while(LOADING, "installed()", "a plugin asks for what is installed while it is imported")
    return Registry(lazy=True)
