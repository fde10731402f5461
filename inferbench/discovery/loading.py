"""Plugins: loaded one by one, so that one broken plugin costs only itself.

pluggy's stock loader loses every later plugin when one import fails, and drops the second of two equal
names in silence; this one records each failure against the distribution that caused it. Where an earlier
start has kept which hooks each plugin implements, a plugin is imported when one of its hooks is asked.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from inferbench._version import DISTRIBUTION, __version__
from inferbench.discovery import hookspecs
from inferbench.discovery.border import patient, quiet
from inferbench.discovery.collecting import LOADING, busy_with
from inferbench.discovery.entries import FILE, Problem, near_hook, said
from inferbench.discovery.kept import Index, Kept
from inferbench.discovery.ownership import Choice, Trust, named, needs_newer_core, trust
from inferbench.errors import InferBenchError, interruptible
from inferbench.records.time_model import TimeModel

__all__ = ["Plugins", "untold"]

# Name, distribution, version, and what imports it.
_Point = tuple[str, str, str, Callable[[], Any]]


def untold(name: str, owner: str) -> None:
    """Say nothing of a plugin before it is imported."""


class Plugins:
    """The plugins of a registry: which are installed and allowed, and what went wrong with each.

    Attributes:
        plugins: Distribution and version by name.
        left_out: The same of those that the user does not allow.
        seconds: How long each took to import.
        kept: What earlier starts of the same set of packages have read.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        """Begin without any.

        Args:
            tell: Called with plugin and package before each is imported.
        """
        self._tell = tell
        self.manager = pluggy.PluginManager("inferbench")
        self.manager.add_hookspecs(hookspecs)
        self.problems: list[Problem] = []
        self.plugins: dict[str, tuple[str, str]] = {}
        self.left_out: dict[str, tuple[str, str]] = {}
        self.seconds: dict[str, float] = {}
        self.deprecated: list[Problem] = []
        self.printed: list[tuple[str, str, str]] = []
        self.kept: Kept | None = None
        self.index: Index | None = None
        self._asleep: dict[str, Callable[[], Any]] = {}

    def owner_of(self, plugin: str) -> tuple[str, str]:
        """Distribution and version of a plugin."""
        return self.plugins.get(plugin, (plugin, "?"))

    def _load(self, time_model: Callable[[str], TimeModel], lazy: bool) -> None:
        """Load what the user allows: packages of record first, so that no stranger comes before them.

        Args:
            time_model: By name; what is kept of stacks names theirs.
            lazy: Whether to use what earlier starts have kept, and to import plugins when they are asked.
        """
        taken = self._taken()
        names = [point[:3] for point, _ in taken]
        kept = Kept.of_plugins(names, [value for _, value in taken], time_model) if lazy else None
        index = kept.index() if kept is not None and not self.problems else None
        for (name, owner, version, get), _ in taken:
            if index is not None and name in index.hooks:
                self.plugins[name] = (owner, version)
                self._asleep[name] = get
            else:
                self._tell(name, owner)
                self._register(name, get, owner, version)
        self.kept, self.index = kept, index

    def _taken(self) -> list[tuple[_Point, str]]:
        """The installed plugins that the user allows, each with the place of its code."""
        choice = Choice.of_environment()
        found = []
        for point in entry_points(group="inferbench"):
            dist = point.dist
            owner, version = named(dist) if dist else (point.value, "?")
            found.append((trust(owner), point.name, owner, version, point))
        taken = []
        for rank, name, owner, version, point in sorted(found, key=lambda one: one[:2]):
            if not choice.takes(name, owner):
                self.left_out[name] = (owner, version)
            elif rank > Trust.PROJECT and self._too_new(name, owner, point.dist):
                continue
            else:
                taken.append(((name, owner, version, point.load), point.value))
        for problem in choice.unknown((name, owner) for _, name, owner, *_ in found):
            self._problem(problem.owner, problem.where, problem.message, problem.remedy)
        return taken

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
        self.afresh()
        self._register(name, get, owner, version)
        self._forget()

    def _forget(self) -> None:
        """Drop what was found out from the plugins before: there is one more."""

    def _register(self, name: str, get: Callable[[], Any], owner: str, version: str) -> None:
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
                quiet(deep=True) as aside,
                busy_with(LOADING),
                warnings.catch_warnings(record=True) as said_of_hooks,
                interruptible(),
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

    def load_file(self, path: str) -> None:
        """Register a single Python file as a plugin: the on-ramp before any packaging."""
        file = Path(path)
        twins = sum(name.startswith(f"file:{file.name}") for name in self.plugins)
        twin = f"_{twins + 1}" if twins else ""  # of another folder, or given twice: names tell on it
        spec = importlib.util.spec_from_file_location(f"inferbench_file_{file.stem}{twin}", file)
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
        self.load(f"file:{file.name}{twin}", get, str(path), FILE)
        if len(self.problems) > before:
            raise InferBenchError.at(str(path), self.problems[-1].message, "fix the file")

    def _problem(self, owner: str, where: str, message: str, remedy: str = "") -> None:
        if os.environ.get("INFERBENCH_STRICT") == "1":
            raise InferBenchError.at(f"{owner}: {where}", message, remedy)
        self.problems.append(Problem(owner, where, message, remedy))

    def _noticed(self, owner: str, where: str, text: str) -> None:
        if text.strip():
            self.printed.append((owner, where, text.strip().splitlines()[0]))

    def wake(self, hook: str = "", only: str = "") -> None:
        """Import plugins that have not been asked yet.

        Args:
            hook: Those that implement it; without a hook, all.
            only: Those of a distribution; empty for all.
        """
        known = self.index.hooks if self.index is not None else {}
        asked = [name for name in self._asleep if not hook or hook in known[name]]
        for name in [name for name in asked if not only or self.plugins[name][0] == only]:
            get, (owner, version) = self._asleep.pop(name), self.plugins[name]
            place = list(self.plugins)
            del self.plugins[name]
            self._register(name, get, owner, version)
            self.plugins.update({one: self.plugins.pop(one) for one in place if one in self.plugins})

    def afresh(self) -> None:
        """Import all plugins and read everything anew, whatever earlier starts have kept."""
        self.wake()
        self.kept = self.index = None

    def hooks(self) -> dict[str, tuple[str, ...]]:
        """Which hooks each plugin implements."""
        found = {name: self.manager.get_hookcallers(self.manager.get_plugin(name)) for name in self.plugins}
        return {name: tuple(one.name for one in callers or ()) for name, callers in found.items()}

    def implementations(self, hook: str, only: str = "") -> list[Any]:
        """The implementations of a hook in the order in which plugins were loaded, whatever they ask for.

        Args:
            hook: Its name.
            only: Distribution whose implementations alone are meant; empty for all.
        """
        self.wake(hook, only)
        order = {name: number for number, name in enumerate(self.plugins)}
        found = getattr(self.manager.hook, hook).get_hookimpls()
        mine = [impl for impl in found if not only or self.owner_of(impl.plugin_name)[0] == only]
        return sorted(mine, key=lambda impl: order.get(impl.plugin_name, len(order)))
