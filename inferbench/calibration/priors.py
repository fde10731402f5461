"""Priors of whole classes of chips: what software reaches on a chip that nobody measured.

A class is an architecture, one vendor's chips of it, or all chips. Its prior is a stack with five figures,
the shares of the datasheet's rates that memory, arithmetic and links reach, and two waits, before every
kernel and before every exchange between chips:

    t = sum over operators of max(memory / e_m, arithmetic / e_c, links / e_n) + exposed + waits

The figures minimise squared logs of predicted over measured, every vendor, chip, phase, software and network
weighing the same within the one above, with a normal penalty of one standard deviation of 0.7 in logs around
the figures of the wider class. What is left in the logs is parted into a random effect of the chip, one of
the software (its version) on a chip, and the rest (Searle, Casella, McCulloch 1992, moments of unbalanced
nested groups):

    s^2 = between^2 (1 + 1 / chips) + software^2 + within^2

is the variance of a point of a chip that was not seen. With few chips each variance is a weighted mean of the
class's own and that of all classes, as if two more chips had the latter (moderated variances, Smyth 2004).
The interval is then set by chips left out: s is stretched by the factor that makes nine in ten rows of chips
that took no part lie in their intervals, every chip weighing the same (cross-conformal, Vovk 2015), drawn to
the factor of all classes in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from inferbench.calibration.fitting import least_squares_of_scipy
from inferbench.calibration.samples import PHASES, Sample
from inferbench.num import Array

__all__ = ["Effects", "LeftOut", "Prior", "drawn", "left_out", "predict", "prior_for", "priors"]

ANY = ("", "")
# Logarithms of: shares of the rates of memory, arithmetic, links; seconds before a kernel, an exchange.
START = np.log([0.6, 0.5, 0.5, 3e-6, 1e-5])
LOWEST = np.log([0.02, 0.02, 0.02, 1e-8, 1e-8])
HIGHEST = np.log([1.0, 1.0, 1.0, 1e-3, 1e-2])
RIDGE, NOISE = 0.7, 0.5
# Chips of one vendor that make a class of their own; chips that the variance of all classes counts for.
ENOUGH, BORROWED = 4, 2
LEVEL, NORMAL = 0.9, 1.6448536269514722
LEAST = 0.01
"""The most that intervals shrink where errors are small: chips that agree say little of the next."""


@attrs.frozen
class Effects:
    """What is left of the logs of predicted over measured, parted.

    Attributes:
        rows, chips: How many were seen.
        between, software, within: Standard deviations of the three effects.
        stretch: Factor on the standard error that chips left out ask for.
    """

    rows: int
    chips: int
    between: float
    software: float
    within: float
    stretch: float = 1.0

    @property
    def log_error(self) -> float:
        """Log standard error of a point of an unseen chip.

        Example:
            >>> round(Effects(100, 10, 0.3, 0.1, 0.2).log_error, 3)
            0.386
        """
        chips = max(self.chips, 1)
        sd = math.sqrt(self.between**2 * (1.0 + 1.0 / chips) + self.software**2 + self.within**2)
        return sd * self.stretch


@attrs.frozen(eq=False)
class Prior:
    """A class of chips and what software reaches on them.

    Attributes:
        architecture, vendor: Of the class; empty for all.
        figures: Logarithms of the shares of memory's, arithmetic's and links' rates, and of the seconds
            before a kernel and before an exchange.
        effects: By phase.
        chips: Seen.
    """

    architecture: str
    vendor: str
    figures: Array
    effects: Mapping[str, Effects]
    chips: tuple[str, ...]

    @property
    def name(self) -> str:
        """How its stack is called."""
        parts = ("class", self.architecture or "any", self.vendor.lower())
        return "-".join(part for part in parts if part)


@attrs.frozen(eq=False)
class LeftOut:
    """A sample beside the prior that was fitted without its chip."""

    sample: Sample
    prior: str
    error: float
    log_error: float

    @property
    def covered(self) -> bool:
        """Whether the measurement lies in the 90% interval."""
        return abs(self.error) <= NORMAL * self.log_error


def priors(samples: Sequence[Sample]) -> list[Prior]:
    """Fit the priors of all classes, their intervals set by chips left out.

    Args:
        samples: Of two chips at least.

    Returns:
        All chips, each architecture, each vendor with four chips of one; from wide to narrow.
    """
    asked = _stretches(list(_unseen(samples, _classes)))
    return [_stretched(prior, asked.get(prior.name, asked[""])) for prior in _classes(samples)]


def left_out(samples: Sequence[Sample]) -> Iterator[LeftOut]:
    """Yield every sample beside the prior that its chip would get if nobody had measured the chip.

    Args:
        samples: Of three chips at least.
    """
    yield from _unseen(samples, priors)


def _unseen(
    samples: Sequence[Sample], fitted: Callable[[Sequence[Sample]], list[Prior]]
) -> Iterator[LeftOut]:
    for chip in sorted({one.chip for one in samples}):
        mine = [one for one in samples if one.chip == chip]
        others = fitted([one for one in samples if one.chip != chip])
        prior = prior_for(others, mine[0].architecture, mine[0].vendor)
        for one, error in zip(mine, predict(mine, prior.figures), strict=True):
            yield LeftOut(one, prior.name, float(error), prior.effects[one.phase].log_error)


def _stretched(prior: Prior, factor: float) -> Prior:
    effects = {phase: attrs.evolve(one, stretch=factor) for phase, one in prior.effects.items()}
    return attrs.evolve(prior, effects=effects)


def _stretches(missed: Sequence[LeftOut]) -> dict[str, float]:
    """Factor on the standard errors per class, and under an empty name that of all classes."""
    whole = _quantile(missed)
    found = {"": whole}
    for name in sorted({one.prior for one in missed}):
        own = [one for one in missed if one.prior == name]
        chips = len({one.sample.chip for one in own})
        logs = chips * math.log(_quantile(own)) + BORROWED * math.log(whole)
        found[name] = math.exp(logs / (chips + BORROWED))
    return found


def _quantile(missed: Sequence[LeftOut]) -> float:
    """The 90% quantile of errors over half intervals, every chip weighing the same."""
    chips = [one.sample.chip for one in missed]
    # Where chips agree to the last bit there is nothing to stretch.
    size = np.asarray(
        [abs(one.error) / (NORMAL * one.log_error) if one.log_error > 0.0 else 1.0 for one in missed]
    )
    weight = np.asarray([1.0 / chips.count(chip) for chip in chips])
    order = np.argsort(size)
    reached = np.cumsum(weight[order]) / weight.sum()
    return max(float(size[order][min(int(np.searchsorted(reached, LEVEL)), len(size) - 1)]), LEAST)


def _classes(samples: Sequence[Sample]) -> list[Prior]:
    """The classes and their figures, intervals as the effects alone say."""
    pooled = _figures(samples, START)
    groups = {name: [one for one in samples if one.architecture == name] for name in _sorted(samples)}
    figures = {name: _figures(mine, pooled) for name, mine in groups.items()}
    variances = _pooled(groups, figures)
    found = [_prior(ANY, samples, pooled, variances)]
    for name, mine in groups.items():
        found.append(_prior((name, ""), mine, figures[name], variances))
        for vendor in sorted({one.vendor for one in mine}):
            own = [one for one in mine if one.vendor == vendor]
            if len({one.chip for one in own}) >= ENOUGH:
                found.append(_prior((name, vendor), own, _figures(own, figures[name]), variances))
    return found


def _sorted(samples: Sequence[Sample]) -> list[str]:
    return sorted({one.architecture for one in samples})


def _prior(
    of: tuple[str, str], samples: Sequence[Sample], figures: Array, variances: Mapping[str, Effects]
) -> Prior:
    errors = predict(samples, figures)
    effects = {phase: _effects(samples, errors, phase, variances) for phase in PHASES}
    return Prior(*of, figures, effects, tuple(sorted({one.chip for one in samples})))


def predict(samples: Sequence[Sample], figures: Array) -> Array:
    """Return the logs of predicted over measured.

    Args:
        samples: Measured.
        figures: Logarithms of the shares of memory's, arithmetic's and links' rates, and of the seconds
            before a kernel and before an exchange.
    """
    return _errors(samples)(figures)


def _errors(samples: Sequence[Sample]) -> Callable[[Array], Array]:
    work = np.concatenate([one.work for one in samples])
    starts = np.cumsum([0, *(len(one.work) for one in samples[:-1])])
    measured = np.log([one.measured for one in samples])

    def errors(figures: Array) -> Array:
        memory, compute, network, kernel, collective = np.exp(figures)
        busy = np.maximum(np.maximum(work[:, 0] / memory, work[:, 1] / compute), work[:, 2] / network)
        seconds = busy + work[:, 3] + kernel * work[:, 4] + collective * work[:, 5]
        found: Array = np.log(np.add.reduceat(seconds, starts)) - measured
        return found

    return errors


def _figures(samples: Sequence[Sample], centre: Array) -> Array:
    """The figures of a class, drawn to those of the wider one where rows say little."""
    return drawn(samples, centre, np.sqrt(_weights(samples)) / NOISE, RIDGE)


def drawn(samples: Sequence[Sample], centre: Array, weight: Array, ridge: float) -> Array:
    """Return the figures of least squares, drawn to others.

    Args:
        samples: Measured.
        centre: Logarithms of the figures that they are drawn to.
        weight: Of each sample's error in logs: one over its standard error.
        ridge: Standard deviation of the figures around the centre.
    """
    errors = _errors(samples)

    def residuals(figures: Array) -> Array:
        return np.concatenate([errors(figures) * weight, (figures - centre) / ridge])

    start = np.clip(centre, LOWEST + 1e-6, HIGHEST - 1e-6)
    found: Array = least_squares_of_scipy()(residuals, start, bounds=(LOWEST, HIGHEST)).x
    return found


LEVELS: tuple[Callable[[Sample], str], ...] = (
    lambda one: one.vendor,
    lambda one: one.chip,
    lambda one: one.phase,
    lambda one: one.software,
    lambda one: one.network,
)


def _weights(samples: Sequence[Sample]) -> Array:
    """Weights that make every group weigh the same within the one above; a chip of a lone vendor has 1."""
    weights = np.empty(len(samples))
    chips = len({one.chip for one in samples})
    vendors = len({one.vendor for one in samples})

    def share(indices: list[int], level: int, whole: float) -> None:
        if level == len(LEVELS):
            weights[indices] = whole / len(indices)
            return
        groups: dict[str, list[int]] = {}
        for i in indices:
            groups.setdefault(LEVELS[level](samples[i]), []).append(i)
        for group in groups.values():
            share(group, level + 1, whole / len(groups))

    share(list(range(len(samples))), 0, float(math.sqrt(chips * vendors)))
    return weights


def _pooled(groups: Mapping[str, Sequence[Sample]], figures: Mapping[str, Array]) -> dict[str, Effects]:
    """Variances of all classes together: between chips of one architecture, software, within."""
    samples = [one for mine in groups.values() for one in mine]
    errors = np.concatenate([predict(mine, figures[name]) for name, mine in groups.items()])
    return {phase: _moments(samples, errors, phase) for phase in PHASES}


def _effects(samples: Sequence[Sample], errors: Array, phase: str, common: Mapping[str, Effects]) -> Effects:
    """The class's own effects, moderated by those of all classes."""
    own, wide = _moments(samples, errors, phase), common[phase]
    weight = max(own.chips - 1, 0)

    def moderated(mine: float, theirs: float) -> float:
        mine = theirs if math.isnan(mine) else mine
        return math.sqrt((weight * mine**2 + BORROWED * theirs**2) / (weight + BORROWED))

    return Effects(
        own.rows,
        own.chips,
        moderated(own.between, wide.between),
        moderated(own.software, wide.software),
        moderated(own.within, wide.within),
    )


def _moments(samples: Sequence[Sample], errors: Array, phase: str) -> Effects:
    """Standard deviations by the method of moments, every chip weighing the same."""
    chips: dict[str, dict[str, list[float]]] = {}
    for one, error in zip(samples, errors, strict=True):
        if one.phase == phase:
            chips.setdefault(one.chip, {}).setdefault(one.software, []).append(float(error))
    rows = sum(len(group) for groups in chips.values() for group in groups.values())
    repeated = [
        float(np.mean([np.var(group, ddof=1) for group in groups.values() if len(group) > 1]))
        for groups in chips.values()
        if any(len(group) > 1 for group in groups.values())
    ]
    within = float(np.mean(repeated)) if repeated else math.nan
    noise = 0.0 if math.isnan(within) else within
    several = [
        float(np.var([np.mean(group) for group in groups.values()], ddof=1))
        - noise * float(np.mean([1.0 / len(group) for group in groups.values()]))
        for groups in chips.values()
        if len(groups) > 1
    ]
    software = max(float(np.mean(several)), 0.0) if several else math.nan
    states = 0.0 if math.isnan(software) else software
    means = [float(np.mean([np.mean(group) for group in groups.values()])) for groups in chips.values()]
    own = [
        states / len(groups) + noise * float(np.mean([1.0 / len(g) for g in groups.values()])) / len(groups)
        for groups in chips.values()
    ]
    # Around zero: the figures were fitted to have no error in the mean; a shift of one phase is an error.
    between = float(np.mean(np.square(means)) - np.mean(own)) if means else math.nan
    between = between * len(means) / max(len(means) - 1, 1) if means else math.nan
    return Effects(
        rows,
        len(chips),
        math.nan if len(means) < 2 else math.sqrt(max(between, 0.0)),
        math.sqrt(software),
        math.sqrt(within),
    )


def prior_for(found: Sequence[Prior], architecture: str, vendor: str) -> Prior:
    """Return the narrowest class that a chip belongs to."""
    fitting = [one for one in found if one.architecture in ("", architecture) and one.vendor in ("", vendor)]
    return max(fitting, key=lambda one: (bool(one.vendor), bool(one.architecture)))
