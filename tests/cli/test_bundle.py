"""What `inferbench check` is pointed at and can't judge: one message, whatever is wrong with it."""

from __future__ import annotations

import zipfile

import pytest

import inferbench as ib
from inferbench.cli import bundle

ABOUT = {"x-1.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: inferbench-x\nVersion: 1.0\n"}
POINTS = {"x-1.0.dist-info/entry_points.txt": "[inferbench]\nx = x\n"}


def wheel(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "it has no metadata"),
        ({"x-1.0.dist-info/RECORD": ""}, "it has no metadata"),
        (ABOUT, "it names no entry point in the group 'inferbench'"),
        (ABOUT | {"x-1.0.dist-info/entry_points.txt": "[console_scripts]\nx = x:y\n"}, "no entry point"),
        (ABOUT | POINTS | {"large": "0" * 2000}, "unpacks to more than"),
    ],
)
def test_a_wheel_without_a_plugin_is_refused(tmp_path, monkeypatch, members, said):
    monkeypatch.setattr(bundle, "LARGEST", 1000)
    (tmp_path / "site").mkdir()
    with pytest.raises(ib.InferBenchError, match=said):
        bundle.unpacked(str(wheel(tmp_path / "x.whl", members)), tmp_path / "site")


def test_what_is_cut_short_is_no_wheel(tmp_path):
    path = wheel(tmp_path / "x.whl", ABOUT | POINTS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ib.InferBenchError, match="it is no wheel"):
        bundle.unpacked(str(path), tmp_path)


def test_a_wheel_writes_nothing_outside_of_its_folder(tmp_path):
    site = tmp_path / "a" / "site"
    site.mkdir(parents=True)
    found = bundle.unpacked(
        str(wheel(tmp_path / "x.whl", ABOUT | POINTS | {"../../out.txt": "x", "/out.txt": "x"})), site
    )
    assert found.target == "inferbench-x"
    assert not (tmp_path / "out.txt").exists()
    assert not (tmp_path / "a" / "out.txt").exists()


def test_a_package_that_is_no_plugin_is_not_called_sound(tmp_path):
    with pytest.raises(ib.InferBenchError, match="pytest: it names no entry point in the group 'inferbench'"):
        bundle.unpacked("pytest", tmp_path)
