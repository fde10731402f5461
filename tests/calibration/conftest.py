"""Fits that several tests look at are made once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from inferbench.calibration import pooled, shipped
from inferbench.calibration.fits import FittedStack, fit_recipe
from inferbench.calibration.priors import Prior, priors
from inferbench.calibration.published_times import samples_of
from inferbench.calibration.recipe import Recipe
from inferbench.calibration.samples import Sample
from inferbench.discovery.registry import Registry, installed


@pytest.fixture(scope="session")
def fit_once() -> Callable[..., FittedStack]:
    """Fit a recipe with the installed plugins, once per recipe and content of its tables."""
    made: dict[tuple[str, tuple[str, ...]], FittedStack] = {}

    def fit(recipe: Recipe, registry: Registry, **options: Any) -> FittedStack:
        if registry is not installed():
            return fit_recipe(recipe, registry, **options)
        tables = tuple(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in recipe.files)
        names = tuple(Path(file).name for file in recipe.files)
        key = (repr(attrs.evolve(recipe, files=names)), tables)
        if key not in made:
            made[key] = fit_recipe(recipe, registry, **options)
        return made[key]

    return fit


@pytest.fixture(scope="session")
def samples_once() -> Callable[..., tuple[list[Sample], Counter[str]]]:
    """Read the samples of tables with the installed plugins, once per content of the tables."""
    made: dict[tuple[object, ...], tuple[list[Sample], Counter[str]]] = {}

    def read(files: Sequence[str], registry: Registry, every: int = 1) -> tuple[list[Sample], Counter[str]]:
        if registry is not installed():
            return samples_of(files, registry, every)
        key = (every, *((Path(file).name, Path(file).read_bytes()) for file in files))
        if key not in made:
            made[key] = samples_of(files, registry, every)
        return made[key]

    return read


@pytest.fixture(scope="session")
def priors_once() -> Callable[[Sequence[Sample]], list[Prior]]:
    """Fit the priors of all classes once per samples; the samples stay, so that their place names them."""
    made: dict[tuple[int, ...], tuple[list[Sample], list[Prior]]] = {}

    def fit(samples: Sequence[Sample]) -> list[Prior]:
        key = tuple(map(id, samples))
        if key not in made:
            made[key] = list(samples), priors(samples)
        return made[key][1]

    return fit


@pytest.fixture(autouse=True)
def shared(
    fit_once: Callable[..., FittedStack],
    samples_once: Callable[..., Any],
    priors_once: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let what refits shipped stacks take what other tests read and fitted."""
    monkeypatch.setattr(shipped, "fit_recipe", fit_once)
    monkeypatch.setattr(pooled, "samples_of", samples_once)
    monkeypatch.setattr(pooled, "priors", priors_once)
