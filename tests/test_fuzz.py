"""Damaged input ends in a message at every door: a short run of `tools/fuzz.py`, with a fixed seed."""

import fuzz
import pytest

SEED, EACH = 7, 120


@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b", "importers/vllm")
@pytest.mark.slow
def test_every_door_opens_to_a_good_input(tmp_path):
    """A door that refuses what is good would prove nothing of what is damaged."""
    for name, door in fuzz.doors(tmp_path).items():
        for number, good in enumerate(door.good):
            path = tmp_path / f"good{number}{door.ending}"
            path.write_bytes(good)
            code, said = fuzz.silent(door.command(str(path)))
            assert code in (0, 1), (name, number, said)


@pytest.mark.slow
@pytest.mark.needs_plugins("chips/b200", "networks/llama3-8b", "importers/vllm")
def test_no_damaged_input_ends_in_a_bug():
    bugs = [one for one in fuzz.fuzz(SEED, 300.0, inputs=EACH) if not isinstance(one, str)]
    assert bugs == []


def test_the_same_seed_throws_the_same_inputs():
    import random

    good = b'title = "x"\npeak = 3\n' * 20
    one, again = (fuzz.damaged(random.Random("7 chip 3"), good) for _ in range(2))
    assert one == again != good
