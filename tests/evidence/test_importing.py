"""Which importer reads a file, and what the core demands of its rows."""

import math
import os

import pytest

import inferbench as ib
from inferbench.evidence.importing import read_measurements


def importer(name, word, *rows):
    def sniff(path, text):
        return "" if word in text else f"no '{word}' in it"

    return ib.Importer(name, name, sniff, lambda path: rows)


def row(**fields):
    return ib.Measurement(**{"source": "r", "chip": "", "latency_s": 1.0, **fields})


@pytest.fixture
def having(bare, plugin):
    """A registry with the given importers."""

    def make(*importers):
        bare.load("t", lambda: plugin(inferbench_importers=lambda: importers), "pkg", "1")
        return bare

    return make


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "results.txt"
    path.write_text("apple banana")
    return path


def said(*args, **kwargs):
    with pytest.raises(ib.InferBenchError) as caught:
        read_measurements(*args, **kwargs)
    return str(caught.value)


def test_the_first_that_does_not_decline_reads(having, file):
    registry = having(importer("a", "cherry", row(chip="A")), importer("b", "banana", row(chip="B")))
    assert [one.chip for one in read_measurements(file, registry)] == ["B"]


def test_a_named_importer_reads_whatever_it_is(having, file):
    registry = having(importer("a", "cherry", row(chip="A")), importer("b", "banana", row(chip="B")))
    assert read_measurements(file, registry, importer="a")[0].chip == "A"
    assert "unknown importer; installed are a, b" in said(file, registry, importer="zzz")


def test_everyone_who_declined_is_listed_with_the_reason(having, file):
    def broken(path, text):
        raise KeyError("oops")

    registry = having(importer("a", "cherry"), ib.Importer("b", "b", broken, lambda path: ()))
    text = said(file, registry)
    assert "no importer knows this file; tried 2:" in text
    assert "a: no 'cherry' in it" in text
    assert "b: it failed while looking (KeyError: 'oops')" in text


def test_without_importers_it_says_what_to_install(bare, file):
    assert "pip install inferbench-importers" in said(file, bare)


def test_files_that_are_none(bare, tmp_path):
    assert "can't be read: No such file or directory" in said(tmp_path / "no.json", bare)
    assert "can't be read: Is a directory" in said(tmp_path, bare)
    (tmp_path / "empty").write_text(" \n")
    assert "the file is empty" in said(tmp_path / "empty", bare)
    (tmp_path / "binary").write_bytes(b"PK\x03\x04\x00\x00")
    assert "the file is binary" in said(tmp_path / "binary", bare)


def test_an_importer_that_breaks_is_named(having, file):
    def read(path):
        raise IndexError("list index out of range")

    registry = having(ib.Importer("b", "b", lambda path, text: "", read))
    assert "the importer 'b' failed: IndexError: list index out of range" in said(file, registry)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latency_s": 0.0}, "latency_s is 0; a figure above 0 was expected"),
        ({"tpot_s": -1.0}, "tpot_s is -1; a figure above 0 was expected"),
        ({"ttft_s": math.inf}, "ttft_s is inf; a figure above 0 was expected"),
        ({"latency_s": math.nan}, "measures nothing"),
        ({"chips": 0}, "0 chips; at least 1 was expected"),
    ],
)
def test_rows_that_no_importer_may_yield(having, file, fields, message):
    assert f"r: {message}" in said(file, having(importer("a", "apple", row(**fields))))


def test_a_bad_row_beside_a_good_one_stays_with_its_reason(having, file):
    fields, message = {"latency_s": 0.0}, "latency_s is 0; a figure above 0 was expected"
    good, bad = read_measurements(file, having(importer("a", "apple", row(), row(**fields))))
    assert not good.refused
    assert message in bad.refused["row"][1]
    assert math.isnan(bad.latency_s)


def test_no_rows_and_too_many_faults(having, file):
    assert "'a' found no measurement" in said(file, having(importer("a", "apple")))


def test_a_long_list_of_faults_is_shortened(having, file):
    text = said(file, having(importer("a", "apple", *[row(latency_s=0.0)] * 25)))
    assert text.count("latency_s is 0") == 20
    assert "5 more faults of this kind" in text


def test_what_the_file_leaves_open_can_be_given(having, file):
    registry = having(importer("a", "apple", row(), row(chip="X")))
    rows = read_measurements(file, registry, given={"chip": "h100", "software": "vLLM"})
    assert [(one.chip, one.software) for one in rows] == [("h100", "vLLM"), ("X", "vLLM")]
    assert "did you mean 'chip'?" in said(file, registry, given={"chp": "h100"})


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"phase": "decode", "latency_s": 0.9e-6}, "a decode step of 9e-07 s"),
        ({"phase": "generate", "tpot_s": 7000.0}, "a time per output token of 7e+03 s"),
        ({"phase": "decode", "latency_s": 50e-6}, ""),
        ({"phase": "op", "op": "gemm", "latency_s": 0.9e-6}, ""),
        ({"phase": "log", "latency_s": 1e5}, ""),
    ],
)
def test_units_that_can_not_be_right_warn(having, file, fields, warned):
    registry = having(importer("a", "apple", row(**fields)))
    read_measurements(file, registry)
    assert [fault.found.startswith(warned) for fault in registry.warnings] == ([True] if warned else [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_pipe_is_refused_before_anyone_waits_for_it(having, tmp_path):
    pipe = tmp_path / "results.csv"
    os.mkfifo(pipe)
    with pytest.raises(ib.InferBenchError, match="is a pipe or a device") as error:
        read_measurements(pipe, having(importer("a", "apple", row())))
    assert "write it to a file first" in str(error.value)


@pytest.mark.parametrize("where", ["sniff", "read"])
def test_an_importer_that_ends_the_program_is_named(having, file, where):
    def leave(*given):
        raise SystemExit(3)

    bad = ib.Importer("bad", "Bad", leave if where == "sniff" else lambda path, text: "", leave)
    with pytest.raises(ib.InferBenchError, match=r"bad.*SystemExit: 3|SystemExit: 3.*bad"):
        read_measurements(file, having(bad))


SERIES = """
title = "Two figures"
[sources.paper]
title = "A paper"
basis = "measured"
[[series]]
source = "paper"
where = "table 1"
chip = "H100"
software = "vLLM"
network = "llama3-8b"
phase = "decode"
columns = ["batch", "tpot (ms)"]
rows = [[1, 7.5], [16, nan]]
"""


class TestMeasurementSets:
    """TOML of our own is read without an importer."""

    def test_its_rows_are_measurements(self, bare, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text(SERIES.replace("nan", "9"))
        first, second = read_measurements(path, bare, given={"precision": "fp8"})
        assert (first.tpot_s, second.tpot_s) == pytest.approx((0.0075, 0.009))
        assert first.source == "A paper, table 1, row 1"
        assert (first.axes["batch"], second.axes["batch"], second.precision) == (1.0, 16.0, "fp8")

    def test_a_named_importer_reads_it_instead(self, having, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text(SERIES)
        assert read_measurements(path, having(importer("a", "x", row(chip="A"))), importer="a")[0].chip == "A"

    @pytest.mark.parametrize(
        ("old", "new", "where"),
        [
            ("[[1, 7.5], [16, nan]]", "3", "series.0.rows: 3 stands where a list was expected"),
            ("[1, 7.5]", f"[1, {'9' * 400}]", "series.0.rows.0: a number is too large"),
            ("[1, 7.5]", "[[1], 7.5]", "series.0.rows.0: [[1], 7.5] is no list of numbers"),
            ("[[series]]", "[series]", "series: "),
            (SERIES, 'title = "x"\nseries = 3', "series: 3 stands where a list was expected"),
        ],
    )
    def test_a_fault_names_file_and_key(self, bare, tmp_path, old, new, where):
        path = tmp_path / "mine.toml"
        path.write_text(SERIES.replace(old, new))
        assert said(path, bare).startswith(f"{path}: {where}")
