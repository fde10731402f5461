"""A plugin's own file, read in one call."""

from collections.abc import Mapping

import pytest

import inferbench as ib
from inferbench.specs.configs import network_from_config


@ib.frozen
class Rack:
    title: str
    power: ib.Watts
    chips: int = 8
    sources: Mapping[str, ib.Source] = ib.field(factory=dict)

    def __attrs_post_init__(self):
        if self.chips > 72:
            raise ValueError("no rack holds more than 72 chips")


def test_units_and_citations_are_read():
    text = b"""
title = "A rack"
power = "40 kW [sheet]"
[sources]
sheet = { title = "Sheet", basis = "datasheet" }
"""
    rack = ib.read_spec(text, Rack, "rack.toml")
    assert (rack.title, rack.power, rack.chips) == ("A rack", 40e3, 8)


def test_a_file_for_this_core_is_read():
    assert ib.read_spec(b'core = ">=0.1,<9"\ntitle = "A rack"\npower = "1 kW"', Rack, "rack.toml").chips == 8


def test_a_table_is_read_like_a_file():
    assert ib.read_spec({"title": "A rack", "power": "1 kW"}, Rack, "rack").power == 1e3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"title = ", "rack.toml: not valid TOML: "),
        (b"chips = " + b"9" * 5000, "rack.toml: not valid TOML: Exceeds the limit"),
        (
            b'core = ">=9.1"\nwings = 2',
            "rack.toml: it was written for inferbench-core >=9.1, and this is "
            f"{ib.__version__}\n  update inferbench-core, or take an older file",
        ),
        (b"core = 3", "rack.toml: core: 3 is no range of versions"),
        (b'core = ">=' + b"9" * 5000 + b'"', "rack.toml: it was written for inferbench-core >=9"),
        (b'titel = "A"', "rack.toml: titel: unknown key\n  did you mean 'title'?"),
        (b'title = "A"\npower = "1 TB"', 'rack.toml: power: "1 TB" is a capacity; a power is written like'),
        (b'title = "A"\npower = "1 kW [x]"', "rack.toml: power: source 'x' is not among [sources]"),
        (b'title = "A"\npower = "1 kW"\nchips = 73', "rack.toml: no rack holds more than 72 chips"),
    ],
)
def test_faults_name_the_file_and_the_key(text, message):
    with pytest.raises(ib.InferBenchError) as caught:
        ib.read_spec(text, Rack, "rack.toml")
    assert message in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ib.InferBenchError) as caught:
        ib.read_spec(b'power = "1 TB"\nchips = -1', Rack, "rack.toml")
    assert [fault.where for fault in caught.value.faults] == [
        "rack.toml: title",
        "rack.toml: power",
        "rack.toml: chips",
    ]


ENDS = [
    IndexError("boom"),
    RuntimeError("boom"),
    SystemExit("boom"),
    type("Own", (BaseException,), {})("boom"),
]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_what_a_stranger_s_record_raises_names_it(error):
    @ib.frozen
    class Crashing:
        title: str

        def __attrs_post_init__(self):
            raise error

    with pytest.raises(ib.InferBenchError) as caught:
        ib.read_spec(b'title = "x"', Crashing, "rack.toml")
    assert f"Crashing: {type(error).__name__}: boom" in str(caught.value)


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_what_a_reader_of_configs_raises_names_it(error):
    class Reader:
        name = "reader"

        def read_config(self, config):
            raise error

    with pytest.raises(ib.InferBenchError) as caught:
        network_from_config({"model_type": "x"}, "config.json", [Reader()])
    said = f"config.json: the workload 'reader' of {__name__.partition('.')[0]} can't read it: "
    assert str(caught.value).startswith(f"{said}{type(error).__name__}: boom")
