"""Defaults that a `config.json` leaves out, from the library `transformers` where it is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

__all__ = ["completed"]

_QUIET = {"TRANSFORMERS_VERBOSITY": "error", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}


def completed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a config with the defaults of its class in `transformers`; as it is where that is missing.

    Install the extra `hf` for it; PyTorch is not needed. What the file says wins, null included. A config
    that its class refuses is returned as it is, so that the reader says what is wrong with it.

    Args:
        config: A text config, with `model_type`.
    """
    kind = str(config.get("model_type", ""))
    found = _class(kind) if kind and find_spec("transformers") else None
    if found is None:
        return config
    given = {key: value for key, value in config.items() if key not in ("model_type", "quantization_config")}
    try:
        full = found(**given).to_dict()
    except Exception:  # any complaint of a foreign class: our own reader explains the file
        return config
    return {**{key: value for key, value in full.items() if value is not None}, **config}


@cache
def _class(kind: str) -> Any:
    """Return the config class of a model type; None where there is none."""
    with _quiet():
        from transformers.models.auto.configuration_auto import (  # type: ignore[import-not-found, unused-ignore]
            CONFIG_MAPPING,
        )

        return CONFIG_MAPPING[kind] if kind in CONFIG_MAPPING else None  # noqa: SIM401, it is no dict


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's advice about PyTorch and its doubts about a file off the screen."""
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
