"""`inferbench doctor` survives what it diagnoses: every bad plugin is named, and the others are tried."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from inferbench.cli.doctor_command import _folded

GOOD = """
import inferbench as ib

@ib.hookimpl
def inferbench_metrics():
    yield ib.Metric("good_per_s", "good", "", "higher", lambda run: run.items / run.seconds)
"""
BAD = {
    "raises": """
import inferbench as ib

class Boom(ib.PowerModel):
    name, title = "boom", "Boom"

    def accepts(self, chip):
        raise RuntimeError("boom")

    def energy(self, counts, system):
        raise RuntimeError("boom")

@ib.hookimpl
def inferbench_power_models():
    yield Boom()
""",
    "steals": """
import inferbench as ib

class Thief(ib.Architecture):
    name, title, params = "simt", "Thief", ib.NoParams

@ib.hookimpl
def inferbench_architectures():
    yield Thief()
""",
    "forgets": "def inferbench_metrics():\n    yield 1\n",
    "leaves": "import sys\nsys.exit(3)\n",
    "prints": "print('noise')\n" + GOOD.replace("good", "noisy"),
    "lacks": """
from pathlib import Path
import inferbench as ib

HOME = Path(__file__).with_name("lacks")
HOME.mkdir(exist_ok=True)
(HOME / "a-chip.toml").write_text("title = 'A'\\nvendor = 'A'\\n[architecture]\\ntype = 'from-elsewhere'\\n")

@ib.hookimpl
def inferbench_chips():
    yield HOME
""",
    "hangs": "while True:\n    pass\n",
    "loops": """
import inferbench as ib

@ib.hookimpl
def inferbench_networks():
    while True:
        pass
""",
    "dies": "import os\nos._exit(7)\n",
}
SAYS = {
    "raises": "it-accepts-or-says-why: it raised RuntimeError: boom",
    "steals": "'simt' is already provided by",
    "forgets": "hooks-are-marked",
    "leaves": "SystemExit: 3",
    "prints": "prints-nothing: it printed 'noise'",
    "lacks": "unknown architecture",
    "hangs": "it-answers-in-time: no sign of life",
    "loops": "it-answers-in-time: no sign of life",
    "dies": "it-leaves-the-process-alone: the process ended with exit code 7",
}


def install(site, name, code):
    """Write a package and its metadata, as an installer does."""
    (site / f"inferbench_{name}.py").write_text(code)
    info = site / f"inferbench_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: inferbench-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[inferbench]\n{name} = inferbench_{name}\n")


def asked(site, *words, **more):
    environment = {**os.environ, "PYTHONPATH": str(site), "INFERBENCH_STRICT": "", "COLUMNS": "80", **more}
    command = [sys.executable, "-m", "inferbench", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.slow
@pytest.mark.needs_plugins
def test_every_bad_plugin_is_named_and_the_good_one_is_tried(tmp_path):
    install(tmp_path, "good", GOOD)
    for name, code in BAD.items():
        install(tmp_path, name, code)
    done = asked(tmp_path, "doctor", "--format", "json", "--limit", "8")
    assert done.returncode == 1, done.stderr
    broken = [one for one in json.loads(done.stdout)["findings"] if one["state"] == "broken"]
    for name, says in SAYS.items():
        mine = [one["found"] for one in broken if one["owner"] == f"inferbench-{name}"]
        assert any(says in found for found in mine), (name, mine)
    assert {one["owner"] for one in broken} == {f"inferbench-{name}" for name in BAD}
    assert all("pip install" not in one["remedy"] for one in broken)


def test_many_doubts_of_one_kind_are_one_row_on_the_screen():
    doubt = {"state": "doubtful", "owner": "o", "where": "w", "found": "slower", "remedy": "look"}
    rows = [{**doubt, "where": f"w{number}"} for number in range(5)]
    broken = {**doubt, "state": "broken"}
    one, other = _folded([*rows, broken])
    assert one == broken
    assert (other["where"], other["found"]) == ("w0", "slower; 4 more like it, which --format json lists")
    assert list(_folded(rows[:3])) == rows[:3]


@pytest.mark.needs_plugins
def test_a_plugin_that_hangs_can_be_left_out(tmp_path):
    install(tmp_path, "hangs", BAD["hangs"])
    done = asked(tmp_path, "--disable", "hangs", "plugins")
    assert done.returncode == 0, done.stderr
    assert "inferbench-hangs 1.0" in done.stdout
    assert "left out" in done.stdout


@pytest.mark.slow
@pytest.mark.needs_plugins
def test_the_list_of_plugins_survives_what_hangs_or_ends_the_process(tmp_path):
    install(tmp_path, "good", GOOD)
    for name in ("hangs", "loops", "dies"):
        install(tmp_path, name, BAD[name])
    done = asked(tmp_path, "plugins", "--limit", "4", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["package"]: row for row in json.loads(done.stdout)["plugins"]}
    assert rows["inferbench-good"]["brings"] == {"metrics": 1}
    assert rows["inferbench-good"]["state"] == ""
    for name in ("hangs", "loops", "dies"):
        row = rows[f"inferbench-{name}"]
        assert row["state"] == "hangs or ends the process: left out, see doctor"
        assert row["load_s"] is None


@pytest.mark.slow
def test_a_core_alone_says_what_is_missing():
    done = asked("", "doctor", "--format", "json", INFERBENCH_PLUGINS="none-of-them")
    missing = [one for one in json.loads(done.stdout)["findings"] if one["state"] == "missing"]
    assert {"chips", "architectures", "networks", "workloads"} <= {one["where"] for one in missing}
    assert all(one["remedy"] == "pip install 'inferbench-core[all]'" for one in missing)


@pytest.mark.slow
def test_findings_stand_in_one_table_at_any_width(toy_cli, monkeypatch):
    for width in ("40", "80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        _, out, _ = toy_cli("doctor")
        assert sum(line.startswith("state") for line in out.splitlines()) <= 1
