"""Nobody can take what is another's: names, aliases, records, standard output."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tomllib
from importlib.metadata import PathDistribution
from pathlib import Path
from types import SimpleNamespace

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.discovery.border import Fixed, fixed
from inferbench.discovery.ownership import Choice, Trust, needs_newer_core, packages, trust
from inferbench.discovery.registry import Registry
from inferbench.errors import blame

ROOT = Path(__file__).parents[2]


def chip(name, title="", peak=1e12):
    return ib.Chip(
        name=name,
        title=title or name,
        vendor="V",
        architecture_type="toy",
        architecture=None,
        peak={"bf16": peak},
    )


class TestNames:
    @pytest.fixture
    def rivals(self, plugin):
        """What specs brings, and a stranger's claim to the same name."""
        ours = plugin(inferbench_chips=lambda: iter([chip("b200", "Ours")]))
        theirs = plugin(inferbench_chips=lambda: iter([chip("b200", "Theirs", 9e15)]))
        return ours, theirs

    @pytest.mark.parametrize("sorts", ["aaa", "zzz"])
    def test_a_stranger_is_refused_and_blamed_whatever_sorts_first(self, registry, rivals, sorts):
        ours, theirs = rivals
        known = registry((sorts, f"inferbench-{sorts}", theirs), ("specs", "inferbench-specs", ours))
        assert known.chip("b200").title == "Ours"
        (problem,) = known.problems
        assert problem.owner == f"inferbench-{sorts}"
        assert problem.message == "'b200' is already provided by inferbench-specs"
        assert problem.remedy == f"rename it in inferbench-{sorts}; inferbench-specs owns the name"

    def test_nobody_comes_first_by_asking(self, registry, rivals):
        from types import ModuleType

        eager = ModuleType("eager")

        def inferbench_chips():
            yield chip("b200", "Theirs")

        eager.inferbench_chips = ib.hookimpl(tryfirst=True)(inferbench_chips)
        known = registry(("a", "inferbench-a", eager), ("specs", "inferbench-specs", rivals[0]))
        assert known.chip("b200").title == "Ours"
        assert [problem.owner for problem in known.problems] == ["inferbench-a"]

    def test_the_name_of_a_plugin_is_taken_by_no_stranger(self, registry, rivals):
        ours, theirs = rivals
        known = registry(("specs", "inferbench-aaa", theirs), ("specs", "inferbench-specs", ours))
        assert known.plugins == {"specs": ("inferbench-specs", "1.0")}
        assert [problem.owner for problem in known.problems] == ["inferbench-aaa"]

    @pytest.mark.parametrize("first", ["inferbench-acme", "inferbench-zeta"])
    def test_among_strangers_the_maker_s_package_owns_its_chips(self, registry, plugin, first):
        mine = plugin(inferbench_chips=lambda: iter([chip("zeta-1", "By its maker")]))
        yours = plugin(inferbench_chips=lambda: iter([chip("zeta-1", "By another")]))
        known = registry(("a", "inferbench-acme", yours), ("z", "inferbench-zeta", mine))
        assert known.chip("zeta-1").title == "By its maker (inferbench-zeta)"
        assert [problem.owner for problem in known.problems] == ["inferbench-acme"]

    def test_a_stranger_s_chip_says_whose_it_is_and_ours_do_not(self, registry, plugin):
        theirs = plugin(inferbench_chips=lambda: iter([chip("x1", "X1")]))
        ours = plugin(inferbench_chips=lambda: iter([chip("y1", "Y1")]))
        known = registry(("x", "inferbench-x", theirs), ("specs", "inferbench-specs", ours))
        assert known.chip("x1").title == "X1 (inferbench-x)"
        assert known.chip("y1").title == "Y1"


class TestSpellings:
    @pytest.mark.parametrize("sorts", ["aaa", "zzz"])
    def test_another_spelling_of_a_name_is_the_same_name(self, registry, plugin, sorts):
        ours = plugin(inferbench_chips=lambda: iter([chip("b200", "Ours")]))
        theirs = plugin(inferbench_chips=lambda: iter([chip("B200", "Theirs")]))
        known = registry((sorts, f"inferbench-{sorts}", theirs), ("specs", "inferbench-specs", ours))
        assert known.chip("B200").title == known.chip("b200").title == "Ours"
        (problem,) = known.problems
        assert (problem.owner, problem.message) == (
            f"inferbench-{sorts}",
            "'B200' is already provided by inferbench-specs",
        )

    @pytest.mark.parametrize("name", ["h100", "H100"])
    @pytest.mark.parametrize("sorts", ["aaa", "zzz"])
    def test_a_name_that_is_another_s_alias_is_refused(self, registry, plugin, tmp_path, sorts, name):
        (tmp_path / "aliases.toml").write_text('[chips]\n"h100" = "h100-sxm"\n')
        ours = plugin(
            inferbench_chips=lambda: iter([chip("h100-sxm", "Ours")]),
            inferbench_aliases=lambda: iter([tmp_path / "aliases.toml"]),
        )
        theirs = plugin(inferbench_chips=lambda: iter([chip(name, "Theirs")]))
        known = registry((sorts, f"inferbench-{sorts}", theirs), ("specs", "inferbench-specs", ours))
        known.aliases()
        assert known.chip("h100").title == known.chip("H100").title == "Ours"
        (problem,) = known.problems
        assert problem.owner == f"inferbench-{sorts}"
        assert problem.message == f"'{name}' already belongs to inferbench-specs, which calls 'h100-sxm' so"


class TestAliases:
    def test_an_alias_never_hides_another_s_record(self, registry, plugin, tmp_path):
        (tmp_path / "aliases.toml").write_text('[chips]\n"B200" = "mine"\n"mine-too" = "mine"\n')
        theirs = plugin(
            inferbench_chips=lambda: iter([chip("mine")]),
            inferbench_aliases=lambda: iter([tmp_path / "aliases.toml"]),
        )
        ours = plugin(inferbench_chips=lambda: iter([chip("b200", "Ours")]))
        known = registry(("a", "inferbench-a", theirs), ("specs", "inferbench-specs", ours))
        assert known.chip("B200").title == "Ours"
        assert known.chip("mine-too").name == "mine"
        (problem,) = known.problems
        assert (problem.owner, problem.message) == (
            "inferbench-a",
            "the alias 'B200' already belongs to inferbench-specs",
        )

    def test_another_spelling_of_an_alias_is_the_same_alias(self, registry, plugin, tmp_path):
        for name, foreign, ours in (("ours", "H100", "h100"), ("theirs", "h100-X", "mine")):
            (tmp_path / f"{name}.toml").write_text(f'[chips]\n"{foreign}" = "{ours}"\n"Big" = "{ours}"\n')
        (tmp_path / "theirs.toml").write_text('[chips]\n"big" = "mine"\n')
        modules = [
            plugin(
                inferbench_chips=lambda record=record: iter([chip(record)]),
                inferbench_aliases=lambda name=name: iter([tmp_path / f"{name}.toml"]),
            )
            for record, name in (("h100", "ours"), ("mine", "theirs"))
        ]
        known = registry(("a", "inferbench-a", modules[1]), ("s", "inferbench-specs", modules[0]))
        assert known.chip("big").name == known.chip("BIG").name == "h100"
        assert [problem.owner for problem in known.problems] == ["inferbench-a"]


class TestRecords:
    def test_nobody_changes_another_s_record(self, toy):
        known = toy.chip("toy-chip")
        for change in (
            lambda: known.peak.update(bf16=1e18),
            lambda: known.peak.__setitem__("bf16", 1e18),
            lambda: known.memory.clear(),
            lambda: setattr(known, "title", "Mine"),
        ):
            with pytest.raises((TypeError, attrs.exceptions.FrozenInstanceError)):
                change()
        assert toy.chip("toy-chip").peak["bf16"] == 100e12

    def test_the_giver_keeps_no_handle_on_what_it_gave(self, bare, plugin):
        peak = {"bf16": 1e12}
        given = attrs.evolve(chip("x1"), peak=peak)
        bare.load("x", lambda: plugin(inferbench_chips=lambda: iter([given])), "inferbench-x", "1")
        assert bare.chip("x1").peak["bf16"] == 1e12
        peak["bf16"] = 1e18
        assert bare.chip("x1").peak["bf16"] == 1e12

    def test_a_fixed_record_pickles_and_evolves(self):
        known = fixed(chip("x1"))
        assert isinstance(pickle.loads(pickle.dumps(known)).peak, Fixed)
        assert attrs.evolve(known, peak={**known.peak, "fp8": 2e12}).peak == {"bf16": 1e12, "fp8": 2e12}

    def test_an_array_of_a_record_is_read_only(self):
        curve = np.array([1.0])
        assert not fixed({"a": curve})["a"].flags.writeable
        assert curve.flags.writeable

    def test_nobody_changes_another_s_formulas(self, toy):
        known = toy.architecture("toy")
        for change in (
            lambda: setattr(known, "cost", lambda op, site: ib.Cost()),
            lambda: setattr(known, "name", "mine"),
        ):
            with pytest.raises(TypeError, match="what is registered can't be changed"):
                change()
        assert "cost" not in vars(known)
        assert type(pickle.loads(pickle.dumps(known))) is type(known)

    def test_what_stands_for_another_s_object_has_attributes_of_its_own(self, toy):
        class Stand(ib.Architecture):
            name, title, params = "stand", "Stand", ib.NoParams

            def __init__(self, inner):
                self.inner = inner

            def __getattribute__(self, name):
                found = object.__getattribute__(self, "inner") if name != "inner" else self
                return object.__getattribute__(self, name) if found is self else getattr(found, name)

        stand = Stand(toy.architecture("toy"))
        assert (stand.name, type(stand.inner).__name__) == ("toy", type(toy.architecture("toy")).__name__)


class TestHooksThatAskBack:
    """A hook may not ask for what it is a part of: it alone is broken, and nobody else."""

    def test_a_hook_that_asks_for_its_own_kind_is_blamed(self, registry, plugin):
        asked = []

        def asks():
            asked.append(known[0].names("chips"))
            yield chip("mine")

        known = []
        points = [
            ("good", "inferbench-good", plugin(inferbench_chips=lambda: iter([chip("good")]))),
            ("asks", "inferbench-asks", plugin(inferbench_chips=asks)),
        ]
        known.append(registry(*points))
        assert known[0].names("chips") == ["good"]
        (problem,) = known[0].problems
        assert (problem.owner, problem.where) == ("inferbench-asks", "inferbench_chips")
        assert "a hook asks for what hooks are just collected for" in problem.message
        assert asked == []

    def test_a_hook_that_swallows_the_refusal_harms_nobody(self, registry, plugin):
        def asks():
            with pytest.raises(ib.InferBenchError):
                known[0].get("chips", "good")
            yield chip("mine")

        known = []
        points = [
            ("asks", "inferbench-asks", plugin(inferbench_chips=asks)),
            ("good", "inferbench-good", plugin(inferbench_chips=lambda: iter([chip("good")]))),
        ]
        known.append(registry(*points))
        assert known[0].names("chips") == ["good", "mine"]
        assert known[0].problems == []

    def test_a_plugin_that_asks_while_it_is_imported_is_blamed(self, registry):
        ib.installed.cache_clear()

        def asks():
            ib.installed()

        (problem,) = registry(("asks", "inferbench-asks", asks)).problems
        ib.installed.cache_clear()
        assert (problem.owner, problem.where) == ("inferbench-asks", "asks")
        assert "a plugin asks for what is installed while it is imported" in problem.message


class TestPrints:
    def test_what_is_written_past_python_is_kept_from_the_answer(self, registry, plugin, capfd):
        def imported():
            os.write(1, b"from C at import\n")
            return plugin(inferbench_chips=hook)

        def hook():
            os.write(1, b"from C in a hook\n")
            yield chip("x1")

        assert registry(("x", "inferbench-x", imported)).names("chips") == ["x1"]
        print("the answer")
        out, err = capfd.readouterr()
        assert out == "the answer\n"
        assert err.splitlines() == ["from C at import", "from C in a hook"]

    NOISY = """
print("at import")
import inferbench as ib

def noisy(run):
    print("in a metric")
    return run.seconds

@ib.hookimpl
def inferbench_metrics():
    print("in a hook")
    yield ib.Metric("noise", "noise", "s", "lower", noisy, order=1)
"""

    def test_what_a_plugin_prints_is_kept_from_the_answer(self, toy_cli, tmp_path):
        path = tmp_path / "noisy.py"
        path.write_text(self.NOISY)
        code, out, err = toy_cli(
            "-p",
            str(path),
            "run",
            "toy-chip",
            "toy-net/decode",
            "--stack",
            "ideal",
            "--scenario",
            "toy",
            "--format",
            "json",
        )
        assert code == 0, err
        assert json.loads(out)["schema"].startswith("inferbench.run/")
        assert {"at import", "in a hook", "in a metric"} <= set(err.splitlines())


class TestChoice:
    def points(self, plugin):
        return [
            (name, f"inferbench-{name}", plugin(inferbench_chips=lambda name=name: iter([chip(name)])))
            for name in ("one", "two", "three")
        ]

    def test_an_allow_list_loads_those_alone(self, registry, plugin, monkeypatch):
        monkeypatch.setenv("INFERBENCH_PLUGINS", "one, inferbench-two")
        known = registry(*self.points(plugin))
        assert known.names("chips") == ["one", "two"]
        assert known.left_out == {"three": ("inferbench-three", "1.0")}

    def test_what_is_left_out_is_not_even_imported(self, registry, plugin, monkeypatch):
        monkeypatch.setenv("INFERBENCH_DISABLE", "one")

        def never():
            raise AssertionError("imported")

        known = registry(("one", "inferbench-one", never), *self.points(plugin)[1:])
        assert known.problems == []
        assert known.names("chips") == ["three", "two"]

    def test_a_misspelled_name_is_told(self, registry, plugin, monkeypatch):
        monkeypatch.setenv("INFERBENCH_DISABLE", "onee")
        (problem,) = registry(*self.points(plugin)).problems
        assert (problem.owner, problem.where) == ("INFERBENCH_DISABLE", "onee")
        assert problem.remedy == "did you mean 'one'?"

    def test_what_a_plugin_raises_says_how_to_leave_it_out(self):
        error = blame("inferbench_acme_x1.model: acme.cost", ZeroDivisionError("division by zero"))
        assert error.faults[0].remedy.endswith("--disable inferbench-acme-x1 leaves the package out")
        assert Choice(disabled=frozenset({"inferbench-acme-x1"})).takes("x1", "inferbench-acme-x1") is False
        assert "--disable" not in blame("inferbench_file_mine: acme.cost", IndexError("7")).faults[0].remedy

    def test_the_option_reaches_the_command_and_leaves_no_trace(self, cli, monkeypatch):
        monkeypatch.delenv("INFERBENCH_DISABLE", raising=False)
        monkeypatch.setattr(
            "inferbench.discovery.loading.entry_points",
            lambda group: [
                SimpleNamespace(
                    name="x",
                    load=lambda: SimpleNamespace(),
                    dist=SimpleNamespace(name="inferbench-x", version="1"),
                    value="x",
                )
            ],
        )
        code, out, _ = cli("--disable", "x", "plugins", "--format", "csv")
        assert code == 0
        assert "left out" in out
        assert Choice.of_environment() == Choice()


def test_a_faulty_file_of_one_package_hides_nothing_of_others(toy_cli, tmp_path):
    (tmp_path / "bad.toml").write_text("title = 3\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "from pathlib import Path\nimport inferbench as ib\n\n@ib.hookimpl\ndef inferbench_chips():\n"
        "    yield Path(__file__).parent\n"
    )
    code, out, err = toy_cli("-p", str(path), "list", "chips")
    assert code == 0
    assert "toy-chip" in out
    assert "problem(s) with" in err


def test_what_a_plugin_prints_at_the_end_is_no_part_of_the_answer(tmp_path):
    path = tmp_path / "late.py"
    path.write_text(
        "import atexit, os\natexit.register(lambda: (print('bye'), os.write(1, b'raw\\n')))\n"
        "import inferbench as ib\n\n@ib.hookimpl\ndef inferbench_metrics():\n    yield from ()\n"
    )
    command = [sys.executable, "-m", "inferbench", "-p", str(path), "list", "stacks", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert json.loads(done.stdout)
    assert {"bye", "raw"} <= set(done.stderr.split())


THREADS = """
import os, sys, threading, time
import inferbench as ib

kept = sys.stdout

def chat():
    while True:
        {say}
        time.sleep(0.001)

threading.Thread(target=chat, daemon=True).start()

@ib.hookimpl
def inferbench_metrics():
    time.sleep(0.1)
    yield from ()
"""


@pytest.mark.parametrize(
    "say",
    [
        "print('NOISE')",
        "os.write(1, b'NOISE\\n')",
        "sys.__stdout__.write('NOISE\\n'); sys.__stdout__.flush()",
        "kept.write('NOISE\\n')",
        "os.system('echo NOISE')",
    ],
)
def test_what_a_plugin_s_threads_write_is_no_part_of_the_answer(tmp_path, say):
    path = tmp_path / "chats.py"
    path.write_text(THREADS.format(say=say))
    command = [sys.executable, "-m", "inferbench", "-p", str(path), "list", "stacks", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert json.loads(done.stdout)
    assert "NOISE" in done.stderr


def test_a_thread_that_keeps_the_process_is_named_after_the_answer(tmp_path):
    path = tmp_path / "stays.py"
    path.write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(2,), name='acme-poll').start()\n"
        "import inferbench as ib\n\n@ib.hookimpl\ndef inferbench_metrics():\n    yield from ()\n"
    )
    code = (
        "import sys, inferbench.cli as cli\ncli.PATIENCE = 0.1\n"
        f"sys.argv[1:] = ['-p', {str(path)!r}, 'list', 'stacks', '--format', 'json']\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)
    assert "the answer is complete; waiting for acme-poll" in done.stderr


class TestVersions:
    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ("<0.2,>=0.1", ""),
            ("<9.4,>=9.3", ">=9.3"),
            ("~=9.0", "~=9.0"),
            (">0.1.0", ">0.1.0"),
            ("==0.1.0", ""),
        ],
    )
    def test_a_newer_core_is_noticed(self, tmp_path, wanted, said):
        (tmp_path / "METADATA").write_text(
            "Metadata-Version: 2.4\nName: inferbench-x\nVersion: 1\n"
            f"Requires-Dist: numpy>=99\nRequires-Dist: inferbench-core{wanted}\n"
        )
        assert needs_newer_core(PathDistribution(tmp_path)) == said

    def test_a_plugin_built_for_a_newer_core_is_refused_with_a_sentence(self, tmp_path, monkeypatch):
        info = tmp_path / "inferbench_future-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.4\nName: inferbench-future\nVersion: 1.0\n"
            "Requires-Dist: inferbench-core>=9\n"
        )

        def never():
            raise AssertionError("imported")

        point = SimpleNamespace(name="future", load=never, dist=PathDistribution(info), value="x")
        monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: [point])
        (problem,) = Registry().problems
        assert problem.owner == "inferbench-future"
        assert problem.message.startswith("it was built for inferbench-core >=9, and this is ")

    def test_a_hook_on_its_way_out_is_told_to_its_author(self, bare, plugin, monkeypatch):
        from inferbench.discovery import hookspecs

        hook = bare.manager.hook.inferbench_suites.spec
        monkeypatch.setattr(hook, "warn_on_impl", DeprecationWarning("write inferbench_networks instead"))
        bare.load("x", lambda: plugin(inferbench_suites=lambda: iter(())), "inferbench-x", "1")
        assert hookspecs.inferbench_suites is not None
        (told,) = bare.deprecated
        assert (told.owner, told.message) == ("inferbench-x", "write inferbench_networks instead")
        assert bare.problems == []


def test_the_packages_of_record_are_those_of_the_repository():
    homes = [*ROOT.glob("plugins/*"), ROOT / "specs", ROOT / "specs/inferbench-data", *ROOT.glob("contrib/*")]
    files = [home / "pyproject.toml" for home in homes if (home / "pyproject.toml").is_file()]
    names = {tomllib.loads(file.read_text("utf-8"))["project"]["name"] for file in files}
    missing = names - {name for name, entry in packages().items() if entry["by"] == "project"}
    assert missing == set(), "add them to inferbench/discovery/packages.toml"
    assert all(entry["brings"].endswith(".") for entry in packages().values())
    assert trust("inferbench-core") is Trust.CORE
    assert trust("somebody-else") is Trust.STRANGER
