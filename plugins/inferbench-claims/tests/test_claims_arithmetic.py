"""Arithmetic in data files: what it computes, and everything it refuses."""

import pytest
from inferbench_claims.arithmetic import Name, calculate, roots_in

from inferbench import InferBenchError

WHERE = "mine.toml: A1: expression"


def compute(text):
    return calculate(text, lambda name: {"a": 3.0, "a.b": 5.0, "run(batch=8).x": 7.0}[str(name)], WHERE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7.0),
        ("-(2 - 5) / 4", 0.75),
        ("2 ** 10", 1024.0),
        ("2 ** -1", 0.5),
        ("10 ** 22", 1e22),
        ("min(3, max(1, 2))", 2.0),
        ("ceil(34.9) + ceil(35)", 70.0),
        ("log2(512)", 9.0),
        ("a * a.b", 15.0),
        ("run(batch=2 ** 3).x", 7.0),
    ],
)
def test_computes(text, value):
    assert compute(text) == value


def test_numbers_are_floats():
    # as an integer 2 ** 63 + 1 keeps the 1; as float64 it can't
    assert compute("2 ** 63 + 1 - 2 ** 63") == 0.0


def test_name_has_a_path_and_a_point():
    seen = []
    calculate("x(b=2, a=1).y.z", lambda name: seen.append(name) or 1.0, WHERE)
    assert seen == [Name(("x", "y", "z"), {"b": 2.0, "a": 1.0})]


def test_roots():
    assert roots_in("ceil(x(b=2).y / chip.b200.z) + x.z", WHERE) == {"x", "chip"}


ALLOWED = "\n  numbers, names, + - * / **, parentheses, min, max, ceil and log2 are"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true')", "'__import__('os').system('true')' is not allowed" + ALLOWED),
        ("a if a else 2", "'a if a else 2' is not allowed" + ALLOWED),
        ("[1, 2]", "'[1, 2]' is not allowed" + ALLOWED),
        ("a[0]", "'a[0]' is not allowed" + ALLOWED),
        ("lambda: 1", "'lambda: 1' is not allowed" + ALLOWED),
        ("(lambda: 1)()", "'(lambda: 1)()' is not allowed" + ALLOWED),
        ("'8 TB'", "''8 TB'' is not allowed" + ALLOWED),
        ("True", "'True' is not allowed" + ALLOWED),
        ("7 // 2", "'7 // 2' is not allowed" + ALLOWED),
        ("1 < 2", "'1 < 2' is not allowed" + ALLOWED),
        ("a.b()", "'a.b()' is not allowed" + ALLOWED),
        ("sqrt(a)", "unknown function 'sqrt'\n  known: min, max, ceil, log2"),
        ("eval(a)", "unknown function 'eval'\n  known: min, max, ceil, log2"),
        ("cel(a)", "unknown function 'cel'\n  did you mean 'ceil'?"),
        ("ceil(1, 2)", "ceil can't take 2 numbers"),
        ("1 +", "'1 +' is not an expression\n  write arithmetic like 2 * params.llama3_8b"),
        ("x = 1", "'x = 1' is not an expression\n  write arithmetic like 2 * params.llama3_8b"),
        ("", "'' is not an expression\n  write arithmetic like 2 * params.llama3_8b"),
        ("1 / (2 - 2)", "'1 / (2 - 2)' divides by zero"),
        ("1e308 * 10", "'1e308 * 10' is no finite number"),
        ("10 ** 10 ** 10", "'10 ** 10 ** 10' is no finite number"),
        ("(-8) ** 0.5", "'(-8) ** 0.5' can't be computed: the root of a negative number"),
        ("1" + "+1" * 600, "the expression has 1201 characters; at most 1000 were expected\n  split it"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(InferBenchError) as caught:
        compute(text)
    assert str(caught.value) == f"{WHERE}: {message}"


def test_deep_nesting_is_refused_not_crashed_on():
    with pytest.raises(InferBenchError, match=r"mine\.toml: A1: expression: "):
        compute("(" * 450 + "1" + ")" * 450)
