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

from inferbench import files
from inferbench.errors import InferBenchError
from inferbench.specs.ranges import parse
from inferbench.sweeping import execute
from inferbench.sweeping.execute import sweep
from inferbench.sweeping.plan import plan
from inferbench.sweeping.query import query
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

        monkeypatch.setattr(files, "open", self.opened, raising=False)
        monkeypatch.setattr(files.os, "replace", replacing)
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
    # The rename at the end, and before the chunks are removed; or the digests that the manifest gets.
    more = 2 if name == "space.parquet" else STEPS_PER_FILE
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


@pytest.mark.parametrize("seed", range(20))
def test_every_damaged_chunk_is_named_and_done_again(toy, tmp_path, seed):
    """Eight bytes anywhere in a chunk: in a page, its header, the file's footer or its first bytes."""
    one, draw = made(toy), random.Random(seed)
    sweep(one, toy, str(tmp_path / "out"))
    whole = contents(tmp_path / "out")
    name = draw.choice(sorted(set(whole) - {"manifest.json"}))
    data = bytearray(whole[name])
    at = draw.randrange(len(data) - 8)
    data[at : at + 8] = bytes(byte ^ draw.randrange(1, 256) for byte in data[at : at + 8])
    (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(InferBenchError, match=f"{name}: not as the sweep wrote it"):
        query(tmp_path / "out", "select count(*) from space")
    assert sweep(one, toy, str(tmp_path / "out")).reused < one.size
    assert contents(tmp_path / "out") == whole


def test_a_damaged_single_file_gives_no_other_answer(toy, tmp_path):
    """Pages have checksums, and a part of the footer has none: what still answers answers the same."""
    one, draw = made(toy), random.Random(3)
    path, sql = tmp_path / "space.parquet", "select * from space"
    sweep(one, toy, str(path))
    whole, good = path.read_bytes(), query(path, sql)
    refused = 0
    for at in draw.sample(range(len(whole)), 40):
        data = bytearray(whole)
        data[at] ^= 0xFF
        path.write_bytes(data)
        try:
            # As texts, since no number that is missing equals itself.
            assert repr(query(path, sql)) == repr(good), at
        except InferBenchError as error:
            refused += "space.parquet" in str(error)
    assert refused >= 10
    path.write_bytes(whole[:-40])
    with pytest.raises(InferBenchError, match=r"space\.parquet: .* (damaged|no Parquet file)"):
        sweep(one, toy, str(path))


def test_the_name_of_a_column_that_is_no_text_is_told(toy, tmp_path):
    path = tmp_path / "space.parquet"
    sweep(made(toy), toy, str(path))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"feasible", b"\x9e\x9easible"))
    with pytest.raises(InferBenchError, match=r"space\.parquet: .*damaged"):
        query(path, "select * from space")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "5",
        '{"schema": 3}',
        '{"schema": "inferbench.space/1"}',
        '{"schema": "inferbench.space/1", "chunks": 7}',
        '{"schema": "inferbench.space/1", "chunks": [{"points": 3}]}',
        '{"schema": "inferbench.space/1", "chunks": [{"file": "../other/part-000000.parquet"}]}',
        '{"schema": "inferbench.space/1", "chunks": [{"file": "/etc/passwd"}]}',
        '{"schema": "inferbench.space/1", "chunks": ["part-000000.parquet"]}',
        pytest.param('{"request": ' + "[" * 100_000, id="nested too deeply"),
    ],
)
def test_a_damaged_manifest_is_refused_in_words(toy, tmp_path, text):
    one = made(toy)
    sweep(one, toy, str(tmp_path / "out"))
    (tmp_path / "out" / "manifest.json").write_text(text)
    with pytest.raises(InferBenchError, match=r"manifest\.json|chunks are files like"):
        query(tmp_path / "out", "select 1 from space")
    with pytest.raises(InferBenchError):
        sweep(one, toy, str(tmp_path / "out"))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_workers_end_with_their_parent(tmp_path, name):
    code = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests may ignore it
from inferbench.records.executor import ExecutorOptions
from inferbench.discovery.pools import PROCESSES
if __name__ == "__main__":
    with PROCESSES.open(ExecutorOptions(workers=2)) as pool:
        list(pool.as_completed([pool.submit(os.getpid) for _ in range(4)]))
        print(*[p.pid for p in pool._pool._processes.values()], flush=True)
        time.sleep(60)
"""
    (tmp_path / "main.py").write_text(code)
    child = subprocess.Popen([sys.executable, str(tmp_path / "main.py")], stdout=subprocess.PIPE, text=True)
    workers = [int(word) for word in child.stdout.readline().split()]
    assert len(workers) == 2
    child.send_signal(getattr(signal, name))
    child.wait(30)
    child.stdout.close()
    until = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(pid):
    """Whether a process is there and no zombie that waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
