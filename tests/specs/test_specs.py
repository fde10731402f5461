"""Specs: what is wrong in a file is told all at once, each fault with its key path and what to do."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferbench as ib
from inferbench.errors import InferBenchError
from inferbench.specs.assemble import network_from, node_from, suite_from
from inferbench.specs.assemble_chip import chip_from


@ib.frozen
class Params:
    units: int
    clock: ib.Hertz = math.nan

    def __attrs_post_init__(self):
        if self.units == 99:
            raise ValueError("99 units are one too many")


ARCHITECTURE = SimpleNamespace(name="toy", params=Params)
GOOD = """title = "X1"
vendor = "Acme"
source = "sheet"
[sources]
sheet = { title = "X1 datasheet", url = "https://example.com", basis = "datasheet" }
bench = { title = "Bench", basis = "measured" }
[architecture]
type = "toy"
units = "4 [bench]"
clock = "1.5 GHz"
[peak]
bf16 = "100 TOP/s"
fp8 = "200 TOP/s"
[memory.hbm]
capacity = "80 GB"
bandwidth = { is = "2 TB/s", source = "bench", note = "2.1 announced" }
[power]
tdp = "700 W [bench]"
idle = { missing = "not published" }
[price]
purchase = "30 to 40 kUSD"
"""
BANDWIDTH = "x1.toml: memory.hbm.bandwidth: "
WRITE = '\n  write bandwidth = "8 TB/s", or { missing = "why" } where it is not known'
LIKE = f'a bandwidth is written like "8 TB/s"{WRITE}'


def build(text, warn=None):
    doubts = [] if warn is None else warn
    return chip_from(text.encode(), "x1", "x1.toml", lambda kind: ARCHITECTURE, doubts.append, bytes)


def complaint(text):
    with pytest.raises(InferBenchError) as caught:
        build(text)
    return str(caught.value)


def test_a_good_file_gives_si_floats_and_facts():
    chip = build(GOOD)
    assert (chip.memory["hbm"].capacity, chip.memory["hbm"].bandwidth) == (80e9, 2e12)
    assert chip.peak == {"bf16": 100e12, "fp8": 200e12}
    assert chip.architecture == Params(4, 1.5e9)
    assert chip.price.purchase == ib.Range(30e3, 40e3)
    assert chip.price.purchase.mid == 35e3
    fact = chip.facts["memory.hbm.bandwidth"]
    assert (fact.value, fact.unit, fact.basis, fact.note) == (2e12, "B/s", "measured", "2.1 announced")
    assert chip.facts["memory.hbm.capacity"].source.title == "X1 datasheet"
    assert chip.facts["power.tdp"].source.key == "bench"
    assert chip.facts["architecture.units"].basis == "measured"


def test_a_missing_number_is_nan_with_its_reason():
    chip = build(GOOD)
    assert math.isnan(chip.power.idle)
    assert chip.facts["power.idle"].missing == "not published"
    assert chip.facts["power.idle"].basis == "missing"
    assert chip.missing("power.idle") == "not published"
    assert chip.missing("silicon.area") == "not given in the spec"
    assert chip.missing("power.tdp") == ""
    unsold = build(GOOD.replace('"30 to 40 kUSD"', '{ missing = "not sold" }'))
    assert math.isnan(unsold.price.purchase.mid)
    assert unsold.facts["price.purchase"].missing == "not sold"


def test_prices_stand_by_term_with_a_date():
    rented = 'rental.on_demand = { is = "2 to 3 USD/h", source = "bench", date = "2026-05" }'
    chip = build(GOOD.replace("[price]", f"[price]\n{rented}"))
    assert chip.price.rental.on_demand == ib.Range(2.0, 3.0)
    assert math.isnan(chip.price.rental.reserved_3y.mid)
    assert (chip.facts["price.rental.on_demand"].date, chip.facts["price.purchase"].date) == ("2026-05", "")
    assert chip.missing("price.rental.reserved_3y") == "not given in the spec"


def test_one_line_says_that_nothing_of_a_table_is_known():
    chip = build(GOOD.replace("[price]", '[price]\nrental = { missing = "not rented" }'))
    for term in ("on_demand", "reserved_1y", "reserved_3y"):
        assert chip.missing(f"price.rental.{term}") == "not rented"


def test_a_server_by_its_file():
    text = 'title = "R"\nchips_per_node = 8\nfixed = "1.7 kW"\nfactor = 1.1\nlink = "direct"\n'
    node = node_from(text.encode(), "r", "r.toml")
    assert (node.name, node.chips_per_node, node.fixed, node.factor, node.link) == (
        "r",
        8,
        1700.0,
        1.1,
        "direct",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "factor = 1.1",
            'neither `fixed` nor `fixed_of_tdp` is given\n  write fixed = "1.7 kW", or fixed_of_tdp = 0.3',
        ),
        (
            'fixed = "1 kW"\nfactor = 1.1',
            "fixed watts are of a node of so many chips\n  write chips_per_node = 8",
        ),
        ("fixed_of_tdp = 0.3", "r.toml: factor: missing key\n  add `factor`, for example `1.25`"),
    ],
)
def test_a_server_that_says_too_little(text, said):
    with pytest.raises(InferBenchError) as caught:
        node_from(f'title = "R"\n{text}\n'.encode(), "r", "r.toml")
    assert str(caught.value).endswith(said)


@pytest.mark.parametrize(
    ("text", "value"),
    [("80 GiB", 80 * 2**30), ("220 MiB", 220 * 2**20), ("64 KiB", 65536), ("1 TB", 1e12), ("512 B", 512)],
)
def test_binary_and_decimal_units(text, value):
    assert build(GOOD.replace('"80 GB"', f'"{text}"')).memory["hbm"].capacity == value


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("35 kUSD", 35e3, 35e3), ("30 .. 40 kUSD", 30e3, 40e3), ("1.5e3 – 2e3 USD", 1500.0, 2000.0)],
)
def test_ranges(text, low, high):
    assert build(GOOD.replace("30 to 40 kUSD", text)).price.purchase == ib.Range(low, high)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'title = "X1"\n',
            'title = "X1\n',
            (
                "x1.toml: not valid TOML: Illegal character '\\n' (at line 1, column 12)\n  fix what is"
                " named above"
            ),
        ),
        ('vendor = "Acme"\n', "", "x1.toml: vendor: missing key\n  add `vendor`"),
        ('"2 TB/s"', '"2 TB"', f'{BANDWIDTH}"2 TB" is a capacity; {LIKE}'),
        ('"2 TB/s"', '"2 Tb/s"', f'{BANDWIDTH}"2 Tb/s" is in "b/s"; {LIKE}'),
        ('"2 TB/s"', '"2 GHz"', f'{BANDWIDTH}"2 GHz" is a frequency; {LIKE}'),
        ('"2 TB/s"', '"2"', f'{BANDWIDTH}"2" is a number without unit; {LIKE}'),
        ('"2 TB/s"', "2e12", f"{BANDWIDTH}2000000000000.0 has no unit; {LIKE}"),
        ('"2 TB/s"', "true", f"{BANDWIDTH}True is not a quantity; {LIKE}"),
        ('"2 TB/s"', '"fast"', f'{BANDWIDTH}"fast" is not a number; {LIKE}'),
        ('"2 TB/s"', '"-2 TB/s"', f'{BANDWIDTH}"-2 TB/s" is negative; a bandwidth can\'t be below 0{WRITE}'),
        ('"2 TB/s"', '"nan B/s"', f'{BANDWIDTH}"nan B/s" is not finite; {LIKE}'),
        ('"2 TB/s"', '"inf B/s"', f'{BANDWIDTH}"inf B/s" is not finite; {LIKE}'),
        (
            '"2 TB/s"',
            '"0 TB/s"',
            f'{BANDWIDTH}"0 TB/s" is zero; a bandwidth must be above 0{WRITE}',
        ),
        (
            "bandwidth =",
            "bandwith =",
            "x1.toml: memory.hbm.bandwith: unknown key\n  did you mean 'bandwidth'?",
        ),
        (
            "capacity =",
            "qqq =",
            (
                "x1.toml: memory.hbm.qqq: unknown key\n  known keys: capacity, bandwidth, cache, pins, rate\n"
                'x1.toml: memory.hbm.capacity: missing key\n  add `capacity`, for example `"180 GB"`'
            ),
        ),
        (
            'source = "bench"',
            'source = "bensh"',
            f"{BANDWIDTH}source 'bensh' is not among [sources]\n  did you mean 'bench'?",
        ),
        (
            "[bench]",
            "[bnech]",
            "x1.toml: architecture.units: source 'bnech' is not among [sources]\n  did you mean 'bench'?",
        ),
        (
            'source = "sheet"',
            'source = "shet"',
            "x1.toml: source: source 'shet' is not among [sources]\n  did you mean 'sheet'?",
        ),
        (
            'source = "bench"',
            "source = 3",
            f'{BANDWIDTH}3 is not the key of a source\n  write the key of one of [sources], like "sheet"',
        ),
        (
            'source = "sheet"',
            "source = 3",
            "x1.toml: source: 3 is not text",
        ),
        (
            'basis = "measured"',
            'basis = "guess"',
            (
                "x1.toml: sources.bench.basis: 'guess' is no basis; "
                "datasheet, measured, estimate or published was expected"
            ),
        ),
        (
            'title = "Bench", ',
            "",
            (
                "x1.toml: sources.bench: a source has the texts `title`, `basis` and perhaps `url`\n"
                '  write { title = "…", url = "…", basis = "datasheet" }'
            ),
        ),
        (
            'missing = "not published"',
            'missing = "x", is = "3 W"',
            (
                "x1.toml: power.idle: a number has either `is` or `missing`\n"
                '  write { is = "8 TB/s", note = "…" } or { missing = "not published" }'
            ),
        ),
        (
            'type = "toy"\n',
            "",
            (
                "x1.toml: architecture.type: missing key\n"
                "  add `type`, the name of an installed architecture plugin"
            ),
        ),
        (
            "[architecture]\n",
            "[architektur]\n",
            "x1.toml: architektur: unknown key\n  did you mean 'architecture'?",
        ),
        (
            '"4 [bench]"',
            "4.5",
            (
                "x1.toml: architecture.units: 4.5 is not a whole number of at least 1\n"
                '  write units = 4, or { missing = "why" } where it is not known'
            ),
        ),
        (
            '"4 [bench]"',
            "-4",
            (
                "x1.toml: architecture.units: -4 is not a whole number of at least 1\n"
                '  write units = 4, or { missing = "why" } where it is not known'
            ),
        ),
        ('"4 [bench]"', "99", "x1.toml: architecture: 99 units are one too many"),
        ("fp8 = ", "fp7 = ", "x1.toml: peak.fp7: unknown number format\n  did you mean 'fp8'?"),
        (
            "30 to 40 kUSD",
            "40 to 30 kUSD",
            (
                'x1.toml: price.purchase: "40 to 30 kUSD" runs from high to low\n'
                '  write purchase = "30 to 40 kUSD", or { missing = "why" } where it is not known'
            ),
        ),
        (
            'purchase = "30 to 40 kUSD"',
            'rental = "2 USD/h"',
            (
                "x1.toml: price.rental: '2 USD/h' stands where a table was expected\n  say which:"
                " price.rental.on_demand or price.rental.reserved_1y or price.rental.reserved_3y"
            ),
        ),
        (
            '"30 to 40 kUSD"',
            '{ is = "30 kUSD", source = "sheet", date = "May 2026" }',
            "x1.toml: price.purchase.date: 'May 2026' is no date\n  write it like \"2026-05\"",
        ),
        (
            'tdp = "700 W [bench]"',
            'tdp = "700 W [bench]"\nboundary = "rack"',
            "x1.toml: power.boundary: 'rack' is none of 'chip', 'board', 'system'",
        ),
        (
            "30 to 40 kUSD",
            "30 to 40",
            (
                'x1.toml: price.purchase: "30" is a number without unit; a price is written like "30 to 40'
                ' kUSD"\n  write purchase = "30 to 40 kUSD", or { missing = "why" } where it is not known'
            ),
        ),
    ],
)
def test_one_fault_one_message(old, new, said):
    assert old in GOOD
    assert complaint(GOOD.replace(old, new, 1)) == said


def test_no_memory_level_is_a_fault():
    text = GOOD[: GOOD.index("[memory.hbm]")] + "[memory]\n"
    assert complaint(text) == "x1.toml: memory: no memory level\n  add at least one, for example [memory.hbm]"


def test_all_faults_in_one_report():
    text = (
        GOOD.replace('"2 TB/s"', '"2 TB"')
        .replace('vendor = "Acme"\n', "")
        .replace("tdp =", "tpd =")
        .replace('"4 [bench]"', '"four"')
        .replace("fp8 =", "fp7 =")
    )
    with pytest.raises(InferBenchError) as caught:
        build(text)
    assert [fault.where for fault in caught.value.faults] == [
        "x1.toml: vendor",
        "x1.toml: memory.hbm.bandwidth",
        "x1.toml: power.tpd",
        "x1.toml: architecture.units",
        "x1.toml: peak.fp7",
    ]


def test_unknown_architecture_stands_beside_the_other_faults(bare):
    text = GOOD.replace('"2 TB/s"', '"2 TB"')
    with pytest.raises(InferBenchError) as caught:
        chip_from(text.encode(), "x1", "x1.toml", bare.architecture, print, bytes)
    assert [str(fault) for fault in caught.value.faults] == [
        f'{BANDWIDTH}"2 TB" is a capacity; {LIKE}',
        "x1.toml: architecture.type = 'toy': no architecture is installed\n"
        "  pip install 'inferbench-core[all]'",
    ]


@pytest.mark.parametrize(
    ("fp8", "said"),
    [
        ("221 TOP/s", "2.2 times the 16-bit peak looks like a sparse figure; peaks are dense"),
        ("400 TOP/s", "4 times the 16-bit peak looks like a sparse figure; peaks are dense"),
        ("99 TOP/s", "below the 16-bit peak"),
        ("100 TOP/s", "equal to the 16-bit peak"),
        ("220 TOP/s", None),
        ("200 TOP/s", None),
    ],
)
def test_odd_peaks_warn(fp8, said):
    doubts = []
    build(GOOD.replace("200 TOP/s", fp8), doubts)
    assert [(doubt.where, doubt.found) for doubt in doubts] == ([("x1.toml: peak.fp8", said)] if said else [])


def test_a_note_settles_an_odd_peak():
    doubts = []
    build(GOOD.replace('"200 TOP/s"', '{ is = "100 TOP/s", note = "computes in bf16" }'), doubts)
    assert doubts == []


def test_a_network_of_unknown_type(bare, toy_file):
    text = b'title = "N"\n[network]\ntype = "toy-mpl"\nlayers = 3\n'
    with pytest.raises(InferBenchError) as caught:
        network_from(text, "n", "n.toml", bare.workload)
    assert (
        str(caught.value)
        == "n.toml: network.type = 'toy-mpl': no workload is installed\n  pip install 'inferbench-core[all]'"
    )
    bare.load_file(str(toy_file))
    with pytest.raises(InferBenchError) as caught:
        network_from(text, "n", "n.toml", bare.workload)
    assert (
        str(caught.value) == "n.toml: network.type = 'toy-mpl': unknown workload; installed are toy-mlp\n"
        "  did you mean 'toy-mlp'? · inferbench list workloads"
    )


def test_a_network_is_typed_by_its_workload(toy):
    text = b'title = "N"\n[network]\ntype = "toy-mlp"\nlayers = 3\nwidth = 64\n'
    network = network_from(text, "n", "n.toml", toy.workload)
    assert (network.params.layers, network.params.width) == (3, 64)
    with pytest.raises(InferBenchError) as caught:
        network_from(text.replace(b"width", b"widht"), "n", "n.toml", toy.workload)
    assert [str(fault) for fault in caught.value.faults] == [
        "n.toml: network.widht: unknown key\n  did you mean 'width'?",
    ]


def test_a_suite_lists_its_points():
    text = b'title = "S"\n[[points]]\ntitle = "one"\nnetwork = "n"\nphase = "decode"\nbatch = "max"\n'
    (point,) = suite_from(text, "s", "s.toml").points
    assert (point.batch, point.context, point.precision) == ("max", 2048.0, "fp8")
    with pytest.raises(InferBenchError, match=r"s\.toml: points\.0\.batch: 0 is out of range"):
        suite_from(text.replace(b'"max"', b"0"), "s", "s.toml")
    with pytest.raises(InferBenchError, match=r"'most' is none of 'max'"):
        suite_from(text.replace(b'"max"', b'"most"'), "s", "s.toml")
    with pytest.raises(InferBenchError, match=r"s\.toml: points\.0\.phasse: unknown key"):
        suite_from(text.replace(b"phase", b"phasse"), "s", "s.toml")


JUNK = st.sampled_from(
    [
        "",
        "3",
        "-1",
        "nan",
        "inf",
        "true",
        "[]",
        "{}",
        '[1, "a"]',
        "{ is = 3 }",
        "{ missing = 3 }",
        '""',
        '"[bench]"',
        '" [x]"',
        '"1 [bench]"',
        "1979-05-27",
        "{ is = { is = 1 } }",
        '{ source = ["a"], is = "1" }',
        '"\\u0000"',
    ]
)


@given(st.integers(0, GOOD.count("\n") - 1), JUNK)
def test_junk_in_any_place_is_a_fault_and_never_a_crash(line, junk):
    lines = GOOD.splitlines()
    key = lines[line].partition("=")[0]
    lines[line] = f"{key} = {junk}" if "=" in lines[line] else junk
    try:
        chip = build("\n".join(lines))
    except InferBenchError as error:
        told = [fault.where for fault in error.faults]
    else:
        told = [chip.origin]
    assert told
    assert all(where.startswith("x1.toml") for where in told)
