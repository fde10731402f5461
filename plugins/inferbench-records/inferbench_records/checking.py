"""`verify`: compute a record again, and name every field that differs."""

from __future__ import annotations

import hashlib
import math
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

import inferbench as ib
from inferbench_records.documents import computed, digest, installed_text

__all__ = ["Difference", "verified"]

CLOSE = 1e-12
"""Relative difference allowed where versions differ: the last digits of sums in another order."""

TAKEN = ("chips", "networks", "stacks")


@attrs.frozen
class Difference:
    """One field that is not as recorded.

    Attributes:
        field: Path in the record.
        recorded: What it says.
        found: What it should be.
        matters: False for what is only told: other versions.
    """

    field: str
    recorded: str
    found: str
    matters: bool = True


def verified(document: Mapping[str, Any], known: ib.Registry) -> list[Difference]:
    """Compute a record again from its own specs.

    Args:
        document: As `read` gives it.
        known: Installed plugins.

    Returns:
        All differences: of hashes, of specs from those installed, of results. Empty where all agrees.

    Raises:
        InferBenchError: Its arguments or specs can't be used.
    """
    found = list(_hashes(document))
    found += _specs(document, known)
    found += _versions(document, known)
    results = computed(_with_own(document, known), document["arguments"]).to_dict()["results"]
    same = not any(not one.matters for one in found)
    more = _brought_since(document, known)
    for row in results:
        for part in ("metrics", "unknown"):
            row[part] = {name: one for name, one in row.get(part, {}).items() if _plain(name) not in more}
    found += _compared("results", list(document["results"]), results, 0.0 if same else CLOSE)
    packages = dict(known.plugins.values())
    found += [
        Difference(f"made.packages.{owner}", "not there", packages.get(owner, "a file"), matters=False)
        for owner in dict.fromkeys(more.values())
    ]
    return found


def _brought_since(document: Mapping[str, Any], known: ib.Registry) -> dict[str, str]:
    """Metrics of packages that the record was made without, with their owners: it says nothing of them."""
    had = {"inferbench-core", *dict(document["made"].get("packages", {}))}
    return {name: one.owner for name, one in known.entries("metrics").items() if one.owner not in had}


def _plain(name: str) -> str:
    """The metric that an end of an interval belongs to."""
    return name.removesuffix("_low").removesuffix("_high")


def _hashes(document: Mapping[str, Any]) -> Iterator[Difference]:
    if digest(document) != document["sha256"]:
        yield Difference("sha256", str(document["sha256"])[:16] + "…", digest(document)[:16] + "…")
    for key, spec in document["specs"].items():
        own = hashlib.sha256(str(spec.get("text", "")).encode("utf-8")).hexdigest()
        if own != spec.get("sha256"):
            yield Difference(f"specs.{key}.sha256", str(spec.get("sha256"))[:16] + "…", own[:16] + "…")


def _specs(document: Mapping[str, Any], known: ib.Registry) -> Iterator[Difference]:
    for key, spec in document["specs"].items():
        text = installed_text(known, key)
        if text is None:
            yield Difference(f"specs.{key}", "a file", "not installed", matters=False)
        elif text != spec["text"]:
            changed = list(_compared(f"specs.{key}", _parsed(spec["text"], key), _parsed(text, key), 0.0))
            yield from changed or [Difference(f"specs.{key}", "comments or order", "others")]


def _parsed(text: str, key: str) -> Any:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of TOML, or a number of thousands of digits
        raise ib.InferBenchError.at(f"specs.{key}", f"is no TOML: {error}", "make the record again") from None


def _versions(document: Mapping[str, Any], known: ib.Registry) -> Iterator[Difference]:
    """Versions that differ are told: results then agree to rounding."""
    import platform

    import numpy as np

    now = {"python": platform.python_version(), "numpy": np.__version__, "inferbench": ib.__version__}
    packages = dict(known.plugins.values())
    for name, version in now.items():
        if document["made"].get(name) != version:
            yield Difference(f"made.{name}", str(document["made"].get(name)), version, matters=False)
    for name, version in dict(document["made"].get("packages", {})).items():
        if name in packages and packages[name] != version:
            yield Difference(f"made.packages.{name}", str(version), packages[name], matters=False)


def _with_own(document: Mapping[str, Any], known: ib.Registry) -> ib.Registry:
    """The registry in which the record's own specs take the places of those that differ."""
    changed = {
        key: spec["text"]
        for key, spec in document["specs"].items()
        if key.partition("/")[0] in TAKEN and installed_text(known, key) != spec["text"]
    }
    if not changed:
        return known
    with tempfile.TemporaryDirectory() as folder:
        for kind, get in (("networks", "network"), ("chips", "chip"), ("stacks", "stack")):
            records = []
            for key in sorted(key for key in changed if key.startswith(f"{kind}/")):
                name = key.partition("/")[2]
                if Path(name).name != name:
                    raise ib.InferBenchError.at(
                        f"specs.{key}", "is no name of a spec", "make the record again"
                    )
                path = Path(folder) / f"{name}.toml"
                path.write_text(changed[key], "utf-8")
                records.append(getattr(known, get)(str(path)))
            if records:
                known = known.with_records(
                    kind, [attrs.evolve(one, name=Path(one.name).stem) for one in records]
                )
    return known


def _compared(path: str, recorded: Any, found: Any, close: float) -> Iterator[Difference]:
    """Name every leaf at which two documents differ."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*recorded, *found)):
            if key not in recorded or key not in found:
                there, here = (key in recorded), (key in found)
                yield Difference(
                    f"{path}.{key}", "there" if there else "not there", "there" if here else "not there"
                )
            else:
                yield from _compared(f"{path}.{key}", recorded[key], found[key], close)
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            yield Difference(f"{path}", f"{len(recorded)} entries", f"{len(found)} entries")
        for place, (one, other) in enumerate(zip(recorded, found, strict=False)):
            yield from _compared(f"{path}[{place}]", one, other, close)
    elif not _same(recorded, found, close):
        yield Difference(path, _short(recorded), _short(found))


def _same(recorded: Any, found: Any, close: float) -> bool:
    if isinstance(recorded, bool) or isinstance(found, bool) or not isinstance(recorded, int | float):
        return bool(recorded == found and type(recorded) is type(found))
    if not isinstance(found, int | float):
        return False
    return recorded == found or (close > 0 and math.isclose(recorded, found, rel_tol=close, abs_tol=0.0))


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return ib.visible(ib.short(text, 60))
