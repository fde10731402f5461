"""What commands refuse, kind by kind: names that mean something else, words said twice or empty, grids
without end, options without effect, figures that can't be.
"""

from __future__ import annotations

import pytest

import inferbench as ib
from inferbench.cli.badge import badge, is_badge
from inferbench.errors import InferBenchError
from inferbench.records.host import Host
from inferbench.records.stack import Domain, Fit, Stack
from inferbench.testing.laws import Verdict

REAL = pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b")
RUN = ("run", "toy-chip", "toy-net/decode", "--scenario", "toy")
STACK = 'title = "Mine"\n[time]\nmodel = "roofline"\n'


@pytest.mark.parametrize("name", ["precision", "registry", "workload", "changes", "prices", "", "breakdown"])
def test_an_argument_of_a_verb_is_no_axis(toy_cli, name):
    code, out, err = toy_cli(*RUN, "--axis", f"{name}=1")
    assert (code, out) == (2, "")
    assert f"--axis: '{name}' is no axis of a workload" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batch", "4", "--axis", "batch=8"), "--axis: batch stands twice: '4' and '8'"),
        (("--axis", "context=4", "--axis", "context=8"), "--axis: context stands twice"),
        (("--precision", "fp8,fp8"), "--precision: fp8 stands twice"),
        (("--option", "a=1", "--option", "b=2", "--option", "a=1"), "--option: a stands twice"),
        (("--batch", "2,4,2"), "--batch: 2 stands twice"),
    ],
)
def test_of_two_values_none_is_taken_in_silence(toy_cli, words, said):
    code, out, err = toy_cli(*RUN, *words)
    assert (code, out) == (2, "")
    assert said in err


@REAL
@pytest.mark.parametrize(
    "words",
    [
        ("compare", "b200", "h100", "b200", "-w", "llama3-8b/decode"),
        ("frontier", "2xb200", "2xb200", "-w", "llama3-8b"),
        ("sweep", "b200@ideal", "b200@ideal", "-w", "llama3-8b/decode"),
        ("card", "b200", "b200"),
    ],
)
def test_a_system_is_named_once(cli, words):
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert "stands twice" in err


@pytest.mark.parametrize("command", ["doctor", "check", "plugins"])
@pytest.mark.parametrize("limit", ["nan", "-1", "0", "1e400", "soon"])
def test_a_limit_can_be_waited_for(cli, command, limit):
    code, out, err = cli(command, "--limit", limit)
    assert (code, out) == (2, "")
    assert err.startswith("inferbench: Invalid value for '--limit'")


@pytest.mark.parametrize("option", ["--scenario", "--stack", "--precision", "--out", "--format", "--reserve"])
def test_an_empty_word_never_means_none(toy_cli, option):
    code, out, err = toy_cli("run", "toy-chip", "toy-net/decode", option, " ")
    assert (code, out) == (2, "")
    assert err.startswith(f"inferbench: {option}: is empty")


@REAL
@pytest.mark.parametrize(
    "words",
    [
        ("op", "b200", "gemm", "--m", "1:100000:+1", "--n", "1:100000:+1", "--k", "8"),
        ("frontier", "b200", "-w", "llama3-8b", "--batch", "1:10000000:+1"),
        ("run", "b200", "llama3-8b/decode", "--batch", "1:5000:+1", "--context", "1:5000:+1"),
        ("compare", "b200", "-w", "llama3-8b/decode", "--batch", "1:90000:+1"),
    ],
)
def test_a_grid_without_end_is_refused_before_it_is_made(cli, words):
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert "points are too many" in err


@REAL
@pytest.mark.parametrize(
    ("workload", "option", "idle"),
    [
        ("llama3-8b/prefill", "draft=3", True),
        ("llama3-8b/decode", "acceptance=0.5", True),
        ("llama3-8b/decode", "lm_head_all=true", True),
        ("llama3-8b/decode", "kv=false", False),
        ("llama3-8b/prefill", "lm_head_all=true", False),
    ],
)
def test_an_option_without_effect_says_so(cli, workload, option, idle):
    code, out, _ = cli("run", "b200", workload, "--option", option)
    name, phase = option.partition("=")[0], workload.partition("/")[2]
    assert code == 0
    assert (f"{name} changes nothing in {phase}" in out) is idle


@REAL
@pytest.mark.parametrize("option", ["chunk=0.5", "draft=1.5", "chunk=-1", "turns=0"])
def test_counts_of_tokens_are_whole(cli, option):
    code, _, err = cli("run", "b200", "llama3-8b/generate", "--option", option)
    assert code == 2
    assert "a whole number from" in err


@REAL
@pytest.mark.parametrize(
    ("words", "option", "limit"),
    [
        (("frontier", "b200", "-w", "llama3-8b"), "--slo-tpot", "0ms"),
        (("frontier", "b200", "-w", "llama3-8b"), "--slo-ttft", "0 s"),
        (("size", "llama3-8b/decode", "--chips", "b200", "--users", "8"), "--tpot", "0ms"),
        (("simulate", "b200", "llama3-8b", "--concurrency", "8"), "--slo-tpot", "0us"),
        (("compare", "b200", "-w", "llama3-8b", "--users-at", "30tok/s"), "--ttft", "0ms"),
    ],
)
def test_a_limit_of_no_time_is_refused(cli, words, option, limit):
    code, out, err = cli(*words, option, limit)
    assert (code, out) == (2, "")
    assert f"{option}: {limit} is no limit" in err


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[host]\noverlap = 1e-3", "host.overlap: 0.001 is below 1"),
        ("[energy]\nops = -1", "energy.ops: -1 is negative"),
        ("[fit.kernels]\ngemm = -3", "fit.kernels.gemm: -3 is negative"),
        ("[fit.steps]\ndecode = -0.1", "fit.steps.decode: -0.1 is negative"),
        ("[domain.axes]\nbatch = [64, 1]", "batch runs from 64 to 1"),
        ("[domain.ops.gemm]\nm = [64, 1]", "m runs from 64 to 1"),
        ("[domain]\ncounts = [0, 8]", "counts begins at 0"),
    ],
)
def test_a_stack_with_figures_that_cannot_be(toy_cli, tmp_path, table, said):
    (tmp_path / "mine.toml").write_text(STACK + table)
    code, _, err = toy_cli(*RUN, "--stack", str(tmp_path / "mine.toml"))
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    "figures",
    [
        {"host": Host(overlap=0.5)},
        {"host": Host(step=-1.0)},
        {"energy": {"ops": -1.0}},
        {"fit": Fit(kernels={"gemm": -3.0})},
        {"fit": Fit(error=float("inf"))},
    ],
)
def test_a_stack_made_in_python_obeys_the_same_rules(figures):
    with pytest.raises(InferBenchError):
        Stack(name="mine", title="Mine", **figures)


def test_a_box_made_in_python_has_ends_in_order():
    with pytest.raises(ValueError, match="batch runs from 8 to 1"):
        Domain(axes={"batch": (8.0, 1.0)})


@pytest.mark.parametrize("length", [1, 2, 3])
def test_stacks_in_a_circle_are_told(toy_cli, tmp_path, length):
    for i in range(length):
        text = f'title = "S"\nbased_on = "{tmp_path}/s{(i + 1) % length}.toml"\n'
        (tmp_path / f"s{i}.toml").write_text(text)
    code, _, err = toy_cli(*RUN, "--stack", str(tmp_path / "s0.toml"))
    assert code == 2
    assert "is based on itself" in err


def test_of_very_many_faults_the_first_are_told(toy_cli, tmp_path):
    (tmp_path / "many.toml").write_text("\n".join(f"k{i} = 1" for i in range(4000)))
    code, _, err = toy_cli("run", str(tmp_path / "many.toml"), "toy-net/decode")
    assert code == 2
    assert "k0: unknown key" in err
    assert "3," in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("more of these")
    assert len(err.splitlines()) < 150


@pytest.mark.parametrize("text", ["", " ", ","])
def test_no_software_is_no_best_software(toy, text):
    with pytest.raises(InferBenchError, match="no software is named"):
        ib.run("toy-chip", "toy-net/decode", stack=text, registry=toy, scenario=None)


@pytest.mark.needs_plugins("chips/mi355x", "networks/resnet-50")
@pytest.mark.parametrize(
    ("system", "ended"),
    [("512xmi355x", True), ("256xmi355x", True), ("1000xmi355x", True), ("mi355x", False)],
)
def test_a_search_that_ends_before_memory_does_says_so(cli, system, ended):
    code, out, _ = cli("run", system, "resnet-50/forward", "--batch", "max")
    assert code == 0
    assert ("the search for the largest batch ends at 1,048,576" in out) is ended


def test_a_badge_replaces_no_other_file(cli, tmp_path):
    mine = tmp_path / "mine.svg"
    mine.write_text("<svg>mine</svg>")
    code, out, err = cli("check", "inferbench-core", "--badge", str(mine))
    assert (code, out) == (2, "")
    assert f"--badge {mine}: is there already" in err
    assert mine.read_text() == "<svg>mine</svg>"
    mine.write_text(badge(Verdict("x", (), ())))
    assert is_badge(mine)
