import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from inferbench import files
from inferbench.errors import InferBenchError

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs, no modes")


def test_a_file_keeps_its_mode_and_others_get_the_umask(tmp_path):
    there, fresh = tmp_path / "there", tmp_path / "fresh"
    there.write_text("old")
    there.chmod(0o600)
    mask = os.umask(0o027)
    try:
        files.write(there, "new")
        files.write(fresh, b"new")
    finally:
        os.umask(mask)
    assert [path.read_text() for path in (there, fresh)] == ["new", "new"]
    if sys.platform != "win32":
        assert [stat.S_IMODE(path.stat().st_mode) for path in (there, fresh)] == [0o600, 0o640]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "there"]


@needs_posix
def test_a_link_stays_a_link_and_names_stay_one_file(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link, other = tmp_path / "folder" / "target", tmp_path / "link", tmp_path / "other"
    target.write_text("a longer old text")
    link.symlink_to(target)
    files.write(link, "new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "folder" / "later")
    files.write(dangling, "new")
    assert (dangling.is_symlink(), (tmp_path / "folder" / "later").read_text()) == (True, "new")
    os.link(target, other)
    files.write(other, "x")
    assert (target.read_text(), other.stat().st_ino) == ("x", target.stat().st_ino)


@needs_posix
def test_a_fifo_is_written_to(tmp_path):
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    files.write(fifo, "through")
    reader.join(10)
    assert (read, stat.S_ISFIFO(fifo.stat().st_mode)) == ([b"through"], True)


@needs_posix
def test_a_device_stays_a_device(tmp_path):
    files.write("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    node = tmp_path / "node"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        return  # only root may make one
    with suppress(PermissionError):  # a folder mounted without devices
        files.write(node, "gone")
    assert stat.S_ISCHR(node.stat().st_mode)


@needs_posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
def test_an_open_file_of_the_shell_is_written_to(tmp_path, name):
    out = tmp_path / "out"
    code = f"from inferbench import files; print('first', flush=True); files.write({name!r}, 'second')"
    with open(out, "ab") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True, timeout=60)
    piped = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=60)
    assert piped.stdout == b"first\nsecond"
    assert out.read_bytes().endswith(b"second")


def test_a_write_that_fails_keeps_what_was_there(tmp_path):
    path = tmp_path / "there"
    path.write_text("old")
    with pytest.raises(TypeError):
        files.write(path, 5)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])
    with pytest.raises(OSError, match="directory"):
        files.write(tmp_path, "x")


def test_an_existing_file_is_not_replaced_in_silence(tmp_path):
    path, empty = tmp_path / "there", tmp_path / "empty"
    path.write_text("old")
    empty.write_text("")
    with pytest.raises(InferBenchError) as caught:
        files.refuse_existing(path, force=False)
    assert str(caught.value) == (
        f"out {path}: is there already\n  name another file, or write force=True to replace it"
    )
    for fine in (path, empty, tmp_path, tmp_path / "new"):
        files.refuse_existing(fine, force=fine == path)


@needs_posix
def test_what_can_be_read_once_only_is_refused_without_a_wait(tmp_path):
    fifo, file = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    file.write_text("x")
    for path in (fifo, "/dev/null"):
        with pytest.raises(InferBenchError, match="is a pipe or a device"):
            files.refuse_stream(path)
    for path in (file, tmp_path, tmp_path / "nobody"):
        files.refuse_stream(path)


@needs_posix
def test_a_named_pipe_and_a_stream_without_an_end_are_refused(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(InferBenchError, match="nobody may be writing to it"):
        files.read(fifo)
    with pytest.raises(InferBenchError, match="gives more than 64 MiB and may have no end"):
        files.read("/dev/zero")


@needs_posix
def test_what_a_shell_passes_is_read(tmp_path):
    out, into = os.pipe()
    os.write(into, b"\xef\xbb\xbftext \xff")
    os.close(into)
    assert files.read_text(f"/dev/fd/{out}") == "text \ufffd"
    os.close(out)
