"""Fits that several tests look at are made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from inferbench.calibration import shipped
from inferbench.calibration.fits import FittedStack, fit_recipe
from inferbench.calibration.recipe import Recipe
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


@pytest.fixture(autouse=True)
def shared(fit_once: Callable[..., FittedStack], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what refits shipped stacks take the fits that other tests made."""
    monkeypatch.setattr(shipped, "fit_recipe", fit_once)
