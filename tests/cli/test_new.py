"""`inferbench new`: what it writes works as it is, and it overwrites nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from inferbench.cli.app import run

NAMES = {"chip": "acme-q9", "architecture": "wave-front", "workload": "mixer"}


def written(kind: str, folder: Path) -> Path:
    assert run(["new", kind, NAMES[kind], "--dir", str(folder)]) == 0
    return folder / f"inferbench-{NAMES[kind]}"


def install(package: Path, site: Path) -> dict[str, str]:
    """Install a package of pure Python as an installer would: its modules and its metadata on the path."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [f"{name} = {module}" for name, module in project["entry-points"]["inferbench"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[inferbench]", *lines, ""]))
    return {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{package}", "INFERBENCH_STRICT": "1"}


@pytest.mark.parametrize("kind", list(NAMES))
@pytest.mark.slow
def test_a_new_package_loads_and_passes_its_own_tests(kind, tmp_path):
    if kind == "chip" and find_spec("inferbench_simt") is None:
        pytest.skip("a new chip is of type simt, and inferbench-simt is not installed")
    package = written(kind, tmp_path)
    environment = install(package, tmp_path / "site")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "tests",
    ]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("kind", list(NAMES))
def test_a_new_package_is_listed_with_its_owner_and_version(kind, tmp_path):
    package = written(kind, tmp_path)
    command = [sys.executable, "-m", "inferbench", "list", f"{kind}s", "--format", "csv"]
    done = subprocess.run(
        command, env=install(package, tmp_path / "site"), capture_output=True, text=True, check=True
    )
    line = f"{kind}s,{NAMES[kind]},inferbench-{NAMES[kind]},0.1.0"
    assert any(f"{one},".startswith(f"{line},") for one in done.stdout.splitlines())


def test_nothing_is_overwritten(tmp_path, capsys):
    package = written("chip", tmp_path)
    spec = package / "inferbench_acme_q9" / "chips" / "acme-q9.toml"
    spec.write_text("mine")
    assert run(["new", "chip", "acme-q9", "--dir", str(tmp_path)]) == 2
    assert spec.read_text() == "mine"
    assert "is already there, and nothing is overwritten" in capsys.readouterr().err


def test_the_answer_lists_every_file_it_wrote(tmp_path, capsys):
    package = written("workload", tmp_path)
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    lines = capsys.readouterr().out.splitlines()
    assert {line.strip() for line in lines[1:-1]} == files
    assert "inferbench_mixer/networks/mixer-small.toml" in files
    assert lines[-1].endswith("inferbench run b200 mixer-small/forward")


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("chips", "acme-q9", "chips: no such kind of package\n  did you mean 'chip'?"),
        ("chip", "Acme_Q9", "Acme_Q9: a name has lower-case letters, digits, dots and hyphens"),
        ("chip", "inferbench-q9", "gets the prefix inferbench- by itself\n  write inferbench new chip q9"),
    ],
)
def test_a_bad_name_is_refused_with_the_remedy(kind, name, said, tmp_path, capsys):
    assert run(["new", kind, name, "--dir", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_names_its_owner(tmp_path, capsys):
    pytest.importorskip("inferbench_specs", reason="inferbench-specs is not installed")
    assert run(["new", "chip", "b200", "--dir", str(tmp_path)]) == 2
    assert "b200: this chip is already provided by inferbench-specs" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["new", "chip", "acme-q9", "--dir", str(tmp_path / "file")]) == 2
    assert f"--dir {tmp_path / 'file'}: can't be written: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("kind", list(NAMES))
def test_a_new_package_says_whose_it_is_and_under_which_licence(kind, tmp_path):
    package = written(kind, tmp_path)
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (package / "LICENSE").read_text()
    assert project["authors"] == [{"name": NAMES[kind].partition("-")[0].capitalize()}]
    assert (package / project["readme"]).is_file()
