"""The laws of the core, on a Groq LPU and on a wafer of made-up round figures."""

from __future__ import annotations

from inferbench_dataflow import Dataflow, DataflowParams

import inferbench as ib
from inferbench.testing import ArchitectureContract


def chip(name, capacity, bandwidth, peak):
    return ib.Chip(
        name=name,
        title=name,
        vendor="",
        architecture_type="dataflow",
        architecture=DataflowParams(hop=0.7e-6),
        peak=peak,
        memory={"sram": ib.MemoryLevel(capacity, bandwidth)},
    )


class TestLpu(ArchitectureContract):
    architecture = Dataflow()
    chip = chip("lpu", 230e6, 80e12, {"int8": 750e12, "fp16": 188e12})
    precisions = ("int8", "bf16")


class TestWafer(ArchitectureContract):
    architecture = Dataflow()
    chip = chip("wafer", 44e9, 21e15, {"fp16": 15.84e15})
    precisions = ("fp16", "w8a16")
