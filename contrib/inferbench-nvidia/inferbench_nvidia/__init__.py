"""NVIDIA's NVLink domains and power limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import inferbench as ib

__all__ = ["LINKS", "inferbench_chips", "nvlink"]

# Links of a GPU and bytes per second of one of them in one direction, by generation: NVIDIA's white papers of
# Volta, Ampere, Hopper and Blackwell.
LINKS = {2: (6, 25e9), 3: (12, 25e9), 4: (18, 25e9), 5: (18, 50e9)}


def nvlink(generation: int, gpus: int) -> ib.Link:
    """The link of a domain of GPUs behind NVSwitches.

    Args:
        generation: Of NVLink, 2 to 5.
        gpus: Of the domain.

    Raises:
        InferBenchError: An unknown generation.

    Example:
        >>> nvlink(5, 72).bandwidth
        900000000000.0
    """
    if generation not in LINKS:
        known = ", ".join(map(str, LINKS))
        raise ib.InferBenchError.at(f"NVLink {generation}", "no such generation", f"known are {known}")
    links, each = LINKS[generation]
    return ib.Link("switch", bandwidth=links * each, size=gpus, reduction=generation >= 4)


class _File:
    """A spec that is computed: what a hook's folder holds has a name and bytes."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = f"{name}.toml", text

    def read_bytes(self) -> bytes:
        """The spec."""
        return self.text.encode()


class _Folder:
    """A folder of computed specs."""

    def __init__(self, specs: Mapping[str, str]) -> None:
        self.specs = specs

    def iterdir(self) -> Iterator[_File]:
        """Every spec."""
        return (_File(name, text) for name, text in self.specs.items())

    def joinpath(self, name: str) -> _File:
        """One of them."""
        return _File(name.removesuffix(".toml"), self.specs[name.removesuffix(".toml")])


def _with(chip: str, *changes: tuple[str, str]) -> str:
    """The text of a chip of inferbench-specs with other lines; each must stand in it."""
    text = (files("inferbench_specs") / "chips" / f"{chip}.toml").read_text("utf-8")
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{chip}.toml has no line {old!r} any more")
        text = text.replace(old, new, 1)
    return text


@ib.hookimpl
def inferbench_chips() -> Iterator[Any]:
    """Yield a smaller domain, and a lower limit of power."""
    nvl36 = _with(
        "gb200",
        ("size = { is = 72", "size = { is = 36"),
    )
    maxq = _with("h200", ('tdp = "700 W"', 'tdp = "500 W"'))
    yield _Folder(
        {
            "gb200-nvl36": _titled(nvl36, "NVL36"),
            "h200-500w": _titled(maxq, "500 W"),
        }
    )


def _titled(text: str, more: str) -> str:
    """Say in the title what is different."""
    head, _, rest = text.partition("\n")
    return f'{head[:-1]}, {more}"\n{rest}'
