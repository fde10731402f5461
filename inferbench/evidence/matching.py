"""What a measurement is of, in our names: chip, network, stack, precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.evidence.broken import broken_json
from inferbench.evidence.importing import read_measurements
from inferbench.evidence.names import checkpoint, chip_of, network_of
from inferbench.model.choice import scaled
from inferbench.model.citing import cited
from inferbench.records.chip import Chip
from inferbench.records.measurement import GENERATE, LANGUAGE, Condition, Measurement
from inferbench.records.network import Network
from inferbench.records.precision import PrecisionName, stored
from inferbench.records.stack import Stack
from inferbench.records.system import System, SystemName
from inferbench.specs.figures import Target, settled, targets

__all__ = ["Situation", "Target", "read_rows", "situate", "targets"]

# Conditions under which a step does other work than the modelled one.
OTHER_WORK: Mapping[Condition, str] = {
    Condition.QUANTISED_CACHE: "keys and values are stored in fewer bits",
    Condition.SPECULATIVE: "speculative decoding",
    Condition.DISAGGREGATED: "prompts and steps run on different chips",
}


def read_rows(
    path: str | Path, registry: Registry, importer: str = "", given: Mapping[str, object] | None = None
) -> tuple[Measurement, ...]:
    """Read a file as `read_measurements` does, and say where JSON breaks that no importer could know any
    more.

    Raises:
        InferBenchError: As `read_measurements`; JSON that is cut short or broken.

    Example:
        A file that holds `{"request_throughput": 1` is cut short: no key by which an importer knows it is
        left.
    """
    try:
        return read_measurements(path, registry, importer, given)
    except InferBenchError as error:
        if any(fault.code == "no-importer" for fault in error.faults):
            broken = broken_json(Path(path).read_text(encoding="utf-8-sig", errors="replace"))
            if broken:
                raise InferBenchError.at(str(path), f"not valid JSON; {broken}", "copy it again") from None
        raise


@attrs.frozen(eq=False)
class Situation:
    """A measurement in our names.

    Attributes:
        inside: For an operator: whether chip and precision are in the stack's box.
        key: Measurements of equal keys are predicted together.
        said: What was taken where the row doesn't say it.
    """

    system: System
    network: Network | None
    op: str
    stack: Stack
    precision: str
    options: Mapping[str, object]
    inside: bool
    key: object
    said: tuple[str, ...] = ()


def situate(m: Measurement, registry: Registry, stack: str | None = None) -> Situation | tuple[str, str]:
    """Resolve the names of a measurement.

    Args:
        m: The measurement.
        registry: For aliases and records.
        stack: Name of the stack to use; None: the one fitted for the chip and the software.

    Returns:
        The situation, or the code of the rule that keeps the row out and why.
    """
    m = settled(m)
    refused = _refused(m)
    if refused:
        return refused
    try:
        chip = chip_of(m.chip, registry)
        network = None if m.op else network_of(m.network, registry, _parameters(m))
        precision, said = _precision(m, network, registry)
        system = _system(chip, m)
    except InferBenchError as error:
        return "name", _misnamed(error)
    chosen = registry.stack(stack) if stack else _cited(m, chip, registry)
    if chosen is None:
        return (
            "no-stack",
            f"no stack is fitted for software '{m.software or '(not said)'}'; name one to score by (stack)",
        )
    options = {} if m.op else _options(m, network, registry)
    chosen = scaled(chosen, network, [m.precision or precision], registry)
    domain = chosen.domain
    inside = (not domain.chips or chip.name in domain.chips) and (
        not domain.precisions or precision in domain.precisions
    )
    kind = (m.extra.get("variant"), m.extra.get("distribution"))
    variant = (*kind, m.axes.get("group"), tuple(sorted(m.axes))) if m.op else ()
    key = (str(system), m.network, m.op, chosen.name, precision, tuple(sorted(options.items())), variant)
    return Situation(system, network, m.op, chosen, precision, options, inside, key, (said,) if said else ())


def _cited(m: Measurement, chip: Chip, registry: Registry) -> Stack | None:
    """The stack of a row's software."""
    if m.op:
        return cited(registry, chip, m.software, "op")
    loaded = m.queueing or Condition.STEADY_STATE in m.conditions
    return cited(registry, chip, m.software, m.phase, loaded)


def _refused(m: Measurement) -> tuple[str, str] | None:
    """What keeps a row out before any name is looked up."""
    if "row" in m.refused:
        return "damaged", m.refused["row"][1]
    if m.phase == "log":
        return "incomplete", "a power log knows no work"
    if m.phase == "part":
        return "not-comparable", f"part of a pipeline: {m.extra.get('variant', '')}"
    for condition, why in OTHER_WORK.items():
        if condition in m.conditions:
            return "not-comparable", f"the source says: {why}"
    return _incomplete(m)


def _incomplete(m: Measurement) -> tuple[str, str] | None:
    """What a row doesn't say and must."""
    if not m.chip:
        return "incomplete", "no chip is given; name one for all rows (chip)"
    if m.op:
        return None
    if not m.phase:
        return "incomplete", "no phase is given"
    if not m.network:
        return "incomplete", "no network is given; name one for all rows (network)"
    if m.phase in LANGUAGE:
        # Under load the batch is judged figure by figure.
        needed = (
            *(() if m.queueing or "concurrency" in m.axes else ("batch",)),
            "context",
            *(("output",) if m.phase == GENERATE else ()),
        )
        missing = [name for name in needed if math.isnan(m.axes.get(name, math.nan))]
        if missing:
            return "incomplete", f"no {', '.join(missing)} is given; name it for all rows (axis)"
    return None


def _misnamed(error: InferBenchError) -> str:
    """What name is not known, and which is near."""
    fault = error.faults[0]
    hint = f"; did you mean '{fault.near}'?" if fault.near else ""
    return f"{fault.place}: {fault.found}{hint}"


def _system(chip: Chip, m: Measurement) -> System:
    """The chips with their layout; where none is given the model searches."""
    if m.op or not m.layout:
        return System(chip, m.chips)
    layout = SystemName.parse(f"{m.chips}x{chip.name}:{m.layout}").layout
    return System(chip, m.chips, None if m.chips == 1 else layout)


def _precision(m: Measurement, network: Network | None, registry: Registry) -> tuple[str, str]:
    """Our name of a row's format, and what it rests on where the row itself doesn't say it.

    A cache of fewer bits than 16-bit operands is part of it.
    """
    said = ""
    ours = registry.alias("precisions", m.precision) if m.precision else ""
    if network is not None and _of_experts(network, m.precision, ours):
        ours = network.precision or "bf16"
        said = f"precision {m.precision}: of the experts, as published; all else {ours}"
    if not ours and network is None:
        ours = "bf16"
    elif not ours:
        assert network is not None
        named = checkpoint(m.network).precision
        ours = named or network.precision or "bf16"
        whence = "the checkpoint's name" if named else "the format that the network is published in"
        said = f"precision not said: {ours}, {whence}"
    cache = registry.alias("precisions", str(m.extra.get("kv_dtype", "")))
    if ours in ("bf16", "fp16") and cache == "fp8":
        ours = "w16a16kv8"
    elif network is not None and stored(PrecisionName.parse(ours).kv) < 1.0:
        # Engines that compute in 4 bits keep the cache in 8, whatever else a row's one word for all says.
        ours = f"{ours}kv8" if cache in ("", "fp8") else ours
    PrecisionName.parse(ours)
    return ours, said


def _of_experts(network: Network, written: str, ours: str) -> bool:
    """Whether a row's format is the one in which the network's experts are published, and theirs alone."""
    own = getattr(network.params, "expert_format", "")
    return bool(own and written) and own in (ours, f"mx{written}")


def _parameters(m: Measurement) -> float | None:
    """Parameters of the network, where the source counts them."""
    count = m.extra.get("model_n_params")
    return float(count) if isinstance(count, int | float) and count > 0 else None


def _options(m: Measurement, network: Network | None, registry: Registry) -> dict[str, Any]:
    assert network is not None
    if "options" in m.extra:
        return dict(m.extra["options"])
    return dict(registry.workload(network.type).measured_with(network, m.phase))
