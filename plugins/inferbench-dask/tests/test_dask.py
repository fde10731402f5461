"""Sweeps on Dask, on 127.0.0.1 only: the same bytes as in one process, lost workers, a scheduler that is not
there.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("distributed", reason="distributed is not installed")
pytest.importorskip("pyarrow", reason="the extra inferbench-core[sweep] is not installed")

import inferbench as ib
from inferbench.cli.app import run

pytestmark = pytest.mark.filterwarnings("ignore")
NEEDED = (
    ("chips", "h100-sxm"),
    ("networks", "dense-8b"),
    ("workloads", "transformer"),
    ("executors", "dask"),
)
COMMON = ["sweep", "h100-sxm", "8xh100-sxm:tp8", "-w", "dense-8b/decode", "-w", "dense-70b/prefill"]
SMALL = ["--batch", "1:40:+1", "--context", "128:4096:+128", "--memory", "2 MB"]
# Long enough for a worker to be killed in its midst: about 1.2 million points in a good hundred chunks.
LONG = [
    "--batch",
    "1:400:+1",
    "--context",
    "128:65536:+128",
    "--precision",
    "bf16,fp8,int4",
    "--memory",
    "15 MB",
]


def installed(kind, name):
    return name in ib.installed().entries(kind)


@pytest.fixture(scope="module", autouse=True)
def everything():
    for kind, name in NEEDED:
        if not installed(kind, name):
            pytest.skip(f"no installed package provides {kind}/{name}")


@pytest.fixture(scope="module")
def cluster():
    """Two workers in processes of their own."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as running:
        yield running


def contents(path):
    return {one.name: one.read_bytes() for one in sorted(path.iterdir())}


def sweep(out, axes, *more):
    return run([*COMMON, *axes, "--out", str(out), *more])


@pytest.fixture(scope="module")
def long_one(tmp_path_factory):
    """The long sweep, in this process."""
    out = tmp_path_factory.mktemp("long") / "inline"
    assert sweep(out, LONG, "--executor", "inline") == 0
    return contents(out)


def on(cluster):
    return "--executor", "dask", "--scheduler", cluster.scheduler_address


@pytest.mark.slow
def test_two_workers_write_the_bytes_of_one_process(cluster, tmp_path):
    assert sweep(tmp_path / "here", SMALL, "--executor", "inline") == 0
    assert sweep(tmp_path / "there", SMALL, *on(cluster)) == 0
    mine = contents(tmp_path / "here")
    assert len(mine) > 5
    assert contents(tmp_path / "there") == mine


@pytest.mark.slow
def test_a_worker_killed_on_the_way_costs_a_chunk_not_the_run(cluster, tmp_path, long_one):
    out = tmp_path / "there"
    killed = []

    def kill():
        until = time.monotonic() + 30
        while len(list(out.glob("part-*.parquet"))) < 3 and time.monotonic() < until:
            time.sleep(0.002)
        pid = next(iter(cluster.workers.values())).pid
        os.kill(pid, signal.SIGKILL)
        killed.append((pid, len(list(out.glob("part-*.parquet")))))

    thread = threading.Thread(target=kill)
    thread.start()
    code = sweep(out, LONG, *on(cluster))
    thread.join()
    assert code == 0
    assert 3 <= killed[0][1] < len(long_one) - 1
    found = contents(out)
    assert list(found) == list(long_one)
    assert found == long_one


def test_a_scheduler_that_is_not_there(tmp_path, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    code = sweep(tmp_path / "out", SMALL, "--executor", "dask", "--scheduler", address)
    assert time.monotonic() - began < 10
    assert code == 2
    assert capsys.readouterr().err == (
        f"inferbench: --scheduler {address}: no scheduler answers there within 3 s\n"
        "  start one with: dask scheduler --host 127.0.0.1\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_something_else_that_listens_is_no_scheduler(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        began = time.monotonic()
        assert sweep(tmp_path / "out", SMALL, "--executor", "dask", "--scheduler", address) == 2
    assert time.monotonic() - began < 10
    assert f"--scheduler {address}: no scheduler answers there" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:8786", "http://127.0.0.1:1", "tcp://127.0.0.1"])
def test_what_is_no_address(address, tmp_path, capsys):
    assert sweep(tmp_path / "out", SMALL, "--executor", "dask", "--scheduler", address) == 2
    assert capsys.readouterr().err == (
        f"inferbench: --scheduler {address}: is no address of a scheduler\n  write it like tcp://127.0.0.1:8786\n"
    )


@pytest.mark.slow
def test_a_scheduler_without_workers(tmp_path, capsys):
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as empty:
        assert sweep(tmp_path / "out", SMALL, *on(empty)) == 2
        address = empty.scheduler_address
    assert capsys.readouterr().err == (
        f"inferbench: --scheduler {address}: the scheduler has no worker\n"
        f"  start some with: dask worker {address} --nworkers 2 --nthreads 1\n"
    )


def test_other_executors_have_no_scheduler(tmp_path, capsys):
    assert sweep(tmp_path / "out", SMALL, "--executor", "inline", "--scheduler", "tcp://127.0.0.1:1") == 2
    assert capsys.readouterr().err == (
        "inferbench: --scheduler: the executor 'inline' has no scheduler\n  add --executor dask\n"
    )


def test_a_fault_of_a_chunk_is_told_not_tried_again(cluster):
    """An exception of the work itself comes back as it is."""
    from inferbench_dask.cluster import opened

    with opened(ib.ExecutorOptions(address=cluster.scheduler_address)) as pool:
        future = pool.submit(np.arange, "x")
        (done,) = pool.as_completed([future])
        with pytest.raises(TypeError):
            done.result()
