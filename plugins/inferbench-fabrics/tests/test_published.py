"""The hardware alone is not slower than what was measured with software on top."""

import math

import inferbench_data
from inferbench_fabrics import Switch

import inferbench as ib

# One direction, per chip, NVLink 3, 4 and 5: NVIDIA A100, H100 and B200 datasheets (600, 900, 1800 GB/s both
# ways).
BANDWIDTH = {"A100-SXM4-80GB": 300e9, "H100-SXM5-80GB": 450e9, "B200-SXM-180GB": 900e9}


def test_measured_collectives_are_slower_than_the_switch():
    precision, faster, rows = ib.Precision.of(["bf16"]), [], 0
    for row in inferbench_data.table("collectives").rows():
        collective = ib.Collective(
            name="c",
            precision=precision,
            collective=row["op"],
            payload=row["message_bytes"],
            group=int(row["n_chips"]),
        )
        adds = row["chip"] != "A100-SXM4-80GB"  # NVSwitch 3 and later add up in transit
        link = ib.Link("switch", BANDWIDTH[row["chip"]], math.nan, 8, reduction=adds)
        cost = Switch().cost(collective, link, ib.Layout(tp=collective.group))
        rows += 1
        if float(cost.busy["network"] + cost.exposed["hops"]) > row["latency_s"]:
            faster.append((row["chip"], row["op"], row["n_chips"], row["message_bytes"]))
    assert faster == []
    assert rows > 1000
