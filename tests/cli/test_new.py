"""`inferbench new`: what it writes works as it is, and it overwrites nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from inferbench.cli import skeleton
from inferbench.cli.app import run
from inferbench.cli.new_command import KINDS
from inferbench.cli.skeleton import ANSWERS

NAMES = {
    "chip": "acme-q9",
    "architecture": "wave-front",
    "workload": "mixer",
    "stack": "my-engine",
    "fabric": "two-rings",
    "power-model": "acme-watts",
    "metric": "answers-per-s",
    "importer": "acme-log",
    "renderer": "tabs",
    "executor": "threads",
    "command": "vendors",
}


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


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """One environment with a new package of every kind: their folder, and what finds them."""
    folder = tmp_path_factory.mktemp("packages")
    site, paths = folder / "site", []
    for kind in NAMES:
        package = written(kind, folder)
        paths.append(str(package))
        environment = install(package, site)
    return folder, {**environment, "PYTHONPATH": os.pathsep.join([str(site), *paths])}


def ran(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_new_packages_are_typed(everything):
    pytest.importorskip("mypy", reason="the development tools are not installed")
    folder, environment = everything
    modules = [f"inferbench-{name}/inferbench_{name.replace('-', '_')}" for name in NAMES.values()]
    cache = ["--cache-dir", str(folder / "cache")]
    assert "no issues found" in ran(["mypy", "--strict", *cache, *modules], folder, environment)


def test_new_packages_are_listed_with_their_owners_and_versions(everything):
    folder, environment = everything
    lines = ran(["inferbench", "list", "--format", "csv"], folder, environment).splitlines()
    for kind, name in NAMES.items():
        record = name.replace("-", "_") if kind == "metric" else name
        line = f"{KINDS[kind]},{record},inferbench-{name},0.1.0,"
        assert any(f"{one},".startswith(line) for one in lines)


@pytest.mark.parametrize("kind", list(NAMES))
def test_copier_writes_the_same_files(kind, tmp_path):
    copier = pytest.importorskip("copier", reason="the development tools are not installed")
    home = written(kind, tmp_path)
    template = str(files("inferbench") / "templates")
    given = {"kind": kind, "name": NAMES[kind]}
    copier.run_copy(template, tmp_path / "theirs", data=given, defaults=True, quiet=True)
    for path in home.rglob("*"):
        if path.is_file() and path.name != ANSWERS:
            theirs = tmp_path / "theirs" / path.relative_to(home)
            assert path.read_text() == theirs.read_text(), path.name
    both = [
        {str(path.relative_to(one)) for path in one.rglob("*") if path.is_file()}
        for one in (home, tmp_path / "theirs")
    ]
    assert both[0] == both[1]


@pytest.mark.slow
def test_copier_brings_newer_templates_and_keeps_what_the_author_edited(tmp_path):
    copier = pytest.importorskip("copier", reason="the development tools are not installed")

    def git(where, *words):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=where, check=True, capture_output=True)

    source, home = tmp_path / "templates", tmp_path / "theirs"
    shutil.copytree(str(files("inferbench") / "templates"), source)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "1"), ("tag", "v1.0.0")):
        git(source, *words)
    given = {"kind": "chip", "name": "acme-q9"}
    copier.run_copy(str(source), home, data=given, defaults=True, quiet=True)
    spec = home / "inferbench_acme_q9/chips/acme-q9.toml"
    spec.write_text(spec.read_text().replace("600 W", "700 W"))
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "mine")):
        git(home, *words)
    (readme,) = source.rglob("README.md.jinja")
    (template,) = source.glob("files/*chip*/chips/*.jinja")
    for path in (readme, template):
        path.write_text(path.read_text() + "# newer\n")
    for words in (("commit", "-qam", "2"), ("tag", "v2.0.0")):
        git(source, *words)
    copier.run_update(str(home), defaults=True, quiet=True, overwrite=True)
    assert (home / "README.md").read_text().endswith("# newer\n")
    assert "700 W" in spec.read_text()
    assert spec.read_text().endswith("# newer\n")
    assert skeleton.update(home).written == []


class TestUpdate:
    def test_what_the_author_edited_is_left_alone(self, tmp_path, monkeypatch, capsys):
        home = written("chip", tmp_path)
        spec = home / "inferbench_acme_q9/chips/acme-q9.toml"
        spec.write_text(spec.read_text().replace("600 W", "700 W"))
        newer = skeleton.rendered

        def changed(given):
            texts = {path: f"{text}# newer\n" for path, text in newer(given).items()}
            return {**texts, ANSWERS: newer(given)[ANSWERS]}

        monkeypatch.setattr(skeleton, "rendered", changed)
        capsys.readouterr()
        assert run(["new", "--update", str(home)]) == 0
        assert "700 W" in spec.read_text()
        assert spec.with_name("acme-q9.toml.new").read_text().endswith("# newer\n")
        assert (home / "README.md").read_text().endswith("# newer\n")
        assert "1 to compare" in capsys.readouterr().out

    def test_nothing_changes_where_nothing_is_newer(self, tmp_path, capsys):
        home = written("metric", tmp_path)
        (home / "README.md").write_text("mine")
        capsys.readouterr()
        assert run(["new", "--update", str(home)]) == 0
        assert (home / "README.md").read_text() == "mine"
        assert "0 files written, 0 to compare" in capsys.readouterr().out

    def test_another_folder_is_refused(self, tmp_path, capsys):
        assert run(["new", "--update", str(tmp_path)]) == 2
        assert "there is no .copier-answers.yml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("licence", "begins"), [("MIT", "MIT License"), ("LicenseRef-Proprietary", "Copyright")]
)
def test_a_licence_and_a_host_are_chosen(licence, begins, tmp_path):
    asked = ["--licence", licence, "--ci", "gitlab", "--dir", str(tmp_path)]
    assert run(["new", "metric", "answers-per-s", *asked]) == 0
    home = tmp_path / "inferbench-answers-per-s"
    assert (home / "LICENSE").read_text().startswith(begins)
    assert (home / ".gitlab-ci.yml").is_file()
    assert not (home / ".github").exists()


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
