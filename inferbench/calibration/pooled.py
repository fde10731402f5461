"""Priors of classes of chips, and stacks of few figures that are drawn to them, from published whole steps.

A vendor's stack has the five figures of a prior (`inferbench.calibration.priors`), fitted to the times of its
own chips and software: every network, chip and phase weighs the same, versions of the software the same
within them, with a standard error of 0.15 in logs, and a normal penalty of one standard deviation of 0.7
around the figures of the class without these chips. Both were chosen while looking at left-out errors.

How far another network is off is what networks left out of the fit are. Few are left out, so that their mean
square counts with the class's own variance (software and rest), which weighs as two networks more (moderated
variances, Smyth 2004). Of one network nothing can be left out, and the class's variance is all. A stack that
no prompt alone was fitted for takes the error of prompts on an unmeasured chip of its class.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from inferbench.calibration.outcome import FittedStack, Parameter, files_of, stack_of
from inferbench.calibration.pooled_writing import Pooled, pooled_toml
from inferbench.calibration.prior_files import prior_stack
from inferbench.calibration.priors import (
    BORROWED,
    NORMAL,
    Prior,
    drawn,
    predict,
    prior_for,
    priors,
)
from inferbench.calibration.published_times import samples_of
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.samples import PHASES, Sample
from inferbench.calibration.writing import Labels
from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError, suggest
from inferbench.num import Array
from inferbench.records.fit import FitPart
from inferbench.records.measurement import PREFILL

__all__ = ["Unseen", "networks_left_out", "pooled", "pooled_stack", "weights"]

NOISE, RIDGE = 0.15, 0.7
PATHS = (
    ("time.efficiency.memory", ""),
    ("time.efficiency.compute", ""),
    ("time.efficiency.network", ""),
    ("time.launch.default", "s"),
    ("time.launch.collective", "s"),
)


@attrs.frozen(eq=False)
class Unseen:
    """A sample beside the fit on the other networks.

    Attributes:
        sample: Measured.
        error: Logarithm of predicted over measured.
        log_error: Log standard error that the fit without its network would state.
    """

    sample: Sample
    error: float
    log_error: float

    @property
    def covered(self) -> bool:
        """Whether the measurement lies in the 90% interval."""
        return abs(self.error) <= NORMAL * self.log_error


def pooled_stack(
    recipe: Recipe, registry: Registry, labels: Labels | None, progress: Callable[[str], None] | None
) -> FittedStack:
    """Fit the prior of a class, or a stack that is drawn to it.

    Args:
        recipe: Of the kind `class`; without a chip its stack names the class.
        registry: Of plugins.
        labels: Words of the stack's file; None: plain ones.
        progress: Told what is fitted before it is.

    Raises:
        InferBenchError: No such class, or no row of the chips and software.
    """
    if progress is not None:
        progress(recipe.name)
    samples, left = samples_of(recipe.files, registry)
    if not recipe.chip:
        return _class(recipe, registry, labels, samples, left)
    chips = tuple(registry.chip(name.strip()).name for name in recipe.chip.split(","))
    mine = [one for one in samples if one.chip in chips and _of(one, recipe.software)]
    if not mine:
        raise InferBenchError.at(
            "--chip",
            f"no row of {recipe.chip} under this software",
            "name both as the files do",
        )
    found = pooled(mine, samples)
    text = pooled_toml(found, recipe, labels, datetime.date.today().isoformat())
    return _fitted(recipe, registry, text, found.figures, chips[0], left)


def _of(one: Sample, software: Sequence[str]) -> bool:
    """Whether a sample is of the software, and no image."""
    name = one.software.lower()
    return "context" in one.axes and (not software or any(name.startswith(s.lower()) for s in software))


def _class(
    recipe: Recipe,
    registry: Registry,
    labels: Labels | None,
    samples: Sequence[Sample],
    left: Mapping[str, int],
) -> FittedStack:
    found = priors(samples)
    names = [one.name for one in found]
    if recipe.name not in names:
        raise InferBenchError.at(
            "--stack", f"'{recipe.name}' is no class of these files", suggest(recipe.name, names) or names[0]
        )
    prior = found[names.index(recipe.name)]
    tables = [one.table for one in samples if one.chip in prior.chips]
    files = files_of(recipe.files, [f"{name}.csv" for name in tables])
    title = (labels and labels.title) or recipe.name
    text = prior_stack(prior, title, files, recipe.command, datetime.date.today().isoformat())
    return _fitted(recipe, registry, text, prior.figures, prior.chips[0], left)


def _fitted(
    recipe: Recipe, registry: Registry, text: str, figures: Array, chip: str, left: Mapping[str, int]
) -> FittedStack:
    parameters = tuple(
        Parameter(path, float(math.exp(value)), unit)
        for (path, unit), value in zip(PATHS, figures, strict=True)
    )
    stack = stack_of(text, recipe, registry)
    return FittedStack(recipe, registry.chip(chip), text, stack, parameters, dict(left))


def pooled(mine: Sequence[Sample], samples: Sequence[Sample]) -> Pooled:
    """Fit some chips' software, drawn to their class without them.

    Args:
        mine: Of the chips and the software.
        samples: All; those of the chips take no part in the class.
    """
    prior = _without(mine, samples)
    figures = _figures(mine, prior)
    unseen = networks_left_out(mine, prior)
    parts = {
        phase: _part([one for one in mine if one.phase == phase], unseen, phase, prior)
        for phase in PHASES
        if any(one.phase == phase for one in mine)
    }
    errors = [one.error for one in unseen]
    error = _mape(errors) if errors else math.nan
    return Pooled(figures, prior.name, tuple(mine), parts, error, prior.effects[PREFILL].log_error)


def _without(mine: Sequence[Sample], samples: Sequence[Sample]) -> Prior:
    chips = {one.chip for one in mine}
    others = priors([one for one in samples if one.chip not in chips])
    return prior_for(others, mine[0].architecture, mine[0].vendor)


def networks_left_out(mine: Sequence[Sample], prior: Prior) -> list[Unseen]:
    """Return every sample beside the fit on the other networks; none where there is one network alone.

    Args:
        mine: Of one stack.
        prior: That the fit is drawn to.
    """
    networks = sorted({one.network for one in mine})
    if len(networks) < 2:
        return []
    pairs: list[tuple[Sample, float]] = []
    for network in networks:
        figures = _figures([one for one in mine if one.network != network], prior)
        out = [one for one in mine if one.network == network]
        pairs += zip(out, predict(out, figures).tolist(), strict=True)
    return [
        Unseen(one, error, _log_error([p for p in pairs if p[0].network != one.network], one.phase, prior))
        for one, error in pairs
    ]


def _log_error(pairs: Sequence[tuple[Sample, float]], phase: str, prior: Prior) -> float:
    """The mean square of left-out networks with the class's own variance, which weighs as two of them."""
    found: dict[str, list[float]] = {}
    for one, error in pairs:
        if one.phase == phase:
            found.setdefault(one.network, []).append(error**2)
    effects = prior.effects[phase]
    wide = effects.software**2 + effects.within**2
    own = sum(float(np.mean(squares)) for squares in found.values())
    return math.sqrt((own + BORROWED * wide) / (len(found) + BORROWED))


def _figures(mine: Sequence[Sample], prior: Prior) -> Array:
    return drawn(mine, prior.figures, np.sqrt(weights(mine)) / NOISE, RIDGE)


def weights(mine: Sequence[Sample]) -> Array:
    """Weights: 1 for each network, chip and phase, shared alike by versions of the software in it."""
    groups = [(one.network, one.chip, one.phase) for one in mine]
    each = Counter(zip(groups, (one.software for one in mine), strict=True))
    versions = Counter(group for group, _ in each)
    return np.asarray(
        [1.0 / versions[g] / each[g, one.software] for g, one in zip(groups, mine, strict=True)]
    )


def _part(mine: Sequence[Sample], unseen: Sequence[Unseen], phase: str, prior: Prior) -> FitPart:
    out = [one for one in unseen if one.sample.phase == phase]
    logs = np.log([one.measured for one in mine])
    floor = np.log([np.max(one.work[:, :3], axis=1).sum() + one.work[:, 3].sum() for one in mine])
    others = (logs.sum() - logs) / max(len(logs) - 1, 1)
    return FitPart(
        rows=len(mine),
        scored=len(out),
        error=_mape([one.error for one in out]) if out else math.nan,
        constant=_mape(others - logs) if len(mine) > 1 else math.nan,
        roofline=_mape(floor - logs),
        sd=float(np.std([one.error for one in out])) if out else math.nan,
        log_error=_log_error([(one.sample, one.error) for one in out], phase, prior),
        chips=len({one.chip for one in mine}),
        coverage=float(np.mean([one.covered for one in out])) if out else math.nan,
    )


def _mape(logs: Sequence[float] | Array) -> float:
    return 100.0 * float(np.mean(np.abs(np.expm1(logs))))
