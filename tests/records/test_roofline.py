"""The time model that the core brings keeps the contract of all time models."""

import inferbench as ib
import inferbench.testing as contracts


class TestRoofline(contracts.TimeModelContract):
    time_model = ib.Roofline()
    figures = ib.RooflineFigures(
        efficiency={"compute": {"default": 0.7, "gemm.fp8": 0.6}, "memory.hbm": {"default": 0.8}},
        overlap={"default": 3.0},
        launch={"default": 4e-6, "attention.generation": 6e-6},
    )
