"""From walked values to records, by the one cattrs converter of the process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from inferbench.errors import Fault, InferBenchError, blame, complaint, passes
from inferbench.records.facts import Source
from inferbench.records.kernel_tables import is_by_kernel
from inferbench.units import Range

__all__ = ["structure"]


def structure(values: Mapping[str, Any], cls: type, where: str, path: str = "") -> Any:
    """Build the record from walked values; a validator's complaint becomes a fault with its key path.

    The first line of the complaint says what is wrong, the next ones what to do about it.
    """
    from cattrs import ClassValidationError, transform_error

    whose = f"{cls.__module__}: {cls.__qualname__}"
    try:
        return _converter().structure(values, cls)
    except ClassValidationError as error:
        faults = []
        for line in transform_error(error, format_exception=lambda exc, _: complaint(exc, whose)):
            message, _, at = line.rpartition(" @ ")
            found, _, remedy = message.partition("\n")
            key = re.sub(r"\['?([^\]']+)'?\]", r".\1", at.removeprefix("$")).strip(".")
            faults.append(
                Fault(f"{where}: {'.'.join(p for p in (path, key) if p)}".rstrip(": "), found, remedy)
            )
        raise InferBenchError(faults) from None
    except BaseException as error:
        if passes(error):
            raise
        raise blame(whose, error) from error


@cache
def _converter() -> Any:
    from cattrs import Converter

    converter = Converter()
    converter.register_structure_hook(Range, lambda value, _: value)
    converter.register_structure_hook(float | Literal["max"], lambda value, _: value)
    converter.register_structure_hook_func(lambda hint: hint is object, lambda value, _: value)
    converter.register_structure_hook_func(is_by_kernel, lambda value, _: value)
    converter.register_structure_hook(
        Source, lambda value, _: value if isinstance(value, Source) else Source(**value)
    )
    return converter
