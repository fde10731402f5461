"""Whatever a person hands to the Python face, a value of the wrong type is refused by the argument's name."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import inferbench as ib

VERBS = ("calibrate", "card", "compare", "explain", "frontier", "op", "run", "simulate", "size", "sweep")
VERBS += ("users_at", "validate")
FUNCTIONS = {name: getattr(ib, name) for name in (*VERBS, "override", "read_measurements", "read_spec")}
KEYWORD = inspect.Parameter.VAR_KEYWORD


def arguments():
    for verb, function in FUNCTIONS.items():
        for name, one in inspect.signature(function).parameters.items():
            if one.kind is not KEYWORD:
                yield pytest.param(function, name, id=f"{verb}-{name}")


def call(function, name, value):
    """Call a function with one argument of this value, and with text for those it can't do without."""
    needed = (
        key
        for key, one in inspect.signature(function).parameters.items()
        if one.default is inspect.Parameter.empty and one.kind is not KEYWORD
    )
    return function(**{**dict.fromkeys(needed, "x"), name: value})


def test_every_verb_is_tried():
    public = {name for name in dir(ib) if inspect.isfunction(getattr(ib, name)) and name[0].islower()}
    assert set(VERBS) <= public


@pytest.mark.parametrize(("function", "name"), list(arguments()))
@pytest.mark.parametrize("value", [object(), [object()], {3: object()}, b"llama3-8b"], ids=type)
def test_a_value_of_another_type_is_refused_by_name(function, name, value):
    with pytest.raises(ib.InferBenchError) as refused:
        call(function, name, value)
    assert refused.value.faults


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda: ib.run(3, "llama3-8b/decode"), "system: 3 is a whole number; text or a System was expected"),
        (lambda: ib.run("h100-sxm", None), "workload: None is None; text was expected"),
        (
            lambda: ib.compare([None], "llama3-8b/decode"),
            "systems: [None] is a list; text or a list of texts",
        ),
        (
            lambda: ib.run("h100-sxm", "llama3-8b/decode", options=["kv"]),
            "options: ['kv'] is a list; a dict",
        ),
        (lambda: ib.simulate("h100-sxm", "llama3-8b", rate=True), "rate: True is True or False; a number"),
        (
            lambda: ib.op("h100-sxm", "gemm", m=b"x", n=8, k=8),
            "m: b'x' is not a number or a list of numbers\n",
        ),
        (lambda: ib.op("h100-sxm", "gemm", csv="a\0b"), "csv: 'a\\x00b' is no path: it holds a NUL"),
        (lambda: ib.installed().chip("a\0b.toml"), "a\0b.toml: is no path: it holds a NUL\n"),
        (lambda: ib.installed().network("a\0b.json"), "a\0b.json: is no path: it holds a NUL\n"),
        (lambda: ib.installed().stack("a\0b.toml"), "a\0b.toml: is no path: it holds a NUL\n"),
        (lambda: ib.installed().chip(["b200"]), "name: ['b200'] is a list; text was expected"),
        (lambda: ib.SystemName.parse(8), "written: 8 is a whole number; text was expected"),
    ],
)
def test_what_is_said_of_it(mistake, said):
    with pytest.raises(ib.InferBenchError) as refused:
        mistake()
    assert str(refused.value).startswith(said)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
@pytest.mark.parametrize("ask", ["__getitem__", "interval", "best", "to_frame", "plot"])
@pytest.mark.parametrize("value", [3, ["tpot_s"], b"tpot_s", {"tpot_s": 1}], ids=type)
def test_answers_refuse_it_too(ask, value):
    run = ib.run("h100-sxm", "llama3-8b/decode", batch=[1])
    table = ib.compare("h100-sxm", "llama3-8b/decode", batch=1)
    for answer in (run, table):
        if hasattr(answer, ask):
            with pytest.raises(ib.InferBenchError, match="was expected\n"):
                getattr(answer, ask)(value)


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
def test_numbers_of_arrays_and_columns_are_numbers():
    asked = {"batch": np.array([1, 8])}
    one = ib.run("h100-sxm", "llama3-8b/decode", **asked)
    assert one.grid.shape == ib.run("h100-sxm", "llama3-8b/decode", batch=[1, 8]).grid.shape
    table = ib.users_at(np.array(["h100-sxm"]), "llama3-8b", np.float64(30.0), prompt=np.int64(512))
    assert table.to_dict() == ib.users_at("h100-sxm", "llama3-8b", 30, prompt=512).to_dict()


@pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b")
def test_one_user_waits_for_nobody_even_where_prompts_fill_every_step():
    """Answers of 3 tokens after prompts of 2,048: prompts are more work than tokens, and no figure is NaN."""
    found = ib.frontier("h100-sxm", "llama3-8b", output=3, batch=[1], chunk=256)
    assert all(row["ttft_s"] > 0 for row in found.to_dict()["results"])
