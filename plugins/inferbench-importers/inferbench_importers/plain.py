"""Plain CSV: a table with a header, one measured point per row, units in the names of the columns."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import inferbench as ib
from inferbench_importers.plain_shapes import PREFIXES, op_fields, settings, time, work_fields
from inferbench_importers.record import NAN, Row, gather, layout

__all__ = ["IMPORTER"]

FIGURES = (
    *(f"{name}_{prefix}" for name in ("latency", "ttft", "tpot") for prefix in PREFIXES),
    "tokens_per_s",
    "power_w",
    "power_per_chip_w",
    "energy_j",
)
# What beside a figure makes a table one of measurements, where no column says the chip.
SUBJECTS = ("chip", "model", "network", "op", "phase")
DELIMITERS = (",", ";", "\t")
BOUNDARIES = ("chip", "board", "server", "wall", "facility")
CONDITIONS = tuple(ib.Condition)
NOTES: Mapping[str, ib.Condition] = {
    "steady state": ib.Condition.STEADY_STATE,
    "kv cache = fp8": ib.Condition.QUANTISED_CACHE,
    "kv cache = int8": ib.Condition.QUANTISED_CACHE,
}
CAVEATS: Mapping[ib.Condition, str] = {
    ib.Condition.SPECULATIVE: "speculative decoding: the row says so; a time per token is not a step",
    ib.Condition.STEADY_STATE: "steady state: the row says so; its batch is an average over time",
}
ASSUMED = "(assumed)"
TRUE = ("1", "1.0", "true", "yes")
# Seconds over which an operator's power must be averaged. Board sensors average over a tenth of a second
# and more: a shorter window still shows what ran before. It is what `power_ok` asks for beside
# `power_suspect` (828 of 828 rows of gemm.csv).
SHORTEST = 0.25


def _sniff(path: Path, text: str) -> str:
    header = _header(text)[0]
    if "tokens/s/gpu" in header or "silicon_ttft_ms" in header:
        return "aiconfigurator's table"
    if len(header) < 2:
        return "no CSV: one column in its first line, whether by comma, semicolon or tab"
    if not any(name in header for name in SUBJECTS):
        return f"none of the columns {', '.join(SUBJECTS)} in its first line"
    if not any(name in header for name in FIGURES):
        return f"none of the columns {', '.join(FIGURES)}"
    return ""


def _header(text: str) -> tuple[list[str], str]:
    """Names of the columns in small letters, and what stands between them: that which makes the most
    columns.
    """
    line = text.split("\n", 1)[0]
    parted = {sign: next(csv.reader([line], delimiter=sign), []) for sign in DELIMITERS}
    sign = max(DELIMITERS, key=lambda one: len(parted[one]))
    return [cell.strip().lower() for cell in parted[sign]], sign


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        header, sign = _header(stream.readline())
        _twice(header, path)
        stream.seek(0)
        lines = csv.reader(stream, delimiter=sign)
        next(lines, None)
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise ib.InferBenchError.at(
                    f"{path.name}: line {lines.line_num}",
                    f"{len(cells)} cells, the header has {len(header)}",
                    "the file is cut short, or a comma stands outside quotes",
                )
            yield _known(dict(zip(header, cells, strict=True)))


def _twice(header: list[str], path: Path) -> None:
    """Refuse two columns of one name: which of them is meant, nobody knows."""
    for name in header:
        places = [str(i) for i, other in enumerate(header, start=1) if other == name]
        if name and len(places) > 1:
            raise ib.InferBenchError.at(
                f"{path.name}: line 1",
                f"columns {' and '.join(places)} are both called '{name}'",
                "rename or remove one",
            )


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Take the mark of what a compiler assumed off the values, and keep which they are."""
    assumed = [name for name, value in values.items() if ASSUMED in value]
    if assumed:
        values = {**values, **{name: values[name].replace(ASSUMED, "").strip() for name in assumed}}
        values["assumed"] = assumed
    return values


def _build(row: Row) -> ib.Measurement:
    tp, ep = row.number("tp"), row.number("ep")
    chips = row.count("n_chips", default=1 if math.isnan(tp) else int(tp))
    latency = time(row, "latency")
    origin = row.text("source")
    single = row.text("phase") == "op" or bool(row.values.get("num_heads"))
    shape = op_fields(row, chips) if single else work_fields(row, latency)
    variant, written = shape.pop("variant"), row.text("weight_precision", "precision")
    power, caveats = _power(row, chips, latency, shape)
    refused = {**shape.pop("refused"), **power.pop("refused", {})}
    conditions = _conditions(row)
    caveats += [CAVEATS[name] for name in CAVEATS if name in conditions]
    return ib.Measurement(
        source=f"{origin} ({row.where})" if origin else row.where,
        chip=row.text("chip"),
        chips=chips,
        layout=layout(tp=tp, pp=row.number("pp"), ep=NAN if single else ep, dp=_ranks(row, tp, chips)),
        software=row.text("framework", "software"),
        network=row.text("model", "network"),
        precision=written or shape.pop("precision", ""),
        latency_s=latency,
        statistic=row.text("statistic") or "mean",
        conditions=conditions,
        caveats=tuple(caveats),
        refused=refused,
        **{name: value for name, value in shape.items() if name != "precision"},
        **power,
        extra={**row.extra(), **settings(row), **({"variant": variant} if variant else {})},
    )


def _ranks(row: Row, tp: float, chips: int) -> float:
    """Data-parallel ranks, where they and tensor parallelism make up all chips.

    Raises:
        InferBenchError: Experts that are cut over ranks whose attention is of their own.
    """
    dp, cut = row.number("dp"), row.number("moe_tp")
    found = dp if dp > 1 and dp * (1.0 if math.isnan(tp) else tp) == chips else NAN
    if found > 1 and cut > 1 and cut * row.number("ep") == chips:
        raise row.fault(
            "moe_tp",
            f"experts are cut in {cut:g} while attention is data parallel over {dp:g}, which no layout here"
            " says",
            "leave the row out",
        )
    return found


def _power(row: Row, chips: int, latency: float, shape: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    if not any(row.values.get(name) for name in ("power_w", "power_per_chip_w", "energy_j")):
        return {}, []
    why = _distrust(row)
    if why:
        caveat = f"power refused: {why}"
        return {"refused": _aside(row, chips, caveat)}, [caveat]
    power = row.positive("power_w") * (chips if _of_one_chip(row) else 1)
    if math.isnan(power):
        power = row.positive("power_per_chip_w") * chips
    energy, caveats = _energy(row, latency, shape)
    refused = {}
    if caveats:
        refused["energy_j"] = (NAN, f"{caveats[0]}; {row.values['energy_j']} is given")
    ratio = power * latency / energy
    if chips > 1 and abs(ratio * chips - 1.0) < 0.1:
        raise row.fault(
            "power_w",
            f"{power:g} W x {latency:g} s is 1/{chips} of {energy:g} J: the power is of one of {chips} chips",
            "power_w is the sum over chips; write one chip's as power_per_chip_w",
        )
    if abs(ratio - 1.0) > 0.25:
        caveats.append(f"power and energy disagree: power x latency is {ratio:.3g} times the energy")
    return {"power_w": power, "energy_j": energy, "boundary": _boundary(row), "refused": refused}, caveats


def _of_one_chip(row: Row) -> bool:
    """Whether a row says of its `power_w` that it is of one chip (`mean per-GPU over run`)."""
    said = row.text("power_kind").lower()
    return any(f"per{mark}{what}" in said for mark in "- _" for what in ("gpu", "chip", "device"))


def _aside(row: Row, chips: int, why: str) -> dict[str, tuple[float, str]]:
    """Figures of power that are refused with their values; their fields stay among those that nobody used."""
    watts = Row(row.values, row.where)
    power = watts.number("power_w") * (chips if _of_one_chip(row) else 1)
    if math.isnan(power):
        power = watts.number("power_per_chip_w") * chips
    found = {"power_w": power, "energy_j": NAN if row.values.get("energy_unit") else watts.number("energy_j")}
    given = {"power_w": not math.isnan(power), "energy_j": bool(row.values.get("energy_j"))}
    return {name: (value, why) for name, value in found.items() if given[name]}


def _conditions(row: Row) -> frozenset[ib.Condition]:
    """Under which conditions a row says that it was measured."""
    found = set[ib.Condition]()
    for name in filter(None, (part.strip() for part in row.text("conditions").split(";"))):
        if name not in CONDITIONS:
            raise row.fault("conditions", f"'{name}' is none of {', '.join(CONDITIONS)}", "part several by ;")
        found.add(ib.Condition(name))
    # The column `notes` of our own tables has these words and no others.
    coded = NOTES.get(str(row.values.get("notes", "")).lower())
    if coded:
        found.add(coded)
    if row.text("spec_decode").lower() not in ("", "no", "none", "false", "0"):
        found.add(ib.Condition.SPECULATIVE)
    return frozenset(found)


def _distrust(row: Row) -> str:
    """Why the row's own marks say that its power is not to be used."""
    ok, suspect = row.values.get("power_ok"), row.values.get("power_suspect")
    # Nobody judged an empty cell of a row that is of a whole network; of an operator it means no.
    if ok or (ok is not None and row.values.get("phase") == "op"):
        return "" if str(ok).lower() in TRUE else "power_ok is not set"
    if str(suspect).lower() in TRUE:
        return "power_suspect is set"
    if str(row.values.get("power_kind", "")).lower().startswith("peak"):
        return "power_kind says peak: it is no mean"
    window = row.number("power_window_s")
    return f"averaged over {window * 1e3:g} ms, less than {SHORTEST * 1e3:g}" if window < SHORTEST else ""


def _energy(row: Row, latency: float, shape: dict[str, Any]) -> tuple[float, list[str]]:
    """Joules of the whole point, from joules per token, image or request where `energy_unit` says so."""
    unit = row.text("energy_unit").lower()
    axes = shape["axes"]
    batch = axes.get("batch", NAN)
    if not unit:
        if math.isnan(latency):
            if not row.values.get("energy_j"):
                return NAN, []
            # They stay in `extra`.
            return NAN, ["energy refused: joules of what? neither a time nor a unit is given"]
        return row.positive("energy_j"), []
    if "token" in unit:
        tokens = 1.0 if shape["phase"] == "decode" else axes.get("output", NAN)
        if "total" in unit:
            tokens += 0.0 if shape["phase"] == "decode" else axes.get("context", NAN)
        return row.positive("energy_j") * batch * tokens, []
    if any(item in unit for item in ("image", "video", "request", "item")):
        return row.positive("energy_j") * batch, []
    if unit in ("j", "joule", "joules"):
        return row.positive("energy_j"), []
    return NAN, [f"energy refused: '{unit}' is no known unit"]


def _boundary(row: Row) -> ib.Boundary:
    text = row.text("boundary") or "board"
    if text not in BOUNDARIES:
        raise row.fault("boundary", f"'{text}' is none of {', '.join(BOUNDARIES)}", "correct it")
    return cast("ib.Boundary", text)


def _read(path: Path) -> list[ib.Measurement]:
    return gather(path, _records(path), _build, "row")


IMPORTER = ib.Importer("csv", "plain CSV, one point per row", _sniff, _read)
