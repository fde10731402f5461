"""Axes as lists and ranges: how they are read, counted without being written out, and refused."""

from __future__ import annotations

import json

import pytest

from inferbench.errors import InferBenchError
from inferbench.specs.ranges import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,8,32", [1, 8, 32]),
        ("1:512:x2", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]),
        ("1:500:x2", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        ("128:512:+128", [128, 256, 384, 512]),
        ("128:511:+128", [128, 256, 384]),
        ("7:7:+1", [7]),
        ("100,1:8:x2,1_000", [100, 1, 2, 4, 8, 1000]),
        (" 1 , 2 ", [1, 2]),
        ("5:80:x4", [5, 20, 80]),
    ],
)
def test_lists_and_ranges(text, expected):
    points = parse(text, "batch")
    assert points.values().tolist() == expected
    assert points.count == len(expected)


def test_a_written_axis_reads_back_as_itself():
    assert str(parse("100,1:8:x2,16:64:+16", "batch")) == "100,1:8:x2,16:64:+16"


def test_slices_cross_from_one_item_into_the_next():
    points = parse("3,10:50:+10,1:4:x2", "batch")
    assert points.values(0, 2).tolist() == [3, 10]
    assert points.values(4, 7).tolist() == [40, 50, 1]
    assert points.values(9, 9).tolist() == []


def test_a_huge_range_is_counted_without_being_written_out():
    points = parse("1:1_000_000_000_000:+1", "steps")
    assert points.count == 10**12
    assert points.values(10**12 - 2, 10**12).tolist() == [10**12 - 1, 10**12]


LEAST = "whole numbers of at least 1 were expected; batch='max' takes the largest that fits"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the axis has no points\n  give batch='1,8,32'"),
        (",", "the axis has no points\n  give batch='1,8,32'"),
        ("8:1:x2", "the range '8:1:x2' has no points: it starts beyond its end\n  give batch='1:8:x2'"),
        ("1:8", "'1:8' is not a range\n  give batch='1:512:x2'"),
        ("1:8:2", "'1:8:2' is not a range\n  give batch='1:512:x2'"),
        (
            "1:8:x1",
            "'1:8:x1' leads nowhere\n  a whole factor of at least 2 from a start of at least 1 was expected",
        ),
        ("0:8:x2", f"0 is out of range\n  {LEAST}"),
        ("1:8:+0", "'1:8:+0' leads nowhere\n  a step of at least 1 was expected"),
        (
            "1:8:x1.5",
            "'1:8:x1.5' leads nowhere\n  a whole factor of at least 2 from a start of at least 1 was"
            " expected",
        ),
        ("1,2,4:8:x2,8", "8 stands twice in '1,2,4:8:x2,8'\n  give every point once"),
        ("1,many", "'1,many' is not a list of numbers\n  give batch='1,8,32'"),
        ("-1", f"-1 is out of range\n  {LEAST}"),
        ("nan", f"nan is out of range\n  {LEAST}"),
        ("1e400", f"inf is out of range\n  {LEAST}"),
        ("1e30", "1e+30 is out of range\n  at most 1,000,000,000 was expected"),
        ("1:1e12:x2", "1e+12 is out of range\n  at most 1,000,000,000 was expected"),
    ],
)
def test_bad_axes(text, said):
    with pytest.raises(InferBenchError) as caught:
        parse(text, "batch")
    assert str(caught.value) == f"batch: {said}"


def test_run_takes_ranges_too(toy_cli):
    code, out, err = toy_cli(
        "run",
        "toy-chip",
        "toy-net/decode",
        "--scenario",
        "toy",
        "--precision",
        "fp8",
        "--batch",
        "1:4:x2",
        "--format",
        "json",
    )
    assert (code, err) == (0, "")
    assert [row["batch"] for row in json.loads(out)["results"]] == [1.0, 2.0, 4.0]


def test_an_axis_too_long_for_a_screen_is_refused(toy_cli):
    code, out, err = toy_cli(
        "run", "toy-chip", "toy-net/decode", "--scenario", "toy", "--batch", "1:100000000:+1"
    )
    assert (code, out) == (2, "")
    assert err == (
        "inferbench: --batch: 100,000,000 points are too many for one answer\n"
        "  a sweep takes axes of any length\n"
    )
