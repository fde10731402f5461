"""The laws of the core, on an SN40L socket: as published (its clock, which is not, is set to 1 GHz), and with
a small and slow SRAM.
"""

from __future__ import annotations

import math

from inferbench_cgra import Cgra, CgraParams

import inferbench as ib
from inferbench.testing import ArchitectureContract


def chip(capacity, bandwidth):
    return ib.Chip(
        name="rdu",
        title="RDU",
        vendor="",
        architecture_type="cgra",
        architecture=CgraParams(1040, clock=1e9, reconfiguration=10e-6),
        peak={"bf16": 638e12},
        memory={"hbm": ib.MemoryLevel(64e9, 1.6e12), "sram": ib.MemoryLevel(capacity, bandwidth)},
    )


class TestSocket(ArchitectureContract):
    architecture = Cgra()
    chip = chip(520e6, math.nan)
    precisions = ("bf16", "w8a16")


class TestSmallBuffer(ArchitectureContract):
    architecture = Cgra()
    chip = chip(1e6, 20e12)
    precisions = ("bf16", "w8a16")
