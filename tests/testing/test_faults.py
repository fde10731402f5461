"""Every planted fault is caught by its law, with owner and figures; the sound package by none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import attrs
import numpy as np
import pytest

import inferbench as ib
from inferbench.cli.badge import badge
from inferbench.cli.trials import tried
from inferbench.discovery.registry import Registry
from inferbench.report.render import RENDERERS
from inferbench.testing.laws import LAWS, Subject, Verdict, judge, judge_package

HERE = Path(__file__).parent
FAULTS = tomllib.loads((HERE / "faults.toml").read_text("utf-8"))
OWNER = "inferbench-sound"
CODE = (HERE / "sound.py").read_text("utf-8")
CHIP = (HERE / "sound.toml").read_text("utf-8")
SET = (HERE / "sound_set.toml").read_text("utf-8")
CLAIMS = (HERE / "sound_claims.toml").read_text("utf-8")
ALIASES = '[chips]\n"SOUND ONE" = "sound-1"\n'


def swapped(text: str, swap: list[str] | None) -> str:
    if swap is None:
        return text
    assert swap[0] in text, f"{swap[0]!r} does not stand in the sound package"
    return text.replace(swap[0], swap[1])


def written(folder: Path, fault: dict[str, object]) -> Path:
    """Write the package, the fault in it."""
    home = folder / "inferbench_sound"
    (home / "chips").mkdir(parents=True)
    (home / "__init__.py").write_text(swapped(CODE, fault.get("swap")))
    (home / "chips" / "sound-1.toml").write_text(swapped(CHIP, fault.get("file")))
    for folder_name, text in (("measurements", SET), ("claims", CLAIMS)):
        (home / folder_name).mkdir()
        (home / folder_name / "sound.toml").write_text(swapped(text, fault.get(folder_name)))
    (home / "aliases.toml").write_text(swapped(ALIASES, fault.get("alias")))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{OWNER}"\nversion = "1.0"\nlicense = "MIT"\nreadme = "README.md"\n'
        'authors = [{ name = "Sound" }]\ndependencies = ["inferbench-core>=0.1,<0.2"]\n'
        '[project.entry-points.inferbench]\nsound = "inferbench_sound"\n'
    )
    return folder


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """Judge the package in this process, beside trusted packages that own `ours` and `simt`."""

    def judge(fault):
        written(tmp_path, fault)
        monkeypatch.syspath_prepend(str(tmp_path))
        for name in [name for name in sys.modules if name.startswith("inferbench_sound")]:
            monkeypatch.delitem(sys.modules, name)

        def get():
            import inferbench_sound

            return inferbench_sound

        points = [
            SimpleNamespace(name=name, load=load, value=name, dist=SimpleNamespace(name=owner, version="1.0"))
            for name, owner, load in (
                ("a-sound", OWNER, get),
                ("specs", "inferbench-specs", lambda: Ours),
                ("simt", "inferbench-simt", lambda: Simt),
            )
        ]
        monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: points)
        registry = Registry()
        registry.bring("renderers", RENDERERS.values())
        return judge_package(registry, OWNER)

    return judge


class Ours:
    @staticmethod
    @ib.hookimpl
    def inferbench_chips():
        memory = {"hbm": ib.MemoryLevel(1e9, 1e9)}
        yield ib.Chip(
            name="ours", title="Ours", vendor="V", architecture_type="x", architecture=None, memory=memory
        )


class Roofline(ib.Architecture):
    name, title, params = "simt", "Ours", ib.NoParams


class Simt:
    @staticmethod
    @ib.hookimpl
    def inferbench_architectures():
        yield Roofline()


def test_the_sound_package_keeps_every_law(judged):
    verdict = judged({})
    assert [str(finding) for finding in verdict.findings if finding.state == "fails"] == []
    kinds = {one.kind for one in LAWS} - {"systems", "scenarios", "suites", "tables"}
    passed = {law for law, _ in verdict.passed}
    assert {one.name for one in LAWS if one.kind in kinds} <= passed | {law for law, _ in verdict.missing}


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if "process" not in fault])
def test_a_planted_fault_is_caught_by_its_law(name, judged):
    fault = FAULTS[name]
    findings = judged(fault).findings
    (found, *_) = [one for one in findings if one.law == fault["law"] and fault["says"] in one.found] or [
        None
    ]
    assert found is not None, "\n".join(map(str, findings)) or "nothing was found"
    assert (found.owner, found.record) == (OWNER, fault["record"])
    assert found.remedy


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if "process" in fault])
def test_a_fault_that_takes_the_process_is_caught_from_outside(name, tmp_path):
    from inferbench.cli.bundle import unpacked

    fault = FAULTS[name]
    site = tmp_path / "site"
    site.mkdir()
    bundle = unpacked(str(written(tmp_path / "package", fault)), site)
    trial = tried(OWNER, path=bundle.path, limit=8.0)
    (found,) = [one for one in trial.findings if one.law == fault["law"]]
    assert (found.owner, found.record) == (OWNER, fault["record"])
    assert fault["says"] in found.found
    assert trial.fatal == (OWNER,)


@pytest.mark.slow
def test_check_judges_a_folder_that_nobody_installed(tmp_path):
    package = written(tmp_path, FAULTS["idle-above-the-limit"])
    command = [sys.executable, "-m", "inferbench", "check", str(package), "--badge", str(tmp_path / "b.svg")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 1, done.stderr
    assert re.search(
        r"idle-is-below-the-limit +chips/sound-1, power.idle: idle 650 W, TDP 600 W", done.stdout
    )
    assert re.search(r"1 of \d+ fail", (tmp_path / "b.svg").read_text())


def test_a_metric_that_does_not_apply_is_unknown_and_no_failure():
    from inferbench.testing.laws.sample import sample_runs

    def missing(run):
        raise KeyError("sram")

    run = sample_runs()[0]
    assert np.isnan(ib.Metric("m", "m", "", "none", missing, applies=lambda run: False).of(run))
    with pytest.raises(ib.InferBenchError, match="metric m: KeyError"):
        ib.Metric("m", "m", "", "none", missing).of(run)


@pytest.mark.parametrize(
    ("kind", "swap"),
    [
        ("power_models", ['return "" if chip.vendor == "Sound" else "made', 'return "made']),
        ("stacks", ['architectures=("sound",), figures', 'architectures=("nobody",), figures']),
        ("metrics", ["lambda run: run.items / run.seconds", "lambda run: 1 / 0, applies=lambda run: False"]),
    ],
)
def test_a_law_that_finds_nothing_to_try_is_not_said_to_hold(kind, swap, judged):
    verdict = judged({"swap": swap})
    unjudged = {what.partition(": ")[2].partition("/")[0] for what, _ in verdict.missing}
    assert kind in unjudged
    held = {law for law, record in verdict.passed if record.startswith(kind)}
    assert held <= {"it-accepts-or-says-why", "a-metric-says-what-it-is"}


class Negative(Roofline):
    """No chip is of its type."""

    name = "negative"

    def gemm(self, op, site):
        return ib.Cost(busy={"compute": -op.useful / site.rate(op)})


def verdict_of(model):
    known = Registry(load=False).with_records("architectures", [model])
    return judge(Subject(known, OWNER, "architectures", model.name, model))


def test_an_architecture_without_a_chip_is_tried_on_round_figures():
    broken = {finding.law for finding in verdict_of(Negative()).findings}
    assert {"parts-are-numbers", "nothing-beats-the-roofline"} <= broken


@attrs.frozen
class Wants:
    units: int


class Wanting(Negative):
    params = Wants


def test_an_architecture_whose_table_has_no_defaults_needs_a_chip():
    verdict = verdict_of(Wanting())
    assert not verdict.findings
    assert "parts-are-numbers: architectures/negative" in {what for what, _ in verdict.missing}


def test_a_badge_counts_what_could_not_be_judged():
    assert "1 laws hold, 2 not judged" in badge(Verdict("x", (), (("a", "b"),), (("c", "d"), ("e", "f"))))
