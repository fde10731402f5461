"""The skeleton of a package: the templates of `inferbench/templates`, filled in.

The templates have copier's form, and copier writes the same files from them. What is used of its language is
small enough to be filled in here, so that writing a package needs nothing beside the core: words,
`{{ name }}`, and a condition on one word in the parts of a path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from inferbench._version import DISTRIBUTION, __version__
from inferbench.errors import InferBenchError
from inferbench.specs import toml

__all__ = ["ANSWERS", "CIS", "LICENCES", "Changes", "rendered", "update", "words", "write"]

ANSWERS = ".copier-answers.yml"
ASKED = ("kind", "name", "licence", "ci")
_BY_COPIER = "{{ _copier_answers|to_nice_yaml }}"
LICENCES = ("Apache-2.0", "MIT", "LicenseRef-Proprietary")
CIS = ("github", "gitlab", "none")
_WORD = re.compile(r"\{\{ (\w+) \}\}")
_WHEN = re.compile(r"\{% if (\w+) == '([\w.-]+)' %\}(.*)\{% endif %\}")
_RAW = re.compile(r"\{% raw %\}(.*?)\{% endraw %\}")
_HASH = re.compile(r"^# +([0-9a-f]{12}) (.+)$", re.MULTILINE)
_ANSWER = re.compile(r"^(kind|name|licence|ci): (\S+)$", re.MULTILINE)


def words(kind: str, name: str, licence: str = LICENCES[0], ci: str = CIS[0]) -> dict[str, str]:
    """What stands in the templates: names in every spelling, and the versions of the core it works with.

    Args:
        kind: `chip`, `power-model`, …
        name: Of the record.
        licence: SPDX expression of one of `LICENCES`.
        ci: Whose file of continuous integration is written.

    Example:
        >>> found = words("chip", "acme-x1")
        >>> found["package"], found["cls"], found["vendor"]
        ('inferbench-acme-x1', 'AcmeX1', 'Acme')
    """
    parts = re.split(r"[.-]", name)
    major, minor = (int(part) for part in __version__.split(".")[:2])
    span = f">={major}.{minor},<{major}.{minor + 1}"
    wanted = [DISTRIBUTION, *(["inferbench-simt"] if kind == "chip" else [])]
    cls = "".join(part.capitalize() for part in parts)
    found = {
        "kind": kind,
        "name": name,
        "licence": licence,
        "ci": ci,
        "stem": "_".join(parts),
        "imports": ", ".join(sorted([cls, "Params"])),
        "package": f"inferbench-{name}",
        "module": f"inferbench_{'_'.join(parts)}",
        "cls": cls,
        "title": " ".join(part.capitalize() for part in parts),
        "vendor": parts[0].capitalize(),
        "range": span,
        "what": kind.replace("-", " "),
        "dependencies": ", ".join(f'"{one}{span}"' for one in wanted),
    }
    said = toml.read_toml((_home() / "words.toml").read_bytes(), "words.toml")[0]
    return {**found, **{key: _filled(str(said[key][kind]), found) for key in ("about", "try")}}


def rendered(given: Mapping[str, str]) -> dict[str, str]:
    """Path to text of every file of a package.

    Args:
        given: From `words`.
    """
    found = dict(sorted(_files(_home() / "files", "", given)))
    hashes = "".join(
        f"#   {hashlib.sha256(text.encode()).hexdigest()[:12]} {path}\n"
        for path, text in found.items()
        if path != ANSWERS
    )
    answers = found[ANSWERS].replace(_BY_COPIER, "".join(f"{key}: {given[key]}\n" for key in ASKED).rstrip())
    return {**found, ANSWERS: f"{answers}# The files as they were written:\n{hashes}"}


def write(kind: str, name: str, home: Path, licence: str = LICENCES[0], ci: str = CIS[0]) -> list[Path]:
    """Write the skeleton of a package into a folder that must not exist yet.

    Args:
        kind: `chip`, `architecture`, `workload`, `stack`, …
        name: Of the record, as users will write it.
        home: Folder of the package.
        licence, ci: As for `words`.

    Returns:
        Paths of the files, relative to `home`.

    Raises:
        InferBenchError: The folder exists, or can't be written.

    Example:
        >>> write("chip", "acme-x1", Path("inferbench-acme-x1"))[0]      # doctest: +SKIP
        PosixPath('.copier-answers.yml')
    """
    if home.exists():
        remedy = "remove it, or name another --dir"
        raise InferBenchError.at(str(home), "is already there, and nothing is overwritten", remedy)
    texts = rendered(words(kind, name, licence, ci))
    for path, text in texts.items():
        _put(home, path, text)
    return sorted(Path(path) for path in texts)


class Changes(NamedTuple):
    """What an update did.

    Attributes:
        written: Files that had not been edited, and changed in the templates; new files.
        kept: Files that were edited, and changed in the templates too: theirs is written beside, `.new`.
    """

    written: list[str]
    kept: list[str]


def update(home: Path) -> Changes:
    """Bring what the templates of this core say to a package that an older core wrote.

    Args:
        home: Folder of the package.

    Raises:
        InferBenchError: The folder was not written by `inferbench new`; it can't be written.
    """
    try:
        known = (home / ANSWERS).read_text("utf-8")
    except OSError:
        found = f"there is no {ANSWERS} in this folder"
        raise InferBenchError.at(str(home), found, "name a folder that inferbench new has written") from None
    answers = dict(_ANSWER.findall(known))
    before = {path: digest for digest, path in _HASH.findall(known)}
    written: list[str] = []
    kept: list[str] = []
    texts = rendered(words(answers["kind"], answers["name"], answers["licence"], answers["ci"]))
    for path, text in texts.items():
        file = home / path
        mine = file.read_text("utf-8") if file.is_file() else None
        if mine == text or path == ANSWERS:
            continue
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        if mine is not None and before.get(path) == digest:
            continue  # edited by its author, and the template is as it was
        edited = mine is not None and hashlib.sha256(mine.encode()).hexdigest()[:12] != before.get(path)
        (kept if edited else written).append(path)
        _put(home, f"{path}.new" if edited else path, text)
    _put(home, ANSWERS, texts[ANSWERS])
    return Changes(written, kept)


def _home() -> Traversable:
    return files("inferbench") / "templates"


def _put(home: Path, path: str, text: str) -> None:
    try:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text, "utf-8")
    except OSError as error:
        said = f"can't be written: {error.strerror}"
        raise InferBenchError.at(f"--dir {home.parent}", said, "name a folder you may write to") from None


def _files(folder: Traversable, path: str, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and text; a part of a path whose condition does not hold leaves out what is below it."""
    for item in folder.iterdir():
        template = item.name.endswith(".jinja")
        name = _WHEN.sub(
            lambda found: found[3] if given[found[1]] == found[2] else "", item.name.removesuffix(".jinja")
        )
        name = _filled(name, given)
        if not name:
            continue
        if item.is_dir():
            yield from _files(item, f"{path}{name}/", given)
        else:
            text = item.read_text("utf-8")
            yield f"{path}{name}", _filled(text, given) if template else text


def _filled(text: str, given: Mapping[str, str]) -> str:
    """Put words into a text; what stands between raw marks stays as it is."""
    parts = _RAW.split(text)
    return "".join(
        part if number % 2 else _WORD.sub(lambda found: given[found[1]], part)
        for number, part in enumerate(parts)
    )
