"""Damaged input ends in a message at every door: a short run of `tools/fuzz.py`, with a fixed seed."""

import signal
import sys
import time

import fuzz
import limits
import pytest

SEED, EACH = 7, 120


@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b", "importers/vllm")
@pytest.mark.slow
@pytest.mark.usefixtures("fresh")
def test_every_door_opens_to_a_good_input(tmp_path):
    """A door that refuses what is good would prove nothing of what is damaged."""
    for name, door in fuzz.doors(tmp_path).items():
        for number, good in enumerate(door.good):
            path = tmp_path / f"good{number}{door.ending}"
            path.write_bytes(good)
            code, said = fuzz.silent(door.command(str(path)))
            assert code in (0, 1), (name, number, said)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh")
@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b", "importers/vllm")
def test_no_damaged_input_ends_in_a_bug():
    bugs = [one for one in fuzz.fuzz(SEED, 300.0, inputs=EACH) if not isinstance(one, str)]
    assert bugs == []


def test_the_same_seed_throws_the_same_inputs():
    import random

    good = b'title = "x"\npeak = 3\n' * 20
    one, again = (fuzz.damaged(random.Random("7 chip 3"), good) for _ in range(2))
    assert one == again != good


@pytest.fixture
def throw(tmp_path, monkeypatch):
    """Throw the second input at a door that spends something before it asks for the version."""
    monkeypatch.setattr(fuzz.tempfile, "tempdir", str(tmp_path))  # where inputs with bugs are kept

    def through(spend):
        def command(file):
            spend()
            return ("--version",)

        doors = {"spends": fuzz.Door("", [b"good"], command)}
        return fuzz.thrown("spends", SEED, 1, doors, tmp_path)

    return through


def busy(seconds):
    """Use the processor for so long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_an_input_within_its_limits_is_fine(throw):
    assert throw(lambda: busy(0.01)) is None


def test_an_input_that_takes_too_long_is_a_bug(throw, monkeypatch):
    monkeypatch.setattr(limits, "SLOW", 0.1)
    assert " s, " in throw(lambda: busy(0.2)).said


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="nothing tells processor time here")
def test_an_input_without_an_end_is_stopped(throw, monkeypatch):
    monkeypatch.setattr(fuzz, "ENDLESS", 0.1)
    assert "no end after 0.1 s" in throw(lambda: busy(1e9)).said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a process's peak")
def test_no_large_input_hides_behind_a_larger_one(throw, monkeypatch):
    assert throw(lambda: bytes(bytearray(b"x" * (100 << 20)))) is None
    monkeypatch.setattr(limits, "MOST", 60.0)
    assert " MB" in throw(lambda: bytearray(b"x" * (40 << 20))).said
