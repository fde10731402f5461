"""One broken plugin costs only itself: planted faults, each beside a good plugin that survives."""

from __future__ import annotations

import inspect
import io
import re
import signal
import time
from types import SimpleNamespace

import pytest

import inferbench as ib
from inferbench.discovery import hookspecs
from inferbench.discovery.border import patient
from inferbench.discovery.kinds import KINDS, record_class
from inferbench.discovery.registry import Registry, installed
from inferbench.errors import InferBenchError


class Good(ib.Architecture):
    name = "good"
    title = "Good"
    params = ib.NoParams


class Other(Good):
    name = "other"
    title = "Other"


def good():
    yield Good()


def load(registry, name, plugin, owner=None):
    registry.load(name, lambda: plugin, owner or f"inferbench-{name}", "1.0")


@pytest.fixture
def registry(bare, plugin):
    load(bare, "a", plugin(inferbench_architectures=good), "inferbench-good")
    return bare


def survives(registry):
    assert registry.names("architectures") == ["good"]
    assert registry.plugins == {"a": ("inferbench-good", "1.0")}


def only(registry):
    assert len(registry.problems) == 1
    return registry.problems[0]


def test_import_error_costs_only_its_plugin(registry):
    def broken():
        raise ImportError("No module named 'torch'")

    registry.load("d", broken, "inferbench-d", "1.0")
    survives(registry)
    problem = only(registry)
    assert (problem.owner, problem.where) == ("inferbench-d", "d")
    assert problem.message == "ImportError: No module named 'torch'"
    assert problem.remedy == "reinstall or update inferbench-d, or uninstall it"


def test_system_exit_at_import_is_a_failure_like_any_other(registry):
    def leaves():
        raise SystemExit("needs a licence")

    registry.load("d", leaves, "inferbench-d", "1.0")
    survives(registry)
    assert only(registry).message == "SystemExit: needs a licence"


@pytest.fixture
def listening():
    """Let this process be interrupted, however its shell started it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def deaf():
    """Ignore interrupts, as a job in the background does."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield signal.SIG_IGN
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_at_import_interrupts(registry, listening):
    with pytest.raises(KeyboardInterrupt):
        registry.load("d", lambda: signal.raise_signal(signal.SIGINT), "inferbench-d", "1.0")
    assert registry.problems == []
    assert signal.getsignal(signal.SIGINT) is listening


@pytest.mark.parametrize("way", ["listening", "deaf"])
def test_an_interrupt_that_nobody_gave_costs_only_its_plugin(registry, way, request):
    before = request.getfixturevalue(way)

    def interrupted():
        raise KeyboardInterrupt

    registry.load("d", interrupted, "inferbench-d", "1.0")
    survives(registry)
    assert only(registry).message == "RuntimeError: it raised KeyboardInterrupt, and nobody interrupted"
    assert signal.getsignal(signal.SIGINT) == before


def test_second_entry_point_of_a_name_names_both_distributions(registry, plugin):
    load(registry, "a", plugin(inferbench_architectures=lambda: iter([Other()])), "inferbench-evil")
    survives(registry)
    problem = only(registry)
    assert problem.owner == "inferbench-evil"
    assert problem.message == "the plugin name 'a' is already taken by inferbench-good"
    assert problem.remedy == "uninstall inferbench-evil or inferbench-good"


def test_second_record_of_a_name_names_both_distributions(registry, plugin):
    def two():
        yield Good()
        yield Other()

    load(registry, "b", plugin(inferbench_architectures=two))
    assert registry.names("architectures") == ["good", "other"]
    assert registry.entries("architectures")["good"].owner == "inferbench-good"
    assert registry.entries("architectures")["other"].owner == "inferbench-b"
    problem = only(registry)
    assert (problem.owner, problem.where) == ("inferbench-b", "inferbench_architectures")
    assert problem.message == "'good' is already provided by inferbench-good"
    assert problem.remedy == "rename it in inferbench-b; the first one stays"


def test_wrong_signature_is_told(registry, plugin):
    def asks(config):
        yield Other()

    load(registry, "f", plugin(inferbench_architectures=asks))
    survives(registry)
    message = only(registry).message
    assert message.startswith("PluginValidationError: Plugin 'f' for hook 'inferbench_architectures'")


def test_a_plugin_whose_second_hook_is_wrong_leaves_nothing_behind(registry, plugin):
    """pluggy before 1.7 left such a plugin registered, its first hook live."""

    def asks(config):
        yield None

    load(registry, "f", plugin(inferbench_architectures=lambda: iter([Other()]), inferbench_metrics=asks))
    survives(registry)
    assert not registry.manager.has_plugin("f")
    hooks = registry.manager.hook
    assert [impl.plugin_name for impl in hooks.inferbench_architectures.get_hookimpls()] == ["a"]
    assert hooks.inferbench_metrics.get_hookimpls() == []


def test_unknown_hook_name_is_told_and_leaves_nothing(registry, plugin):
    load(
        registry,
        "g",
        plugin(inferbench_architectures=lambda: iter([Other()]), inferbench_archs=lambda: iter([Other()])),
    )
    survives(registry)
    assert not registry.manager.has_plugin("g")
    problem = only(registry)
    assert "unknown hook 'inferbench_archs'" in problem.message
    assert "docs/reference/hooks.md" in problem.remedy
    load(registry, "h", plugin(inferbench_architectures=lambda: iter([Other()])))
    assert registry.names("architectures") == ["good", "other"]


def test_generator_that_dies_half_way_keeps_nothing(registry, plugin):
    def dies():
        yield Other()
        raise RuntimeError("boom")

    load(registry, "c", plugin(inferbench_architectures=dies))
    assert registry.names("architectures") == ["good"]
    problem = only(registry)
    assert (problem.owner, problem.message) == ("inferbench-c", "RuntimeError: boom")
    assert problem.remedy == "nothing of this hook is kept; update inferbench-c"


def test_wrong_record_type_is_told(registry, plugin):
    load(registry, "e", plugin(inferbench_architectures=lambda: iter(["not a record"])))
    assert registry.names("architectures") == ["good"]
    assert only(registry).message == "TypeError: expected Architecture, got str ('not a record')"


def test_a_class_instead_of_an_instance_is_told(registry, plugin):
    load(registry, "e", plugin(inferbench_architectures=lambda: iter([Other])))
    assert registry.names("architectures") == ["good"]
    assert only(registry).message.startswith("TypeError: expected Architecture, got ABCMeta")


def test_a_record_without_a_name_is_told(registry, plugin):
    class Nameless(ib.Architecture):
        title = "Nameless"
        params = ib.NoParams

    load(registry, "e", plugin(inferbench_architectures=lambda: iter([Nameless()])))
    assert registry.names("architectures") == ["good"]
    assert only(registry).message.startswith("TypeError: this architecture has no name: <")


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a,b", "a\n", "\x1b[2J", "\u202egnp", 3])
def test_a_name_that_nobody_can_type_is_told(registry, plugin, name):
    odd = ib.Metric(name, "odd", "s", "lower", lambda run: run.seconds)
    load(registry, "e", plugin(inferbench_metrics=lambda: iter([odd])))
    assert registry.names("metrics") == []
    assert only(registry).message.startswith("TypeError: the name of a metric is no word that can be typed: ")


def test_a_title_that_is_no_text_is_told(registry, plugin):
    odd = ib.Metric("odd", None, "s", "lower", lambda run: run.seconds)
    load(registry, "e", plugin(inferbench_metrics=lambda: iter([odd])))
    assert registry.names("metrics") == []
    assert only(registry).message == "TypeError: the title of the metric 'odd' is no text: None"


def test_hook_wrappers_are_refused(registry):
    from types import ModuleType

    module = ModuleType("wraps")

    def inferbench_architectures():
        yield

    module.inferbench_architectures = ib.hookimpl(wrapper=True)(inferbench_architectures)
    load(registry, "w", module)
    assert registry.names("architectures") == ["good"]
    assert only(registry).message == "TypeError: hook wrappers are not supported; yield records"


def test_all_six_faults_at_once_through_entry_points(monkeypatch, plugin):
    """The same through the discovery that `installed()` uses, in the order of names."""

    def point(name, get, owner):
        dist = SimpleNamespace(name=owner, version="1.0")
        return SimpleNamespace(name=name, load=get, dist=dist, value=owner)

    def no_torch():
        raise ImportError("no torch")

    def half():
        yield Other()
        raise RuntimeError("boom")

    def asks(config):
        yield Other()

    good_one = plugin(inferbench_architectures=good)
    planted = [
        point("f", lambda: plugin(inferbench_architectures=asks), "inferbench-f"),
        point("e", lambda: plugin(inferbench_architectures=lambda: iter(["no record"])), "inferbench-e"),
        point("d", no_torch, "inferbench-d"),
        point("c", lambda: plugin(inferbench_architectures=half), "inferbench-c"),
        point("b", lambda: plugin(inferbench_architectures=good), "inferbench-b"),
        point("a", lambda: good_one, "inferbench-good"),
        point("a", lambda: plugin(inferbench_architectures=good), "inferbench-evil"),
    ]
    monkeypatch.setattr("inferbench.discovery.loading.entry_points", lambda group: planted)
    registry = Registry()
    assert registry.names("architectures") == ["good"]
    assert registry.entries("architectures")["good"].owner == "inferbench-good"
    assert sorted(problem.owner for problem in registry.problems) == [
        "inferbench-b",
        "inferbench-c",
        "inferbench-d",
        "inferbench-e",
        "inferbench-evil",
        "inferbench-f",
    ]


def test_strict_raises(registry, plugin, monkeypatch):
    monkeypatch.setenv("INFERBENCH_STRICT", "1")

    def broken():
        raise ImportError("no torch")

    with pytest.raises(InferBenchError) as caught:
        registry.load("d", broken, "inferbench-d", "1.0")
    assert (
        str(caught.value)
        == "inferbench-d: d: ImportError: no torch\n  reinstall or update inferbench-d, or uninstall it"
    )
    load(registry, "c", plugin(inferbench_architectures=lambda: iter(["x"])))
    with pytest.raises(InferBenchError, match="inferbench-c: inferbench_architectures"):
        registry.names("architectures")


def test_aliases_that_raise_cost_only_themselves(registry, plugin):
    def aliases():
        raise RuntimeError("boom")

    load(registry, "x", plugin(inferbench_aliases=aliases))
    with pytest.raises(InferBenchError, match="unknown architecture"):
        registry.get("architectures", "nope")
    assert only(registry).where == "inferbench_aliases"


def test_an_alias_has_one_owner(registry, plugin, tmp_path):
    for folder, ours in (("one", "good"), ("two", "other")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "aliases.toml").write_text(f'[architectures]\n"Best-Arch" = "{ours}"\n')
    load(registry, "x", plugin(inferbench_aliases=lambda: iter([tmp_path / "one" / "aliases.toml"])))
    load(registry, "y", plugin(inferbench_aliases=lambda: iter([tmp_path / "two" / "aliases.toml"])))
    assert registry.get("architectures", "Best-Arch").name == "good"
    assert registry.get("architectures", "best-arch").name == "good"
    problem = only(registry)
    assert (problem.owner, problem.message) == (
        "inferbench-y",
        "the alias 'Best-Arch' already belongs to inferbench-x",
    )


def test_a_chip_sits_in_its_own_server_or_in_that_of_all_others(registry, plugin, tmp_path):
    """`*` in the table `[systems]` of the aliases stands for chips that are not named."""
    (tmp_path / "aliases.toml").write_text('[systems]\n"*" = "shed"\n"First" = "hall"\n')
    nodes = [ib.Node(name=name, title=name, fixed_of_tdp=0.3, factor=1.1) for name in ("shed", "hall")]
    chips = [
        ib.Chip(name=name, title=name, vendor="V", architecture_type="toy", architecture=None)
        for name in ("first", "second")
    ]
    load(
        registry,
        "x",
        plugin(
            inferbench_systems=lambda: iter(nodes),
            inferbench_chips=lambda: iter(chips),
            inferbench_aliases=lambda: iter([tmp_path / "aliases.toml"]),
        ),
    )
    assert registry.get("chips", "first").node is nodes[1]
    assert registry.get("chips", "second").node is nodes[0]
    assert registry.get("chips", "second") is registry.get("chips", "second")


def test_without_servers_a_chip_has_none(registry, plugin):
    chip = ib.Chip(name="c", title="C", vendor="V", architecture_type="toy", architecture=None)
    load(registry, "x", plugin(inferbench_chips=lambda: iter([chip])))
    assert registry.get("chips", "c").node is None


def test_unknown_name_teaches(registry):
    with pytest.raises(InferBenchError) as caught:
        registry.get("architectures", "goood")
    assert (
        str(caught.value)
        == "goood: unknown architecture; installed are good\n  did you mean 'good'? · inferbench list"
        " architectures"
    )


def test_unknown_name_with_nothing_installed_says_what_to_install(bare):
    for kind, package in (("chips", "inferbench-specs"), ("architectures", "inferbench-core[all]")):
        with pytest.raises(InferBenchError) as caught:
            bare.get(kind, "b200")
        assert str(caught.value) == f"b200: no {KINDS[kind][1]} is installed\n  pip install '{package}'"


def test_unknown_name_mentions_broken_plugins(registry):
    def broken():
        raise ImportError("no torch")

    registry.load("d", broken, "inferbench-d", "1.0")
    with pytest.raises(InferBenchError, match="problems found: 1, see inferbench doctor"):
        registry.get("architectures", "nope")


def test_a_file_is_a_plugin(toy, toy_file):
    assert toy.problems == []
    assert toy.plugins == {"file:toy.py": (str(toy_file), "file")}
    assert toy.chip("toy-chip").peak["fp8"] == 200e12
    assert toy.architecture("toy").title == "Toy architecture"


def test_a_file_that_is_missing_or_broken_is_an_error(bare, tmp_path):
    with pytest.raises(InferBenchError) as caught:
        bare.load_file("my_chip.py")
    assert (
        str(caught.value)
        == "-p: 'my_chip.py' is not a Python file\n  give the path of a .py file with @inferbench.hookimpl"
        " functions"
    )
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_this_name\n")
    with pytest.raises(InferBenchError) as caught:
        bare.load_file(str(broken))
    assert (
        str(caught.value)
        == f"{broken}: ModuleNotFoundError: No module named 'nothing_of_this_name'\n  fix the file"
    )


def test_a_network_may_be_a_config_file(toy, tmp_path):
    for text, said in (
        (None, "can't be read: No such file or directory\n  give the path of a Hugging Face config.json"),
        ("{", "not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[1]", "no JSON object\n  give the path of a Hugging Face config.json"),
        ('{"model_type": "mamba"}', "no installed workload reads configs of model_type 'mamba'"),
    ):
        path = tmp_path / "config.json"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        with pytest.raises(InferBenchError) as caught:
            toy.network(str(path))
        assert str(caught.value).startswith(f"{path}: {said}")


class Declines(ib.PowerModel):
    title = "declines"

    def __init__(self, name, fidelity, why):
        self.name, self.fidelity, self.why = name, fidelity, why

    def accepts(self, chip):
        return self.why

    def energy(self, counts, system):
        raise AssertionError("never asked")


def test_the_most_faithful_power_model_that_accepts_serves(bare, plugin, toy):
    chip = toy.chip("toy-chip")
    special = Declines("special", 9, "it is made for another architecture")
    special.architectures = ("another",)  # never asked, so its reason is no answer
    models = [special, Declines("general", 1, "no tdp is published"), Declines("formula", -1, "by name only")]
    load(bare, "p", plugin(inferbench_power_models=lambda: iter(models)))
    assert bare.power_model(chip) == (None, "no tdp is published")
    models.append(Declines("works", 0, ""))
    models.append(Declines("works-better", 5, ""))
    again = Registry(load=False)
    load(again, "p", plugin(inferbench_power_models=lambda: iter(models)))
    assert again.power_model(chip) == (models[-1], "")
    assert Registry(load=False).power_model(chip)[1].endswith("(pip install inferbench-power)")


def test_listing_parses_nothing(registry, plugin, tmp_path):
    (tmp_path / "bad.toml").write_text("this is [ no toml")
    (tmp_path / "readme.txt").write_text("no spec")
    load(registry, "s", plugin(inferbench_chips=lambda: iter([tmp_path])))
    assert registry.names("chips") == ["bad"]
    with pytest.raises(InferBenchError, match=r"bad\.toml: not valid TOML"):
        registry.chip("bad")


def test_two_folders_with_the_same_stem_clash_like_records(registry, plugin, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x1.toml").write_text("")
        load(registry, folder, plugin(inferbench_chips=lambda f=tmp_path / folder: iter([f])))
    assert registry.names("chips") == ["x1"]
    assert only(registry).message == "'x1' is already provided by inferbench-one"


HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if name.startswith("inferbench_") and inspect.isfunction(function)
}


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_and_takes_no_argument(name):
    function = HOOKS[name]
    assert inspect.signature(function).parameters == {}
    assert function.__doc__ is not None
    assert function.__doc__.startswith("Yield ")
    assert re.search(r"\n\.\. versionadded:: \d+\.\d+$", inspect.getdoc(function) or "")
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_every_kind_has_its_hook():
    assert {f"inferbench_{kind}" for kind in KINDS} | {"inferbench_aliases"} == set(HOOKS)


def test_installed_is_one_registry_per_process():
    assert installed() is installed()


def test_a_plugin_that_takes_long_is_named_while_it_loads(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with patient("slow", "inferbench-slow", 0.01):
        until = time.monotonic() + 10.0
        while "\n" not in said.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert "plugin slow of inferbench-slow" in said.getvalue()
    assert "inferbench --disable slow" in said.getvalue()


def test_a_plugin_that_loads_in_time_is_not_mentioned(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with patient("quick", "inferbench-quick", 0.2):
        pass
    time.sleep(0.4)
    assert said.getvalue() == ""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if record_class(kind) is not None])
def test_hooks_and_records_say_since_which_version_they_are_there(kind):
    for thing in (getattr(hookspecs, f"inferbench_{kind}"), record_class(kind)):
        assert re.search(r"\.\. versionadded:: \d+\.\d+", thing.__doc__), thing
