"""The reference page of the Python face, generated from its docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import attrs
from docs_formats import GENERATED

import inferbench as ib
from inferbench.units import Least

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example")
HEADINGS = {"Args": "Arguments", "Attributes": "Fields"}
# Signatures say `Numeric`, not the union that it stands for.
_HOMES = re.compile(r"\b(inferbench\w*|typing|collections|numpy)(\.\w+)*\.(?=\w)")


def split(text: str) -> dict[str, list[str]]:
    """Cut a docstring into its sections; what stands before the first is under the empty name."""
    parts: dict[str, list[str]] = {"": []}
    now = ""
    for line in text.splitlines():
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            now = line.rstrip(":")
            parts.setdefault(now, [])
        elif line and not line.startswith(" ") and now:
            now = ""
            parts[""].append(line)
        else:
            parts[now].append(line)
    return parts


def entries(lines: list[str]) -> Iterator[str]:
    """Turn `name: meaning` with its continued lines into items of a list."""
    item = ""
    for line in (line.removeprefix("    ") for line in lines):
        if line.startswith(" ") or not line:
            item += f" {line.strip()}" if line else ""
            continue
        if item:
            yield item
        found = re.match(r"(?P<names>[\w*., ]+): (?P<text>.*)", line)
        names = ", ".join(f"`{name}`" for name in found["names"].split(", ")) if found else ""
        item = f"- {names}: {found['text']}" if found else f"- {line}"
    if item:
        yield item


def described(text: str) -> Iterator[str]:
    """A docstring as Markdown."""
    parts = split(re.sub(r"\.\. versionadded:: (\S+)", r"Since version \1 of the core.", text))
    yield from _dedented(parts.pop(""))
    for name, lines in parts.items():
        yield ""
        if name == "Example":
            yield from example(lines)
        else:
            yield f"**{HEADINGS.get(name, name)}**"
            yield ""
            yield from entries(lines) if name not in ("Returns", "Yields") else _dedented(lines)


def _dedented(lines: list[str]) -> list[str]:
    return inspect.cleandoc("\n".join(lines)).splitlines()


def example(lines: list[str]) -> Iterator[str]:
    """An example: prose as it is, code in a fence."""
    code: list[str] = []
    for line in [*_dedented(lines), ""]:
        if line.startswith((">>>", "...")) or (code and line):
            code.append(re.sub(r" +# doctest: \+SKIP", "", line))
            continue
        if code:
            yield from ("", "```pycon", *code, "```", "")
            code = []
        if line:
            yield line


def signature(name: str, thing: Any) -> str:
    """How a function is called, or a record made, one parameter a line where the line gets long."""
    try:
        parameters = list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):
        return name
    shown = list(map(_parameter, parameters))
    if inspect.isfunction(thing):
        places = [i for i, one in enumerate(parameters) if one.kind is one.KEYWORD_ONLY]
        if places and not any(one.kind is one.VAR_POSITIONAL for one in parameters):
            shown.insert(places[0], "*")
    returned = inspect.signature(thing).return_annotation
    end = "" if returned in (inspect.Parameter.empty, None, "None") else f" -> {_plain(returned)}"
    line = f"{name}({', '.join(shown)}){end}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + f"){end}"


def _plain(annotation: Any) -> str:
    """An annotation as an author writes it."""
    return _HOMES.sub("", annotation if isinstance(annotation, str) else inspect.formatannotation(annotation))


def _parameter(parameter: inspect.Parameter) -> str:
    """One parameter; a default that is no literal is `…`."""
    stars: str = dict[Any, str]({parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}).get(
        parameter.kind, ""
    )
    typed = "" if parameter.annotation is parameter.empty else f": {_plain(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{typed}"
    literal = isinstance(parameter.default, str | int | float | bool | tuple | None)
    default = repr(parameter.default) if literal else "…"
    return f"{stars}{parameter.name}{typed}{' = ' if typed else '='}{default}"


def methods(thing: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class documents itself."""
    for name, member in vars(thing).items():
        if name.startswith("_"):
            continue
        inner = member.fget if isinstance(member, property) else getattr(member, "func", member)
        inner = getattr(inner, "__func__", inner)
        if inspect.isfunction(inner) and inspect.getdoc(inner):
            yield name, inner


def entry(name: str, thing: Any) -> list[str]:
    """One name of the face: heading, signature, docstring, methods."""
    lines = [f"### `{name}`", ""]
    thing = inspect.unwrap(thing)
    home = (getattr(thing, "__module__", None) or "numpy").partition(".")[0]
    if home != "inferbench":
        home = "attrs" if home in ("attr", "functools") else home
        return [*lines, f"From `{home}`, as it is: see its documentation.", ""]
    makes = inspect.isfunction(thing) or attrs.has(thing)
    if makes:
        lines += ["```python", signature(name, thing), "```", ""]
    lines += list(described(inspect.getdoc(thing) or ""))
    if inspect.isclass(thing):
        own = [(method, inspect.getdoc(inner) or "") for method, inner in methods(thing)]
        if own:
            lines += ["", "**Methods and properties**", ""]
            lines += [
                f"- `{method}`: {' '.join(text.split(chr(10) + chr(10))[0].split())}" for method, text in own
            ]
    return [*lines, ""]


def groups(module: ModuleType) -> dict[str, list[str]]:
    """The names of a module by what they are."""
    found: dict[str, list[str]] = {"Functions": [], "Records and classes": [], "Exceptions": [], "Others": []}
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) and issubclass(thing, BaseException):
            found["Exceptions"].append(name)
        elif inspect.isclass(thing):
            found["Records and classes"].append(name)
        elif callable(thing) and not hasattr(thing, "__metadata__"):
            found["Functions"].append(name)
        else:
            found["Others"].append(name)
    return {heading: names for heading, names in found.items() if names}


def unit(name: str) -> str:
    """One line for a type that says a unit, or for a constant."""
    metadata = getattr(getattr(ib.units, name, None), "__metadata__", ())
    if metadata and isinstance(metadata[0], Least):
        return f"| `{name}` | a whole number of at least {metadata[0].value} | none | `2` |"
    if metadata:
        one = metadata[0]
        return f"| `{name}` | {one.meaning} | {one.symbol or 'none'} | `{one.example}` |"
    return ""


def part(module: ModuleType, level: str) -> Iterator[str]:
    """All names of a module, under a heading for each sort."""
    for heading, names in groups(module).items():
        if heading == "Others":
            rest = [f"`{name}`" for name in names if not unit(name)]
            yield from [f"Besides, {', '.join(rest)}.", ""] if rest else []
            continue
        yield from (f"{level} {heading}", "")
        for name in names:
            yield from entry(name, getattr(module, name))


def python_page() -> str:
    """Write docs/reference/python.md."""
    lines = ["# Python", "", GENERATED, ""]
    lines += ["```python", "import inferbench as ib", "```", ""]
    lines += [
        "What is listed here is public, and nothing else. Quantities are float64 in SI units. `ib` has what",
        "an analyst needs, `ib.plugin` what an author of packages needs, `ib.units` the types that say a",
        "unit, and `inferbench.testing` the conformance suites. Names of the first three resolve in `ib`.",
        "",
    ]
    lines += part(ib, "##")
    lines += ["## `ib.plugin`", "", "For authors of packages.", "", *part(ib.plugin, "###")]
    lines += ["## `ib.units`", ""]
    lines += ["Types of fields: a file writes the unit, a record holds the SI value.", ""]
    lines += ["| type | what | SI unit | as written |", "|---|---|---|---|"]
    lines += [*filter(None, map(unit, ib.units.__all__)), ""]
    others = groups(ib.units)
    for name in (*others.get("Functions", []), *others.get("Records and classes", [])):
        lines += entry(name, getattr(ib.units, name))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
