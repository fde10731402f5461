"""`inferbench check FILE.toml`: each kind of spec is told by its tables, and judged alone."""

import json

import pytest

from inferbench.cli.app import run

pytestmark = pytest.mark.needs_plugins("chips/h100-sxm", "networks/llama3-8b", "stacks/vllm-h100")

SERIES = """title = "One figure"
[sources.paper]
title = "A paper"
basis = "measured"
[[series]]
source = "paper"
where = "table 1"
chip = "{chip}"
network = "llama3-8b"
phase = "decode"
columns = ["batch", "tpot (ms)"]
rows = [[1, {tpot}]]
"""


@pytest.fixture
def judged(tmp_path, capfd):
    """The findings of a file with this text: law, verdict, what was found."""

    def through(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        code = run(["check", str(path), "--format", "json"])
        return code, json.loads(capfd.readouterr().out)

    return through


def findings(answer):
    return json.dumps(answer)


def test_a_measurement_set_that_can_be(judged):
    code, answer = judged(SERIES.format(chip="H100", tpot=7.5))
    assert code == 0
    assert "measurements-name-what-is-installed" in findings(answer)


def test_a_measurement_below_the_bound(judged):
    _, answer = judged(SERIES.format(chip="H100", tpot=0.001))
    assert "is the bound" in findings(answer)


def test_a_measurement_of_an_unknown_chip(judged):
    _, answer = judged(SERIES.format(chip="H101", tpot=7.5))
    assert "no installed package provides the chip 'H101'" in findings(answer)


def test_a_faulty_set_fails(judged):
    code, answer = judged(SERIES.format(chip="H100", tpot='"7.5"'))
    assert code == 1
    assert "series.0.rows.0" in findings(answer)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "S"\n[[points]]\ntitle = "p"\nnetwork = "none-such"\nphase = "decode"', "none-such"),
        ('title = "N"\nchips_per_node = 0', "chips_per_node"),
        ('title = "C"\n[[claims]]\nid = "1"', "a file of claims is judged in its package"),
    ],
    ids=["suite", "system", "claims"],
)
def test_other_kinds_are_told_apart(judged, text, said):
    code, answer = judged(text)
    assert code == 1
    assert said in findings(answer)
