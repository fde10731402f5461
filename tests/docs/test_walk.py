"""docs/explanation/walk.md against the calls that the command really makes."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout

import docs
from inferbench.cli.app import run
from inferbench.discovery.registry import installed

_STEP = re.compile(r"^(?P<number>\d+)\. `(?P<file>[\w/.-]+\.py)`, `(?P<name>[\w.<>]+)`: ", re.MULTILINE)
PAGE = (docs.ROOT / "docs/explanation/walk.md").read_text()
STEPS = [(found["file"], found["name"]) for found in _STEP.finditer(PAGE)]


def calls(arguments: list[str]) -> list[tuple[str, str]]:
    """File and qualified name of every function of ours that a command calls, in order, from a cold
    registry.
    """
    seen = []
    files = {}

    def note(frame, event, _):
        if event == "call":
            code = frame.f_code
            if code.co_filename not in files:
                inside = "site-packages" not in code.co_filename and code.co_filename.startswith(
                    str(docs.ROOT)
                )
                files[code.co_filename] = code.co_filename.removeprefix(f"{docs.ROOT}/") if inside else ""
            if files[code.co_filename]:
                seen.append((files[code.co_filename], code.co_qualname))

    installed.cache_clear()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with redirect_stdout(io.StringIO()):
            run(arguments)
    finally:
        sys.setprofile(before)
        installed.cache_clear()
    return seen


def test_every_step_of_the_walk_happens_in_this_order(monkeypatch):
    monkeypatch.setenv("INFERBENCH_CACHE", "")  # a first start: nothing was kept of an earlier one
    made = iter(calls(["compare", "b200", "-w", "llama3-70b/decode", "--stack", "ideal"]))
    # `in` consumes the iterator up to the step, so that the next one must come after it.
    missing = next((step for step in STEPS if step not in made), None)
    assert missing is None


def test_the_walk_is_numbered_without_gaps():
    assert [int(found["number"]) for found in _STEP.finditer(PAGE)] == list(range(1, len(STEPS) + 1))
    assert len(re.findall(r"^\d+\. ", PAGE, re.MULTILINE)) == len(STEPS)


def test_the_arithmetic_of_the_walk_is_right():
    chip, network = installed().chip("b200"), installed().network("llama3-70b").params
    assert chip.memory["hbm"].bandwidth == 8e12
    touched = (
        2 * network.intermediate_size * network.hidden_size
        + network.hidden_size
        + 2 * network.intermediate_size
    )
    assert f"{touched / 1e6:.1f} MB / 8 TB/s = {touched / 8e12 * 1e6:.1f} µs" in PAGE
