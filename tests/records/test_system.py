"""System names and layouts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferbench as ib
from inferbench.errors import InferBenchError


@pytest.mark.parametrize(
    ("text", "count", "chip", "layout"),
    [
        ("b200", None, "b200", None),
        ("8xh100", 8, "h100", None),
        ("8xh100:tp4pp2", 8, "h100", ib.Layout(tp=4, pp=2)),
        ("h100:tp4pp2", 8, "h100", ib.Layout(tp=4, pp=2)),
        ("16xb200:tp8dp2", 16, "b200", ib.Layout(tp=8, dp=2)),
        ("8xb200:tp8ep8", 8, "b200", ib.Layout(tp=8, ep=8)),
        ("8xh200:dp8ep8", 8, "h200", ib.Layout(dp=8, ep=8)),
        ("16xh100:tp2dp8ep16", 16, "h100", ib.Layout(tp=2, dp=8, ep=16)),
        ("8xh100:tp4cp2", 8, "h100", ib.Layout(tp=4, cp=2)),
        ("1000000xb200", 1_000_000, "b200", None),
        ("xe-gpu", None, "xe-gpu", None),
        ("H100-SXM5-80GB", None, "H100-SXM5-80GB", None),
        ("meta/x1", None, "meta/x1", None),
        ("1xb200", 1, "b200", None),
    ],
)
def test_names(text, count, chip, layout):
    assert ib.SystemName.parse(text) == ib.SystemName(count, chip, layout)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0xb200", "0xb200: 0 chips is out of range\n  a system has 1 to 1,000,000 chips"),
        (
            "1000000000xb200",
            "1000000000xb200: 1000000000 chips is out of range\n  a system has 1 to 1,000,000 chips",
        ),
        (
            "b200:tp1000000000",
            "b200:tp1000000000: 1000000000 chips is out of range\n  a system has 1 to 1,000,000 chips",
        ),
        (
            "8xb200:tp4",
            "8xb200:tp4: layout tp4 takes 4 chips, the system has 8\n"
            "  make tp x cp x pp x dp equal to the count",
        ),
        (
            "8xb200:tp4qq2",
            "8xb200:tp4qq2: 'tp4qq2' is not a layout\n  write it like tp8, tp4pp2, tp8ep8 or dp8ep8",
        ),
        ("8xb200:tp0", "8xb200:tp0: 'tp0' is not a layout\n  write it like tp8, tp4pp2, tp8ep8 or dp8ep8"),
        (
            "8xb200:tp4tp2",
            "8xb200:tp4tp2: 'tp4tp2' is not a layout\n  write it like tp8, tp4pp2, tp8ep8 or dp8ep8",
        ),
        (
            "8xb200:tp8ep3",
            ("8xb200:tp8ep3: ep3 does not divide tp8\n  inside a group, ep divides tp"),
        ),
        (
            "8xb200:dp8ep16",
            "8xb200:dp8ep16: ep16 does not divide tp1 x dp8\n"
            "  experts are spread over the chips of one stage",
        ),
        (
            "24xb200:tp4dp6ep6",
            "24xb200:tp4dp6ep6: ep6 joins no whole number of ranks of 4 chips\n"
            "  beyond tp, ep is a multiple of tp x cp",
        ),
        ("", "'': no system\n  write it like CHIP, 8xCHIP or 8xCHIP:tp4pp2"),
        ("8x", "8x: no system\n  write it like CHIP, 8xCHIP or 8xCHIP:tp4pp2"),
        ("b200\n", "'b200\\n': no system\n  write it like CHIP, 8xCHIP or 8xCHIP:tp4pp2"),
        (
            "9" * 5000 + "xb200",
            "9" * 5000 + "xb200: that many chips is out of range\n  a system has 1 to 1,000,000 chips",
        ),
    ],
)
def test_bad_names(text, said):
    with pytest.raises(InferBenchError) as caught:
        ib.SystemName.parse(text)
    assert str(caught.value) == said


@given(st.text(max_size=30) | st.from_regex(r"[0-9]*x?[a-z]*:?(tp|pp|ep|dp)?[0-9]*", fullmatch=True))
def test_any_text_is_a_name_or_an_error(text):
    try:
        name = ib.SystemName.parse(text)
    except InferBenchError:
        return
    assert name.chip


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 8))
def test_a_layout_reads_back_as_it_is_written(tp, pp, dp):
    layout = ib.Layout(tp=tp, pp=pp, dp=dp)
    assert ib.Layout.parse(str(layout)) == layout
    assert layout.chips == tp * pp * dp


def test_ep_takes_no_chips_of_its_own():
    assert ib.Layout.parse("tp8ep8").chips == 8


@pytest.mark.parametrize(
    ("text", "sharing", "replicas"),
    [
        ("tp8ep8", 1, 1),  # inside one group
        ("tp8dp2ep4", 1, 2),
        ("dp8ep8", 8, 1),
        ("tp2dp8ep16", 8, 1),
        ("tp2dp8ep8", 4, 2),  # two sets of experts, each shared by four ranks of two chips
        ("dp8", 1, 8),
        ("tp2cp2dp2ep8", 2, 1),
    ],
)
def test_ranks_that_share_experts(text, sharing, replicas):
    layout = ib.Layout.parse(text)
    assert (layout.sharing, layout.replicas) == (sharing, replicas)
    assert ib.Layout.parse(str(layout)) == layout


def test_a_system_is_written_with_its_count(toy):
    chip = toy.chip("toy-chip")
    assert [str(ib.System(chip, count)) for count in (1, 8)] == ["toy-chip", "8xtoy-chip"]
