"""What `inferbench check` is pointed at: a folder, a wheel, a file, or the name of an installed package."""

from __future__ import annotations

import re
import zipfile
import zlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import attrs

from inferbench._version import DISTRIBUTION
from inferbench.discovery.registry import installed
from inferbench.errors import InferBenchError, suggest
from inferbench.files import read, read_text, refuse_stream
from inferbench.specs import toml

__all__ = ["Bundle", "unpacked"]

GROUP = "inferbench"
BUILD = "build it: uv build, or python -m build"
LARGEST = 1 << 30
"""Bytes that a wheel may unpack to."""
CLAIMS = "claims.toml"
"""What a package tells customers: `[[claim]]` tables, held against the bound."""


@attrs.frozen
class Bundle:
    """Something that can be judged.

    Attributes:
        target: Distribution, or the path of a file.
        shown: How reports call it.
        path: Folders in which it is found, before all others.
        names: Other names under which findings may call it.
        claims: Files of claims that it brings.
    """

    target: str
    shown: str
    path: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()


def unpacked(target: str, folder: Path) -> Bundle:
    """Make a target importable.

    Args:
        target: As typed.
        folder: Empty one for what must be written.

    Raises:
        InferBenchError: It is none of them; a project without entry points; a file that is no wheel.
    """
    path = Path(target)
    refuse_stream(path)
    if path.is_dir():
        return _project(path, folder)
    if path.suffix == ".whl" and path.is_file():
        return _wheel(path, folder)
    if path.suffix in (".toml", ".py") and path.is_file():
        return Bundle(str(path), path.name)
    try:
        found = distribution(target)
    except PackageNotFoundError:
        known = sorted({owner for owner, _ in installed().plugins.values()} | {DISTRIBUTION})
        remedy = suggest(target, known) or "give a folder with pyproject.toml, a wheel, a .toml or a .py file"
        raise InferBenchError.at(target, "no such file, folder or installed package", remedy) from None
    if found.name != DISTRIBUTION:
        _refuse_without_plugin(found, target)
    return Bundle(found.name, f"{found.name} {found.version}")


def _refuse_without_plugin(found: Distribution, where: str) -> None:
    """Refuse a distribution of which no law could be broken."""
    if not found.entry_points.select(group=GROUP):
        remedy = f'add [project.entry-points.{GROUP}] with a line like my-chip = "inferbench_my_chip"'
        raise InferBenchError.at(where, f"it names no entry point in the group '{GROUP}'", remedy)


def _project(home: Path, folder: Path) -> Bundle:
    """A folder with a pyproject.toml: its modules, and the metadata that an installer would write."""
    file = home / "pyproject.toml"
    if not file.is_file():
        remedy = "name the folder of a package, or a file"
        raise InferBenchError.at(str(home), "there is no pyproject.toml in this folder", remedy)
    table = toml.read_toml(read(file), str(file))[0].get("project")
    points = table.get("entry-points", {}).get(GROUP, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict) or "name" not in table or not points:
        remedy = f'add [project.entry-points.{GROUP}] with a line like my-chip = "inferbench_my_chip"'
        raise InferBenchError.at(str(file), f"it names no entry point in the group '{GROUP}'", remedy)
    name, version = str(table["name"]), str(table.get("version", "0"))
    info = folder / f"{re.sub(r'[-.]+', '_', name)}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(_metadata(table, name, version), "utf-8")
    lines = [f"[{GROUP}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    source = home / "src" if (home / "src").is_dir() else home
    claims = tuple(str(file) for file in sorted([*home.glob(CLAIMS), *source.glob(f"*/{CLAIMS}")]))
    return Bundle(name, f"{name} {version}", (str(folder), str(source.resolve())), claims=claims)


def _metadata(table: dict[str, Any], name: str, version: str) -> str:
    """The lines of METADATA that laws look at."""
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    if "license" in table:
        lines.append(f"License-Expression: {table['license']}")
    lines += [f"Author: {one.get('name', one.get('email', ''))}" for one in table.get("authors", [])]
    lines += ["Description-Content-Type: text/markdown"] if "readme" in table else []
    lines += [f"Requires-Dist: {one}" for one in table.get("dependencies", [])]
    return "\n".join(lines) + "\n"


def _wheel(path: Path, folder: Path) -> Bundle:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                found = f"unpacks to more than {LARGEST >> 30} GiB"
                raise InferBenchError.at(str(path), found, "give the wheel of a plugin")
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError):
        raise InferBenchError.at(str(path), "it is no wheel", BUILD) from None
    infos = sorted(folder.glob("*.dist-info"))
    if not infos or not (infos[0] / "METADATA").is_file():
        raise InferBenchError.at(str(path), "it has no metadata", BUILD)
    _refuse_without_plugin(Distribution.at(infos[0]), str(path))
    name = infos[0].name.removesuffix(".dist-info").rpartition("-")[0]
    said = re.search(r"^Name: *(\S+)", read_text(infos[0] / "METADATA"), re.MULTILINE)
    claims = tuple(str(file) for file in sorted(folder.rglob(CLAIMS)))
    return Bundle(said[1] if said else name, path.name, (str(folder),), claims=claims)
