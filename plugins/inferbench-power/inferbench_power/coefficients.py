"""Energies per action as cited data: one TOML per chip that was measured, and classes for all others."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import attrs

import inferbench as ib
from inferbench_power.limits import estimate

__all__ = ["Classes", "Coefficients", "Figure", "Own", "classes", "own", "resolve"]

PICO, NANO = 1e-12, 1e-9
_WIDE = ("bf16", "fp16", "fp8", "int8", "fp32", "tf32", "fp4", "int4")


@ib.frozen
class Figure:
    """One number with its citation; `source` names an entry of the file's `[sources]`."""

    value: float
    source: ib.Source
    note: str = ""


@ib.frozen(kw_only=True)
class Own:
    """A chip's own figures.

    Attributes:
        calibrated: Whether they were fitted on this very chip.
        domain, error: Where they were fitted and how well they do there.
        baseline: Watts with clocks up and weights resident, nothing running.
        op: Joules per 16-bit operation.
        bytes: Memory level, or `network`, to joules per byte.
        floor: `ops` or memory level to joules that are certainly spent: what alone may slow the chip down.
        logits: Joules per logit that is sorted to draw a token; None: not known of this chip.
        log_error: Log standard error of mean power on runs left out of the fit; None for figures that
            were not
            fitted here.
        rates: As `Classes.rates`, of this chip's runs, and other actions per second as they are; empty for
            figures that were not fitted here.
        sustained: 16-bit operations per second that the board was seen to sustain within its limit; None:
            not known.
        fit: What the figures were fitted on; of no rows for figures that were not fitted here.
    """

    calibrated: bool
    domain: str
    error: str
    baseline: Figure
    op: Figure
    bytes: Mapping[str, Figure]
    floor: Mapping[str, Figure]
    logits: Figure | None = None
    log_error: Figure | None = None
    rates: Mapping[str, tuple[float, float]] = ib.field(factory=dict)
    sustained: Figure | None = None
    fit: ib.Fit = ib.field(factory=ib.Fit)


@ib.frozen(kw_only=True)
class Classes:
    """Estimates for chips without figures of their own: by process (nm, ascending), memory level and action.

    Attributes:
        rates: `ops` (in 16 bits) and `bytes` (of the main memory) to the lowest and highest share of
            the datasheet's rate at which the energies of any chip were fitted.
        log_error: Log standard error of the fits; what carrying them over adds is the model's rule.
        device: Joules per byte of the memory's devices alone: no byte of a board takes less.
        product: Joules per 16-bit operation of products alone at 4 nm: no whole step takes less, on this
            process or an older one.
    """

    baseline_of_tdp: Figure
    process: tuple[tuple[float, Figure], ...]
    bytes: Mapping[str, Figure]
    actions: Mapping[str, Figure]
    rates: Mapping[str, tuple[float, float]]
    log_error: Figure
    device: Figure
    product: Figure


@ib.frozen(kw_only=True)
class Coefficients:
    """What the model computes with, for one chip.

    Attributes:
        calibrated: Whether fitted on this very chip.
        limit: Watts that a chip may draw: its TDP, or what its class has.
        limit_error: Log standard error of the limit: 0 of a published one.
        baseline: Watts with clocks up and weights resident.
        ops: Format name to joules per operation.
        bytes: Memory level, or `network`, to joules per byte.
        actions: Other actions to joules each.
        floor: Action to joules certainly spent (of `ops`: in 16 bits); empty if not calibrated: a guess slows
            no chip.
        kin: Whether they are another chip's, named in the chip's own file, and not its class's.
        log_error: Log standard error of mean power on left-out runs of the chips that were fitted.
        rates: Action to the lowest and highest rate of one chip (per second, of `ops` in 16 bits) in the
            fits.
    """

    calibrated: bool
    limit: float
    baseline: float
    ops: Mapping[str, float]
    bytes: Mapping[str, float]
    actions: Mapping[str, float]
    floor: Mapping[str, float] = ib.field(factory=dict)
    kin: bool = False
    log_error: float = math.nan
    rates: Mapping[str, tuple[float, float]] = ib.field(factory=dict)
    limit_error: float = 0.0

    def energy(self, action: str) -> float:
        """Joules of one action other than `ops`; NaN where no energy is known.

        Example:
            >>> c = Coefficients(calibrated=True, limit=400.0, baseline=110.0, ops={},
            ...     bytes={"hbm": 1e-10}, actions={})
            >>> c.energy("bytes.hbm")
            1e-10
        """
        level = action.removeprefix("bytes.")
        return self.bytes.get(level, math.nan) if level != action else self.actions.get(action, math.nan)


def _figure(table: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]], scale: float) -> Figure:
    known = {"is", "source", "note"}
    if set(table) - known:
        raise ValueError(f"unknown keys {sorted(set(table) - known)}; expected {sorted(known)}")
    return Figure(table["is"] * scale, ib.Source(**sources[table["source"]]), table.get("note", ""))


def _figures(
    tables: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]], scale: float
) -> dict[str, Figure]:
    return {name: _figure(table, sources, scale) for name, table in tables.items()}


def _shares(table: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {name: (float(low), float(high)) for name, (low, high) in table.items()}


def _fit(table: Mapping[str, Any]) -> ib.Fit:
    files = tuple(ib.FitFile(**file) for file in table.get("files", ()))
    parts = {name: ib.FitPart(**part) for name, part in table.get("parts", {}).items()}
    return ib.Fit(**{**table, "files": files, "parts": parts})


@cache
def own() -> Mapping[str, Own]:
    """Chip name to its own figures."""
    found: dict[str, Own] = {}
    for file in files(__package__).joinpath("coefficients").iterdir():
        if not file.name.endswith(".toml"):
            continue
        raw = tomllib.loads(file.read_text())
        record = Own(
            calibrated=raw["calibrated"],
            domain=raw["domain"],
            error=raw["error"],
            baseline=_figure(raw["baseline_w"], raw["sources"], 1.0),
            op=_figure(raw["op_pj"], raw["sources"], PICO),
            bytes=_figures(raw["bytes_pj"], raw["sources"], PICO),
            floor=_figures(raw.get("floor_pj", {}), raw["sources"], PICO),
            logits=_figure(raw["logit_nj"], raw["sources"], NANO) if "logit_nj" in raw else None,
            log_error=_figure(raw["log_error"], raw["sources"], 1.0) if "log_error" in raw else None,
            rates=_shares(raw.get("rates", {})),
            sustained=_figure(raw["sustained_ops"], raw["sources"], 1.0) if "sustained_ops" in raw else None,
            fit=_fit(raw.get("fit", {})),
        )
        found |= dict.fromkeys(raw["chips"], record)
    return found


def own_of(chip: ib.Chip) -> Own | None:
    """The figures of a chip, or of the one that it is based on as a sibling's; None where neither has any."""
    known = own()
    if chip.name in known or chip.based_on not in known:
        return known.get(chip.name)
    return attrs.evolve(known[chip.based_on], calibrated=False)


@cache
def classes() -> Classes:
    """The estimates for all other chips."""
    raw = tomllib.loads(files(__package__).joinpath("classes.toml").read_text())
    sources = raw["sources"]
    return Classes(
        baseline_of_tdp=_figure(raw["baseline_of_tdp"], sources, 1.0),
        process=tuple((float(p["up_to_nm"]), _figure(p["op_pj"], sources, PICO)) for p in raw["process"]),
        bytes=_figures(raw["bytes_pj"], sources, PICO),
        actions=_figures(raw["actions_pj"], sources, PICO),
        rates=_shares(raw["rates"]),
        log_error=_figure(raw["log_error"], sources, 1.0),
        device=_figure(raw["device_pj"], sources, PICO),
        product=_figure(raw["product_pj"], sources, PICO),
    )


def resolve(chip: ib.Chip, given: Own | None = None) -> Coefficients:
    """Put together the coefficients of a chip: its own figures, else those of its classes.

    Args:
        chip: Its datasheet.
        given: Figures that take the place of those which ship.

    A chip without a published power limit gets its class's. Energies are not lowered so that the full
    bandwidth fits into the limit: what exceeds the limit is cut off where it is computed.
    """
    mine, general = given or own_of(chip), classes()
    limit, limit_error = (chip.power.tdp, 0.0) if not math.isnan(chip.power.tdp) else estimate(chip)
    baseline = mine.baseline.value if mine else general.baseline_of_tdp.value * limit
    if not math.isnan(chip.power.idle):
        baseline = max(baseline, chip.power.idle)
    op = mine.op.value if mine else _by_process(chip.silicon.node)
    energies = {level: figure.value for level, figure in general.bytes.items()}
    energies |= {level: figure.value for level, figure in mine.bytes.items()} if mine else {}
    reference, rate = next(((f, chip.peak[f]) for f in _WIDE if f in chip.peak), ("bf16", math.nan))
    op *= ib.FORMATS[reference] / ib.FORMATS["bf16"]
    calibrated = mine is not None and mine.calibrated
    ops = {
        name: op * (rate / chip.peak[name] if name in chip.peak else width / ib.FORMATS[reference])
        for name, width in ib.FORMATS.items()
    }
    actions = {name: figure.value for name, figure in general.actions.items()}
    actions |= {"logits": mine.logits.value} if mine and mine.logits else {}
    floor = {k if k == "ops" else f"bytes.{k}": f.value for k, f in mine.floor.items()} if mine else {}
    return Coefficients(
        calibrated=calibrated,
        limit=limit,
        baseline=baseline,
        ops=ops,
        bytes=energies,
        actions=actions,
        floor=floor,
        kin=mine is not None and not calibrated,
        log_error=(mine.log_error if mine and mine.log_error else general.log_error).value,
        rates=_rates(
            chip,
            rate * ib.FORMATS[reference] / ib.FORMATS["bf16"],
            (mine.rates if mine else {}) or general.rates,
        ),
        limit_error=limit_error,
    )


def _rates(
    chip: ib.Chip, rate: float, shares: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Rates of a chip at which energies were fitted, from shares of its datasheet's figures; `rate` is of 16
    bits.
    """
    full = {"ops": (rate, shares["ops"])}
    if chip.memory:
        full[f"bytes.{chip.main}"] = (chip.memory[chip.main].bandwidth, shares["bytes"])
    found = {
        action: (low * most, high * most)
        for action, (most, (low, high)) in full.items()
        if math.isfinite(most)
    }
    return found | {action: ends for action, ends in shares.items() if action not in ("ops", "bytes")}


def _by_process(node: float) -> float:
    table = classes().process
    if math.isnan(node):
        return table[1][1].value
    return next((figure.value for size, figure in table if node * 1e9 <= size + 1e-6), table[-1][1].value)
