"""What goes to a package index: names that are ours, and the same facts about every distribution."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from inferbench.cli.new_command import KINDS
from inferbench.cli.skeleton import rendered, words

ROOT = Path(__file__).parent.parent
CORE = "inferbench-core"
HOMES = [
    ROOT,
    *sorted(
        path.parent
        for pattern in ("specs", "specs/*", "plugins/*", "contrib/*")
        for path in ROOT.glob(f"{pattern}/pyproject.toml")
    ),
]
PROJECTS: dict[Path, dict[str, Any]] = {
    home: tomllib.loads((home / "pyproject.toml").read_text("utf-8")) for home in HOMES
}
# On the package index these two belong to other people; they must never be depended on, nor named in an
# advice.
STRANGERS = {"inferbench", "inferbench-cli"}


def requirements(table: dict[str, Any]) -> list[str]:
    """Every requirement of a pyproject, extras and groups included."""
    project = table["project"]
    groups = [
        *project.get("optional-dependencies", {}).values(),
        *table.get("dependency-groups", {}).values(),
    ]
    return [*project.get("dependencies", []), *(one for group in groups for one in group)]


def bare(requirement: str) -> str:
    return re.split(r"[<>=!~\[ ;$]", requirement)[0]


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_a_distribution_has_a_name_of_ours_and_depends_on_no_stranger(home):
    table = PROJECTS[home]
    assert table["project"]["name"] not in STRANGERS
    assert not STRANGERS & {bare(one) for one in requirements(table)}
    assert not STRANGERS & set(table.get("tool", {}).get("uv", {}).get("sources", {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_depends_on_no_stranger(kind):
    table = tomllib.loads(rendered(words(kind, "x-1"))["pyproject.toml"])
    assert CORE in {bare(one) for one in table["project"]["dependencies"]}
    assert not STRANGERS & {bare(one) for one in requirements(table)}


def test_only_the_core_owns_the_import_package_and_the_command():
    owners = [home for home, table in PROJECTS.items() if "inferbench" in table["project"].get("scripts", {})]
    assert owners == [ROOT]
    for home, table in PROJECTS.items():
        packages = table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert ("inferbench" in packages) == (home == ROOT)


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_a_distribution_says_whose_it_is_and_under_which_licence(home):
    project, core = PROJECTS[home]["project"], PROJECTS[ROOT]["project"]
    assert (home / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (home / project["readme"]).read_text("utf-8").startswith("# ")
    for key in ("authors", "classifiers", "requires-python", "urls"):
        assert project.get(key) == core.get(key), key
    # What others published and we pass on stays under their licences, named in NOTICE.
    more = project["license"].removeprefix(core["license"])
    assert more == "" or (more.startswith(" AND ") and (home / "NOTICE").is_file())
    assert project["description"].endswith(".")


def test_the_extra_all_names_every_first_party_plugin():
    extra = {bare(one) for one in PROJECTS[ROOT]["project"]["optional-dependencies"]["all"]}
    assert extra == {
        table["project"]["name"]
        for home, table in PROJECTS.items()
        if home.parent.name == "plugins" or home.name == "specs"
    }


TEXTS = [
    path
    for pattern in ("inferbench/**/*", "plugins/**/*", "specs/**/*", "contrib/**/*", "docs/**/*.md", "*.md")
    for path in ROOT.glob(pattern)
    if path.suffix in (".py", ".md", ".toml", ".jinja") and "tests" not in path.parts
]
# Only the record of the decision may say what must not be said.
RECORD = ROOT / "docs/decisions/0011-the-name-of-the-distribution.md"


def test_every_distribution_that_we_advise_to_install_is_ours():
    ours = {table["project"]["name"] for table in PROJECTS.values()} | {"uv"}
    wrong = []
    for path in TEXTS:
        for found in re.finditer(r"pip install +(?!-)['\"]?(?P<name>[\w{}.-]+)", path.read_text("utf-8")):
            # A placeholder stands for a name that the program knows; it must not be part of one.
            known = found["name"] in ours or re.fullmatch(r"\{\w+\}", found["name"])
            if not known and path != RECORD:
                wrong.append(f"{path.relative_to(ROOT)}: {found[0]}")
    assert wrong == []


def built(home: Path, out: Path) -> tuple[Path, Path]:
    """Build wheel and source archive in this environment, without an index."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, source


@pytest.mark.slow
@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_a_built_wheel_carries_licence_readme_and_authors(home, tmp_path):
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    wheel, _ = built(home, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        about = Parser().parsestr(archive.read(path).decode())
        for file in ("LICENSE", *(["NOTICE"] if (home / "NOTICE").is_file() else [])):
            assert path.replace("METADATA", f"licenses/{file}") in archive.namelist()
    assert about["Author"] == "The InferBench authors"
    assert about["License-Expression"] == PROJECTS[home]["project"]["license"]
    assert about["Description-Content-Type"] == "text/markdown"
    assert len(about.get_payload()) > 100


@pytest.mark.slow
def test_the_source_archive_of_the_core_holds_the_core_alone(tmp_path):
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    _, source = built(ROOT, tmp_path)
    with tarfile.open(source) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    assert "inferbench" in tops
    assert not tops & {"plugins", "specs", "contrib", "tests", "docs", "tools", "shared"}
