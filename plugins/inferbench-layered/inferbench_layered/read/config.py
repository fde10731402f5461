"""`Config`: values of a `config.json` by the words of a family, every fault with the key that the file
spells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import attrs

import inferbench as ib

__all__ = ["Config", "counted"]

_COMPLETE = "take the complete config.json that the network was published with"


@attrs.frozen
class Config:
    """A config, or a table nested in it.

    Attributes:
        values: What the file says.
        where: How messages call it; the core puts the file's path in place of `config.json`.

    Example:
        >>> Config({"n_layer": 12}).count("num_hidden_layers", "n_layer")
        12.0
    """

    values: Mapping[str, Any]
    where: str = "config.json"

    def refuse(self, key: str, found: str, remedy: str = _COMPLETE) -> NoReturn:
        """Raise, naming the key.

        Raises:
            InferBenchError: Always.
        """
        raise ib.InferBenchError.at(f"{self.where}: {key}", found, remedy)

    def has(self, key: str) -> bool:
        """Say whether the file gives a value that is not null."""
        return self.values.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        """Return a word."""
        value = self.values.get(key)
        return default if value is None else str(value)

    def count(self, *keys: str, default: float | None = None, least: float = 1.0) -> float:
        """Return a whole number under the first of some spellings that the file has.

        Raises:
            InferBenchError: None of them is there and there is no default; or no whole number of at least
                `least`.
        """
        for key in keys:
            value = self.values.get(key)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 or value < least:
                self.refuse(key, f"{value!r} is not a whole number of at least {least:g}")
            return float(value)
        if default is None:
            self.refuse(keys[0], f"missing; model type '{self.text('model_type')}' needs it")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false.

        Raises:
            InferBenchError: Neither.
        """
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(key, f"{value!r} is not true or false")
        return value

    def table(self, key: str) -> Config:
        """Return a nested table; an empty one where there is none.

        Raises:
            InferBenchError: No table stands there.
        """
        value = self.values.get(key)
        if value is None:
            return Config({}, f"{self.where}: {key}")
        if not isinstance(value, Mapping):
            self.refuse(key, f"{value!r} is not a table")
        return Config(value, f"{self.where}: {key}")

    def kinds(self, key: str, layers: float, known: Mapping[Any, str]) -> list[str] | None:
        """Return a list with one entry per layer, in our words; None where there is none.

        Args:
            key: Of the list.
            layers: Entries that it must have; 0: any number.
            known: What the file writes, to our word.

        Raises:
            InferBenchError: No list, another length, or an entry that is not known, with its place.
        """
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Sequence) or (isinstance(value, str) and not value):
            self.refuse(key, f"{value!r} is not a list of the kinds of layers")
        if layers and len(value) != layers:
            self.refuse(
                key,
                f"{len(value)} entries; one for each of the {layers:g} layers was expected",
                "correct the list or num_hidden_layers: they contradict each other",
            )
        for place, entry in enumerate(value):
            if isinstance(entry, bool | Mapping | list) or entry not in known:
                self.refuse(
                    key,
                    f"{entry!r} (layer {place}) can't be represented; "
                    f"{', '.join(str(word) for word in known)} can",
                    "leave it to another tool, or ask for this kind of layer",
                )
        return [known[entry] for entry in value]

    def only(self, allowed: Mapping[str, Iterable[Any]]) -> None:
        """Refuse values that would change the graph in a way that can't be represented.

        Args:
            allowed: Key to the values that can; null always can.

        Raises:
            InferBenchError: Another value, with its key.
        """
        for key, values in allowed.items():
            value = self.values.get(key)
            if value is not None and value not in list(values):
                self.refuse(
                    key,
                    f"{value!r} can't be represented; {' or '.join(repr(one) for one in values)} can",
                    "leave it to another tool, or ask for it",
                )


def counted(*lists: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Count how many layers have each combination of kinds, in the order in which they first appear.

    Example:
        >>> counted(["full", "local", "local"], ["dense", "dense", "experts"])
        {('full', 'dense'): 1.0, ('local', 'dense'): 1.0, ('local', 'experts'): 1.0}
    """
    found: dict[tuple[str, ...], float] = {}
    for combination in zip(*lists, strict=True):
        found[combination] = found.get(combination, 0.0) + 1.0
    return found
