"""Laws of a package as a whole: it loads, takes nothing that is another's, and says whose it is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from types import ModuleType
from typing import Any

from inferbench._version import DISTRIBUTION
from inferbench.discovery.registry import KINDS
from inferbench.testing.laws.law import Broken, Subject, law

__all__ = ["SLOW"]

KIND = "package"
SLOW = 2.0
"""Seconds that importing a plugin may take: every command waits for it."""
OWNERSHIP = ("is already provided by", "already belongs to", "is already taken by")


def _plugins(subject: Subject) -> Iterator[tuple[str, Any]]:
    subject.registry.wake()
    for name, (owner, _) in subject.registry.plugins.items():
        if owner == subject.owner:
            yield name, subject.registry.manager.get_plugin(name)


@law(KIND, quick=True)
def it_loads(subject: Subject) -> Iterator[Broken]:
    """Every plugin is imported, and every hook gives records of its kind."""
    for kind in KINDS:
        subject.registry.entries(kind)
    subject.registry.aliases()
    for problem in subject.registry.problems:
        if problem.owner == subject.owner and not any(text in problem.message for text in OWNERSHIP):
            yield Broken(problem.where, problem.message, problem.remedy)


@law(KIND, quick=True)
def it_takes_no_name_of_another(subject: Subject) -> Iterator[Broken]:
    """No record, alias or plugin has a name that belongs to another package."""
    for problem in subject.registry.problems:
        if problem.owner == subject.owner and any(text in problem.message for text in OWNERSHIP):
            yield Broken(
                f"{problem.where} {problem.message.split(chr(39))[1]}", problem.message, problem.remedy
            )


@law(KIND, quick=True)
def it_loads_quickly(subject: Subject) -> Iterator[Broken]:
    """A plugin is imported in less than two seconds: every command waits for it."""
    for name, _ in _plugins(subject):
        taken = subject.registry.seconds[name]
        if taken > SLOW:
            text = f"importing it takes {taken:.1f} s; {SLOW:g} s at most was expected"
            yield Broken(name, text, "import what is heavy inside the functions that need it")


@law(KIND, quick=True)
def prints_nothing(subject: Subject) -> Iterator[Broken]:
    """Nothing is printed at import or in a hook: standard output belongs to the answer."""
    for owner, where, text in subject.registry.printed:
        if owner == subject.owner:
            yield Broken(where, f"it printed '{text[:60]}'", "use logging, or nothing")


@law(KIND, quick=True)
def hooks_are_marked(subject: Subject) -> Iterator[Broken]:
    """A function that is named like a hook carries `@ib.hookimpl`, else nobody calls it."""
    for name, plugin in _plugins(subject):
        members = (
            vars(plugin) if isinstance(plugin, ModuleType) else {k: getattr(plugin, k) for k in dir(plugin)}
        )
        marked = False
        for key, value in members.items():
            if key.startswith("inferbench_") and inspect.isroutine(value):
                if hasattr(value, "inferbench_impl"):
                    marked = True
                else:
                    yield Broken(
                        f"{name}: {key}", "it is not marked, so nothing of it is found", "add @ib.hookimpl"
                    )
        unmarked = any(k.startswith("inferbench_") and inspect.isroutine(v) for k, v in members.items())
        if not marked and not unmarked:
            yield Broken(
                name, "the plugin implements no hook", "see the list of hooks, docs/reference/hooks.md"
            )


@law(KIND, quick=True)
def hooks_are_current(subject: Subject) -> Iterator[Broken]:
    """No hook that it implements is on its way out."""
    for problem in subject.registry.deprecated:
        if problem.owner == subject.owner:
            yield Broken(
                problem.where, problem.message, "follow the note before the next version of the core"
            )


@law(KIND, doubt=True)
def it_says_whose_it_is(subject: Subject) -> Iterator[Broken]:
    """A distribution has a licence, an author, a readme, and a range of versions of the core."""
    try:
        about = metadata(subject.owner)
    except PackageNotFoundError:
        return
    for what, keys in (
        ("licence", ("License-Expression", "License")),
        ("author", ("Author", "Author-email")),
        ("readme", ("Description-Content-Type",)),
    ):
        if not any(key in about for key in keys):
            yield Broken(what, f"the metadata name no {what}", "add it to [project] in pyproject.toml")
    wants = [one for one in about.get_all("Requires-Dist") or () if one.startswith(DISTRIBUTION)]
    if subject.owner != DISTRIBUTION and not any("<" in one or "~=" in one for one in wants):
        text = f"{wants[0] if wants else DISTRIBUTION + ' is not required'}"
        yield Broken(
            "dependencies", text, f"write '{DISTRIBUTION}>=0.1,<0.2': hooks change between minor versions"
        )


@law(KIND)
def aliases_lead_somewhere(subject: Subject) -> Iterator[Broken]:
    """An alias names a record that is installed."""
    from inferbench.discovery.aliases import pairs_of

    for impl in subject.registry.implementations("inferbench_aliases"):
        if subject.registry.owner_of(impl.plugin_name)[0] != subject.owner:
            continue
        for kind, foreign, ours in pairs_of(impl, subject.owner):
            known = subject.registry.names(kind) if kind in KINDS else [ours]
            if ours not in known:
                yield Broken(
                    f"[{kind}] {foreign}", f"no installed package provides '{ours}'", "correct the name"
                )
