"""Distributions of other people that shadow ours are named."""

from __future__ import annotations

import sys
from importlib.metadata import distributions

from inferbench.discovery.strangers import strangers


def install(site, name, version, files, scripts=()):
    """Write a distribution's files and metadata as an installer does."""
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).touch()
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if scripts:
        (info / "entry_points.txt").write_text("\n".join(["[console_scripts]", *scripts, ""]))


def looked_at(site):
    return list(strangers(distributions(path=[str(site)])))


def test_a_stranger_with_our_import_package_and_command_is_named(tmp_path):
    install(
        tmp_path, "inferbench-cli", "0.1.8", ["inferbench/__init__.py"], ["inferbench = inferbench.cli:main"]
    )
    (problem,) = looked_at(tmp_path)
    assert problem.owner == "inferbench-cli 0.1.8"
    assert "the import package `inferbench` and the command `inferbench`" in problem.message
    assert problem.remedy.startswith("pip uninstall inferbench-cli, ")


def test_a_placeholder_of_our_name_is_named(tmp_path):
    install(tmp_path, "inferbench", "0.0.1", ["inferbench/__init__.py"])
    (problem,) = looked_at(tmp_path)
    assert "the import package `inferbench`;" in problem.message


def test_our_own_packages_and_others_are_left_alone(tmp_path):
    install(
        tmp_path, "inferbench-core", "0.1.0", ["inferbench/__init__.py"], ["inferbench = inferbench.cli:main"]
    )
    install(tmp_path, "inferbench-simt", "0.1.0", ["inferbench_simt/__init__.py"])
    install(tmp_path, "other", "1.0", ["other/inferbench/__init__.py"], ["inferbench-mcp = other:main"])
    assert looked_at(tmp_path) == []


def test_doctor_says_so_and_fails(cli, tmp_path, monkeypatch):
    install(tmp_path, "inferbench-cli", "0.1.8", ["inferbench/__init__.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) in sys.path
    code, out, _ = cli("doctor", "--format", "csv")
    assert code == 1
    assert "inferbench-cli 0.1.8" in out
