"""Experts that many chips share: what the busiest chip gets, by hand, by laws and as it was recorded."""

from __future__ import annotations

import csv
import gzip
import math
from importlib import resources

import attrs
import numpy as np
import pytest

from inferbench.evidence.spread import Spread, fallen

LAYER = Spread(tokens=512, chosen=8, experts=256, slots=256, chips=32, power=1.2)


def test_even_loads_are_parted_evenly():
    """64 tokens to 8 of 256 experts are 512 rows: 16 on each of 32 chips, two for each of its 8 experts."""
    assert fallen(Spread(64, 8, 256, 256, 32)) == (8.0, 16.0, 16.0)


@pytest.mark.parametrize("evened", [False, True])
@pytest.mark.parametrize("tokens", [1, 16, 512, 4096])
def test_the_busiest_chip_has_no_less_than_the_mean_and_no_more_than_all(evened, tokens):
    layer = attrs.evolve(LAYER, tokens=tokens, evened=evened)
    touched, rows, came = fallen(layer)
    assert rows >= tokens * 8 / 32
    assert came <= min(tokens, rows)
    assert touched <= min(8.0, rows)


def test_dealing_places_evens_loads_and_copies_even_the_hottest():
    drawn = fallen(LAYER)[1]
    dealt = fallen(attrs.evolve(LAYER, evened=True))[1]
    copied = fallen(attrs.evolve(LAYER, evened=True, slots=288))[1]
    assert drawn > dealt >= copied >= 512 * 8 / 32


def test_a_chip_with_one_expert_has_a_row_for_each_token_that_came():
    layer = attrs.evolve(LAYER, chips=256)
    assert fallen(layer, 100.0) == (1.0, 100.0, 100.0)


def test_a_few_tokens_fall_to_neighbours():
    """One token's eight experts are loaded alike: a chip that holds eight has all of them."""
    assert fallen(attrs.evolve(LAYER, tokens=1, power=1.01))[1] == pytest.approx(8.0, abs=1.0)


@pytest.mark.needs_plugins("tables/moe_wide_ep")
def test_tokens_that_benchmarks_recorded_are_those_that_are_drawn():
    """`tokens_first_rank` of ai-dynamo/aiconfigurator's rows: the median row is met within 3 %."""
    file = resources.files("inferbench_data") / "tables" / "moe_wide_ep.csv.gz"
    rows = list(csv.DictReader(gzip.decompress(file.read_bytes()).decode().splitlines()))
    logs = []
    for row in [one for one in rows if one["tokens_first_rank"]][::40]:
        name = row["distribution"].removeprefix("power_law_")
        numbers = (int(row[key]) for key in ("batch", "topk", "experts", "slots", "ep"))
        layer = Spread(*numbers, float(name.removesuffix("_eplb")), name.endswith("_eplb"))
        logs.append(math.log(float(row["tokens_first_rank"]) / fallen(layer)[2]))
    assert abs(float(np.median(logs))) < 0.03
    assert float(np.mean(np.abs(logs))) < 0.2
