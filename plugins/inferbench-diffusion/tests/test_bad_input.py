"""What can't be done is said in one message that names the remedy."""

from __future__ import annotations

import pytest

import inferbench as ib


@pytest.mark.parametrize(
    ("name", "axes", "where", "remedy"),
    [
        ("sd3-medium", {"pixels": [1024, 1000]}, "pixels", "use 992 or 1008"),
        ("flux1-dev", {"pixels": 15}, "pixels", "use 16"),
        ("sana1.5-1.6b", {"pixels": 1040}, "pixels", "use 1024 or 1056"),
        ("wan2.1-14b", {"height": 481}, "height", "use 480 or 496"),
        ("wan2.1-14b", {"frames": 80}, "frames", "use 77 or 81"),
    ],
)
def test_sizes_that_do_not_tile(case, name, axes, where, remedy):
    with pytest.raises(ib.InferBenchError, match="don't tile") as error:
        case(name).ops(axes=axes)
    (fault,) = error.value.faults
    assert (fault.argument, fault.remedy) == (where, remedy)


@pytest.mark.parametrize(
    ("name", "phase", "option"), [("wan2.1-1.3b", "video", "vae"), ("dit-xl-2", "image", "text_encoder")]
)
def test_parts_that_are_not_modelled_are_refused(case, name, phase, option):
    with pytest.raises(ib.InferBenchError, match=name):
        case(name).ops(phase, **{option: True})


def test_other_sizes_than_the_networks_own_are_warned_about(case):
    dit = case("dit-xl-2")
    assert list(dit.workload.warnings(dit.network, {"pixels": 256.0}, "denoise")) == []
    assert list(dit.workload.warnings(dit.network, {"pixels": 1024.0}, "denoise")) == [
        "dit-xl-2 is made for pixels 256, not 1024"
    ]
