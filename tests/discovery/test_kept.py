"""What one start keeps for the next: the same records, and never anything else."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import pytest

import inferbench as ib
from inferbench.discovery.kept import Index, Kept, stamps
from inferbench.records.roofline import ROOFLINE
from inferbench.records.scenario import Scenario
from inferbench.records.stack import IDEAL

SCENARIO = Scenario(
    name="mine",
    title="Mine",
    depreciation=1e8,
    electricity=0.1,
    pue=1.3,
    system_factor=1.5,
    utilization=0.8,
    carbon_intensity=1e-4,
)


def model(name):
    assert name == ROOFLINE.name
    return ROOFLINE


def said(record):
    """All that a record has; objects of plugins are others in each registry."""
    return re.sub("0x[0-9a-f]+", "", repr(record))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def path(folder):
    """A file with two records in it."""
    kept = Kept(folder / "records-1", model)
    kept.add("scenarios", "mine", "mine.toml", SCENARIO)
    kept.add("stacks", "ideal", "ideal.toml", IDEAL)
    kept.save()
    return kept.path


def test_records_come_back_equal(path):
    kept = Kept(path, model)
    assert kept.get("scenarios", "mine", "mine.toml") == (SCENARIO, ())
    (stack, _) = kept.get("stacks", "ideal", "ideal.toml")
    assert repr(stack) == repr(IDEAL)
    assert stack.time_model is ROOFLINE


def test_a_record_of_another_file_is_another_record(path):
    assert Kept(path, model).get("scenarios", "mine", "other.toml") is None


def test_more_records_join_those_that_are_there(path):
    kept = Kept(path, model)
    kept.add("scenarios", "more", "more.toml", SCENARIO)
    kept.save()
    again = Kept(path, model)
    assert again.get("scenarios", "more", "more.toml") is not None
    assert again.get("stacks", "ideal", "ideal.toml") is not None


def test_no_flipped_byte_changes_a_record(path):
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        found = Kept(path, model).get("scenarios", "mine", "mine.toml")
        assert found is None or found == (SCENARIO, ())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_is_cut_short_gives_nothing_wrong(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    kept = Kept(path, model)
    for kind, name, record in (("scenarios", "mine", SCENARIO), ("stacks", "ideal", IDEAL)):
        found = kept.get(kind, name, f"{name}.toml")
        assert found is None or repr(found[0]) == repr(record)


class _Runs:
    """Unpickling it would write a file."""

    def __init__(self, call, *given):
        self.call = call, given

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [os.mkdir, Path, Scenario.__init__, print, pickle.loads])
def test_nothing_but_records_is_made(folder, tmp_path, call):
    made = tmp_path / "made"
    kept = Kept(folder / "records-1", model)
    kept.add("scenarios", "mine", "mine.toml", SCENARIO)
    key = next(iter(kept._new))
    kept._new[key] = pickle.dumps((_Runs(call, str(made)), ()))
    kept.save()
    assert Kept(kept.path, model).get("scenarios", "mine", "mine.toml") is None
    assert not made.exists()


def test_what_is_no_record_is_not_kept(folder):
    kept = Kept(folder / "records-1", model)
    kept.add("scenarios", "mine", "mine.toml", Path("here"))
    kept.save()
    assert not kept.path.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of this kind are POSIX's")
def test_a_file_that_others_may_write_is_not_read(path):
    path.chmod(0o666)
    assert Kept(path, model).get("scenarios", "mine", "mine.toml") is None


def test_only_the_last_sets_of_packages_are_kept(folder):
    for number in range(7):
        kept = Kept(folder / f"records-{number}", model)
        kept.add("scenarios", "mine", "mine.toml", SCENARIO)
        kept.save()
        os.utime(kept.path, (number, number))
    assert sorted(one.name for one in folder.iterdir()) == [f"records-{number}" for number in (3, 4, 5, 6)]


def test_a_folder_that_cannot_be_made_is_left(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    kept = Kept(tmp_path / "file" / "records-1", model)
    kept.add("scenarios", "mine", "mine.toml", SCENARIO)
    kept.save()
    assert (tmp_path / "file").read_text("utf-8") == "in the way"


def test_any_change_of_code_or_data_is_another_set(tmp_path):
    package = tmp_path / "mine"
    (package / "data").mkdir(parents=True)
    for name in ("__init__.py", "data/chip.toml", "data/notes.txt"):
        (package / name).write_text("1", encoding="utf-8")
    before = list(stamps([str(package)]))
    assert len(before) == 2
    (package / "data" / "notes.txt").write_text("22", encoding="utf-8")
    assert list(stamps([str(package)])) == before
    (package / "data" / "chip.toml").write_text("22", encoding="utf-8")
    changed = list(stamps([str(package)]))
    assert changed != before
    (package / "data" / "new.toml").write_text("1", encoding="utf-8")
    assert len(list(stamps([str(package)]))) == 3


def test_another_set_of_plugins_has_another_file(folder, monkeypatch):
    monkeypatch.setenv("INFERBENCH_CACHE", str(folder))
    sets = ([("a", "one", "1.0")], [("a", "one", "1.1")], [("a", "one", "1.0"), ("b", "two", "1.0")])
    assert len({Kept.of_plugins(plugins, ["json"], model).path for plugins in sets}) == 3


def test_an_empty_variable_means_no_cache(monkeypatch):
    monkeypatch.setenv("INFERBENCH_CACHE", "")
    assert Kept.of_plugins([("a", "one", "1.0")], ["json"], model) is None


def test_an_index_comes_back(path):
    kept, index = Kept(path, model), Index({"a": ("inferbench_chips",)}, {"chips": {"x": "one"}}, {})
    assert kept.index() is None
    kept.add_index(index)
    kept.save()
    assert Kept(path, model).index() == index


RUN = """
import sys
sys.argv = ["inferbench", "run", "b200", "llama3-8b/decode", "--format", "json"]
from inferbench.cli import main
try:
    main()
finally:
    loaded = sorted({one.partition(".")[0] for one in sys.modules if one.startswith("inferbench_")})
    print(" ".join(loaded), file=sys.stderr)
"""


@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b", "workloads/mmdit", "architectures/simt")
def test_a_second_start_gives_the_same_and_imports_what_it_needs(process, tmp_path):
    first, second = (process("-c", RUN, INFERBENCH_CACHE=str(tmp_path / "cache")) for _ in range(2))
    assert second.stdout == first.stdout
    assert second.stdout.startswith("{")
    assert "inferbench_diffusion" in first.stderr.split()
    assert "inferbench_simt" in second.stderr.split()
    assert "inferbench_diffusion" not in second.stderr.split()


FILE = "chip,op,weight_precision,latency_ms,batch,tokens,heads\nB200,recurrence,bf16,1.0,4,1024,32\n"


@pytest.mark.needs_plugins("chips/b200", "workloads/layered", "importers/csv")
def test_a_second_start_knows_the_kinds_of_operators_that_plugins_define(process, tmp_path):
    """Kinds come with a plugin's code, which a later start doesn't import unless it is asked."""
    (tmp_path / "rows.csv").write_text(FILE)
    cache = str(tmp_path / "cache")
    for command in (
        ("op", "b200", "recurrence", "--heads", "32", "--batch", "4", "--tokens", "1024"),
        ("validate", str(tmp_path / "rows.csv"), "--stack", "trtllm-1.3-b200-linear"),
    ):
        first, second = (process(*command, INFERBENCH_CACHE=cache) for _ in range(2))
        assert (first.returncode, second.returncode) == (0, 0), second.stderr
        assert second.stdout == first.stdout


@pytest.mark.needs_plugins("chips/b200")
def test_a_registry_that_keeps_nothing_gives_the_same_records(monkeypatch, tmp_path):
    monkeypatch.setenv("INFERBENCH_CACHE", str(tmp_path))
    first = ib.Registry(lazy=True)
    chips = {name: first.chip(name) for name in first.names("chips")}
    stacks = {stack.name: stack for stack in first.stacks()}
    first.keep()
    again, plain = ib.Registry(lazy=True), ib.Registry()
    assert again.index is not None
    assert plain.kept is None
    for name, chip in chips.items():
        assert repr(again.chip(name)) == repr(chip) == repr(plain.chip(name))
    for name, stack in stacks.items():
        assert said(again.stack(name)) == said(stack) == said(plain.stack(name))
    assert again.aliases() == plain.aliases()
    for kind in ("chips", "workloads", "metrics"):
        assert again.names(kind) == plain.names(kind)
