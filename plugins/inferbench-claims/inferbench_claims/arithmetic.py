"""Arithmetic written in data files: parsed, walked, never executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from inferbench import InferBenchError
from inferbench.plugin import suggest

__all__ = ["FUNCTIONS", "Name", "calculate", "roots_in"]

LONGEST = 1000
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "ceil": lambda x: float(math.ceil(x)),
    "log2": math.log2,
}
_BINARY: Mapping[type, Callable[[float, float], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@attrs.frozen
class Name:
    """A dotted name, its first part perhaps with numbers in parentheses: `decode(batch=8).useful`.

    Attributes:
        path: The parts.
        at: The numbers.
    """

    path: tuple[str, ...]
    at: Mapping[str, float] = attrs.field(factory=dict)

    def __str__(self) -> str:
        at = ", ".join(f"{key}={value:g}" for key, value in self.at.items())
        return ".".join((self.path[0] + (f"({at})" if at else ""), *self.path[1:]))


def calculate(text: str, look_up: Callable[[Name], float], where: str) -> float:
    """Compute numbers, `+ - * / **`, parentheses, `min max ceil log2` and names; float64.

    Args:
        text: The expression.
        look_up: Value of a name; raises `InferBenchError` itself for one it doesn't know.
        where: File and key, for messages.

    Raises:
        InferBenchError: Anything else in it, a division by zero, a result that is not finite.

    Example:
        >>> calculate("2 * max(a.b, 3) ** 2", lambda name: 4.0, "mine.toml: A1")
        32.0
    """
    walker = _Walker(where, look_up)
    tree = walker.parse(text)
    try:
        result = walker.value(tree)
    except ZeroDivisionError:
        raise walker.wrong(f"'{text}' divides by zero") from None
    except OverflowError:
        raise walker.wrong(f"'{text}' is no finite number") from None
    except (ValueError, RecursionError) as error:
        raise walker.wrong(f"'{text}' can't be computed: {error}") from None
    if isinstance(result, complex) or not math.isfinite(result):
        raise walker.wrong(f"'{text}' is no finite number")
    return float(result)


def roots_in(text: str, where: str) -> set[str]:
    """Name the first parts of all names an expression reads; nothing is looked up.

    Example:
        >>> sorted(roots_in("ceil(run(batch=8).useful / chip.b200.peak.fp8)", ""))
        ['chip', 'run']
    """
    tree = _Walker(where, lambda name: 0.0).parse(text)
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(FUNCTIONS)


class _Walker:
    """Knows where the expression stands, for messages."""

    def __init__(self, where: str, look_up: Callable[[Name], float]) -> None:
        self.where, self.look_up = where, look_up

    def wrong(self, found: str, remedy: str = "") -> InferBenchError:
        """Build the error."""
        return InferBenchError.at(self.where, found, remedy)

    def parse(self, text: str) -> ast.expr:
        """Parse one expression."""
        if len(text) > LONGEST:
            raise self.wrong(
                f"the expression has {len(text)} characters; at most {LONGEST} were expected", "split it"
            )
        try:
            return ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self.wrong(
                f"'{text}' is not an expression", "write arithmetic like 2 * params.llama3_8b"
            ) from None

    def value(self, node: ast.expr) -> float:
        """Compute a node."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return float(_real(_BINARY[type(node.op)](self.value(node.left), self.value(node.right))))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self.value(node.operand)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self.function(node, node.func.id)
        if isinstance(node, ast.Name | ast.Attribute):
            return self.look_up(self.name(node))
        raise self.refuse(node)

    def function(self, node: ast.Call, name: str) -> float:
        """Compute `min(a, b)`."""
        if name not in FUNCTIONS:
            raise self.wrong(
                f"unknown function '{name}'", suggest(name, FUNCTIONS) or f"known: {', '.join(FUNCTIONS)}"
            )
        try:
            return float(FUNCTIONS[name](*(self.value(argument) for argument in node.args)))
        except TypeError:
            raise self.wrong(f"{name} can't take {len(node.args)} numbers") from None

    def name(self, node: ast.expr) -> Name:
        """Read `a(x=1).b.c`."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        at: dict[str, float] = {}
        if isinstance(node, ast.Call) and not node.args:
            at = {str(keyword.arg): self.value(keyword.value) for keyword in node.keywords if keyword.arg}
            node = node.func
        if not isinstance(node, ast.Name):
            raise self.refuse(node)
        return Name((node.id, *reversed(parts)), at)

    def refuse(self, node: ast.expr) -> InferBenchError:
        """Say what is not arithmetic."""
        return self.wrong(
            f"'{ast.unparse(node)}' is not allowed",
            "numbers, names, + - * / **, parentheses, min, max, ceil and log2 are",
        )


def _real(value: Any) -> Any:
    if isinstance(value, complex):
        raise ValueError("the root of a negative number")
    return value
