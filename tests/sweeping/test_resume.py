"""An interrupted sweep goes on where it stopped, and nobody can tell from its bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inferbench.errors import InferBenchError
from inferbench.specs.ranges import parse
from inferbench.sweeping import execute, parquet
from inferbench.sweeping.execute import sweep
from inferbench.sweeping.plan import plan
from inferbench.sweeping.request import Request

pytest.importorskip("pyarrow", reason="the extra inferbench-core[sweep] is not installed")


def made(toy, batch="1:40:+1", **more):
    axes = {"batch": parse(batch, "--batch"), "context": parse("1:9:+1", "--context")}
    return plan(
        Request(
            systems=("toy-chip", "2xtoy-chip"),
            workloads=("toy-net/decode",),
            axes=axes,
            precisions=("bf16", "fp8"),
            scenario="toy",
            memory=1e5,
            **more,
        ),
        toy,
    )


def contents(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


class Killed(BaseException):
    """Ends the process as far as the code can tell: nothing is cleaned up after it."""


class Killer:
    """Counts steps of writing a file (opened, half written, written, renamed) and dies at one of them."""

    def __init__(self, monkeypatch, at: int) -> None:
        self.at, self.steps = at, 0
        replace, unlink = os.replace, Path.unlink

        def replacing(source, target):
            self.step()
            replace(source, target)
            self.step()

        def unlinking(path, missing_ok=False):
            if self.steps < self.at:
                unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(parquet, "open", self.opened, raising=False)
        monkeypatch.setattr(parquet.os, "replace", replacing)
        monkeypatch.setattr(Path, "unlink", unlinking)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed

    def opened(self, path, mode):
        file, killer = open(path, mode), self  # noqa: SIM115

        class Slow:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

            def write(self, data):
                whole = bytes(data)
                killer.step()
                file.write(whole[: len(whole) // 2])
                file.flush()
                killer.step()
                file.write(whole[len(whole) // 2 :])

        return Slow()


STEPS_PER_FILE = 4


@pytest.mark.parametrize("name", ["space.parquet", "folder"])
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_a_random_point_and_resumed_it_is_the_identical_file(toy, tmp_path, name, seed):
    """Ten for each form of result, twenty in all; each is killed twice, somewhere in the first half and in
    what is left.
    """
    one, draw = made(toy), random.Random(f"{name}{seed}")
    (tmp_path / "whole").mkdir()
    sweep(one, toy, str(tmp_path / "whole" / name))
    killed(one, toy, tmp_path / "torn" / name, draw.randrange(1, STEPS_PER_FILE * len(one.chunks) // 2))
    left = len(one.chunks) - len(list((tmp_path / "torn").rglob("part-*.parquet")))
    more = 2 if name == "space.parquet" else 0  # the rename at the end, and before the chunks are removed
    last = STEPS_PER_FILE * left + more
    killed(one, toy, tmp_path / "torn" / name, last if seed == 0 else draw.randrange(1, last + 1))
    done = sweep(one, toy, str(tmp_path / "torn" / name))
    assert done.points == one.size
    assert contents(tmp_path / "torn") == contents(tmp_path / "whole")


def killed(one, toy, out, at):
    with pytest.MonkeyPatch.context() as patch:
        Killer(patch, at)
        patch.setattr("inferbench.sweeping.store.Store.tidy", lambda self: None)
        with pytest.raises(Killed):
            sweep(one, toy, str(out))


def test_what_was_finished_is_not_done_again(toy, tmp_path, monkeypatch):
    one = made(toy)
    killed(one, toy, tmp_path / "out", STEPS_PER_FILE * 8 + 1)  # the manifest and seven chunks are whole
    worked = []
    real = execute.work
    monkeypatch.setattr(
        execute, "work", lambda job, chunk, target: worked.append(chunk.index) or real(job, chunk, target)
    )
    told = []
    done = sweep(one, toy, str(tmp_path / "out"), watch=lambda so_far, total: told.append((so_far, total)))
    assert worked == [chunk.index for chunk in one.chunks[7:]]
    assert done.reused == sum(chunk.points for chunk in one.chunks[:7])
    assert told[-1] == (one.size, one.size)
    assert told[0][0] == done.reused + one.chunks[7].points
    assert sweep(one, toy, str(tmp_path / "out")).reused == one.size


def test_ctrl_c_keeps_what_is_finished(toy, tmp_path):
    one = made(toy)

    def watch(done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(one, toy, str(tmp_path / "out"), watch=watch)
    kept = sum(
        chunk.points
        for chunk in one.chunks
        if (tmp_path / "out" / f"part-{chunk.index:06d}.parquet").exists()
    )
    assert kept > one.size // 2
    assert sweep(one, toy, str(tmp_path / "out")).reused == kept


def test_a_damaged_chunk_is_done_again(toy, tmp_path):
    one = made(toy)
    sweep(one, toy, str(tmp_path / "out"))
    whole = contents(tmp_path / "out")
    (tmp_path / "out" / "part-000003.parquet").write_bytes(whole["part-000003.parquet"][:-20])
    (tmp_path / "out" / "part-000004.parquet").write_bytes(whole["part-000003.parquet"])
    assert sweep(one, toy, str(tmp_path / "out")).reused < one.size
    assert contents(tmp_path / "out") == whole


def test_another_sweep_is_not_mixed_in(toy, tmp_path):
    one, other = made(toy), made(toy, batch="1:41:+1")
    for name in ("out", "space.parquet"):
        sweep(one, toy, str(tmp_path / name))
        before = contents(tmp_path)
        with pytest.raises(InferBenchError) as caught:
            sweep(other, toy, str(tmp_path / name))
        assert (
            str(caught.value)
            == f"out {tmp_path}/{name}: holds another sweep: axes differs\n  name another place, or"
            " remove it"
        )
        assert contents(tmp_path) == before


def test_other_software_is_another_sweep(toy, tmp_path, monkeypatch):
    sweep(made(toy), toy, str(tmp_path / "out"))
    monkeypatch.setattr("inferbench.sweeping.plan.__version__", "99")
    with pytest.raises(InferBenchError, match="holds another sweep: packages differs"):
        sweep(made(toy), toy, str(tmp_path / "out"))


def test_a_folder_of_something_else_is_left_alone(toy, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InferBenchError) as caught:
        sweep(made(toy), toy, str(tmp_path))
    assert str(caught.value) == f"out {tmp_path}: is not empty and holds no sweep\n  name another folder"
    assert contents(tmp_path) == {"thesis.tex": b""}


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_sweeps_do_not_write_to_one_place(toy, tmp_path):
    one = made(toy)
    refused = []

    def watch(done, total):
        try:
            sweep(one, toy, str(tmp_path / "out"))
        except InferBenchError as error:
            refused.append(str(error))

    sweep(one, toy, str(tmp_path / "out"), watch=watch)
    assert set(refused) == {
        f"out {tmp_path}/out: another sweep is writing there\n  wait for it, or name another place"
    }


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.slow
def test_a_process_that_is_really_killed(toy, toy_file, tmp_path):
    command = [
        sys.executable,
        "-m",
        "inferbench",
        "-p",
        str(toy_file),
        "sweep",
        "toy-chip",
        "-w",
        "toy-net/decode",
        "--scenario",
        "toy",
        "--batch",
        "1:4000:+1",
        "--context",
        "1:20:+1",
        "--precision",
        "bf16,fp8",
        "--memory",
        "3 MB",
        "--out",
    ]
    torn = tmp_path / "torn"
    child = subprocess.Popen([*command, str(torn)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while len(list(torn.glob("part-*.parquet"))) < 5 and time.monotonic() < until and child.poll() is None:
        time.sleep(0.005)
    assert child.poll() is None, "it was over before it could be killed"
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = len(list(torn.glob("part-*.parquet")))
    for folder in (torn, tmp_path / "whole"):
        assert subprocess.run([*command, str(folder)], capture_output=True, timeout=60).returncode == 0
    assert 5 <= kept < len(list(torn.glob("part-*.parquet")))
    assert contents(torn) == contents(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_worker_process_that_is_killed_costs_a_chunk(tmp_path):
    """Work that kills its first worker: the pool is started again and the chunk done by another."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(tmp_path)!r})
from fatal import once
from inferbench.records.executor import ExecutorOptions
from inferbench.discovery.pools import PROCESSES
from concurrent.futures import BrokenExecutor
if __name__ == "__main__":
    with PROCESSES.open(ExecutorOptions(workers=2)) as pool:
        waiting, done, lost = {{pool.submit(once, i): i for i in range(6)}}, [], 0
        while waiting:
            for future in list(pool.as_completed(list(waiting))):
                i = waiting.pop(future)
                try:
                    done.append(future.result())
                except BrokenExecutor:
                    lost += 1
                    waiting[pool.submit(once, i)] = i
    print(sorted(done), lost > 0)
"""
    (tmp_path / "fatal.py").write_text(
        f"import os, signal\nfrom pathlib import Path\nmark = Path({str(tmp_path / 'mark')!r})\ndef"
        " once(i):\n    if i == 3 and not mark.exists():\n        mark.touch()\n        os.kill(os.getpid(),"
        " signal.SIGKILL)\n    return i\n"
    )
    (tmp_path / "main.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("[0, 1, 2, 3, 4, 5] True\n", 0), done.stderr
