"""Number formats, and precision as an axis: storage and compute for weights, activations and KV cache."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from inferbench.errors import InferBenchError, suggest
from inferbench.num import Array
from inferbench.records.immutable import frozen

__all__ = ["FORMATS", "WIDER", "Precision", "PrecisionName", "stored"]

# Stored bytes per element. Block-scaled formats carry scales, one of 8 bits per 32 or 16 elements. Groups
# of integers (int4g128) carry one of 16 bits and a zero point of 4 bits, groups of 32 no zero point.
FORMATS: Mapping[str, float] = {
    "fp64": 8.0,
    "fp32": 4.0,
    "tf32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp6": 0.75,
    "fp4": 0.5,
    "int4": 0.5,
    "mxfp8": 1.0 + 1 / 32,
    "mxfp4": 0.5 + 1 / 32,
    "nvfp4": 0.5 + 1 / 16,
    "int4g32": 0.5 + 2 / 32,
    "int4g64": 0.5 + 2.5 / 64,
    "int4g128": 0.5 + 2.5 / 128,
}

# In which formats a chip may compute what it stores in another, the first it has being taken.
WIDER: Mapping[str, tuple[str, ...]] = {
    "fp64": ("fp64",),
    "fp32": ("fp32", "fp64"),
    "tf32": ("tf32", "fp32"),
    "bf16": ("bf16", "fp16", "tf32", "fp32"),
    "fp16": ("fp16", "bf16", "tf32", "fp32"),
    "fp8": ("fp8", "bf16", "fp16", "tf32", "fp32"),
    "int8": ("int8", "bf16", "fp16", "tf32", "fp32"),
    "fp6": ("fp6", "fp8", "bf16", "fp16"),
    "fp4": ("fp4", "fp6", "fp8", "bf16", "fp16"),
    "int4": ("int4", "int8", "bf16", "fp16"),
    "mxfp8": ("fp8", "bf16", "fp16"),
    "mxfp4": ("fp4", "fp6", "fp8", "bf16", "fp16"),
    "nvfp4": ("fp4", "fp6", "fp8", "bf16", "fp16"),
    "int4g32": ("int4", "int8", "bf16", "fp16"),
    "int4g64": ("int4", "int8", "bf16", "fp16"),
    "int4g128": ("int4", "int8", "bf16", "fp16"),
}

# Mixed files of quantised weights (GGUF) have a mean width of their own: `q4.89`, bits per element.
_MEAN = re.compile(r"q(\d{1,2}(?:\.\d{1,3})?)")


def stored(name: str) -> float:
    """Bytes per stored element of a format; NaN where it is none.

    Example:
        >>> stored("fp8"), stored("q4.5"), stored("magic")
        (1.0, 0.5625, nan)
    """
    mean = _MEAN.fullmatch(name)
    return float(mean[1]) / 8.0 if mean and 1.0 <= float(mean[1]) <= 32.0 else FORMATS.get(name, math.nan)


_BITS = {"4": "int4", "8": "int8", "16": "bf16"}
_PAIR = re.compile(r"^w(4|8|16)a(8|16)(?:kv(8|16))?$")
_APART = re.compile(
    r"^(?:w(?P<weights>q[0-9.]+|[a-z0-9]+?)a(?P<activations>[a-z0-9]+?)|(?P<all>[a-z0-9]+?))"
    r"(?:kv(?P<kv>q[0-9.]+|[a-z0-9]+))?$"
)
_FLOATS = {"8": "fp8", "16": "bf16"}


@frozen(cache_hash=True)
class PrecisionName:
    """One precision: what weights, activations and KV cache are stored in, and what products are computed in.

    A bare format name (`fp8`) means all three in that format; `w4a16` stores weights in 4 bits and keeps
    activations and KV cache in bf16, computing in bf16; `kv8` may be appended. Any formats may stand there:
    `wint4g128a16`, `nvfp4kv8` (an fp8 cache) or `fp8kv16`; products are computed in that of activations.
    `wq4.89a16` has weights of 4.89 bits in the mean, as mixed files have.

    Example:
        >>> PrecisionName.parse("w4a16").kv, PrecisionName.parse("nvfp4kv8").kv
        ('bf16', 'fp8')
    """

    name: str
    weights: str
    activations: str
    kv: str
    compute: str

    @classmethod
    def parse(cls, name: str) -> PrecisionName:
        """Read `bf16`, `fp8`, `w8a16`, `w4a16kv8`, …; an unknown name raises with the closest spelling."""
        if name in FORMATS:
            return cls(name, name, name, name, name)
        if match := _PAIR.match(name):
            weights, activations, kv = (_BITS[bits] for bits in (match[1], match[2], match[3] or match[2]))
            return cls(name, weights, activations, kv, activations)
        if each := cls._of_each(name):
            return each
        raise InferBenchError.of_argument(
            "precision",
            f"unknown precision '{name}'",
            suggest(name, FORMATS, models=False)
            or f"known are {', '.join(FORMATS)}, and pairs like w8a16, w4a16, w4a16kv8, fp8kv16",
        )

    @property
    def kernel_format(self) -> str:
        """Formats of weights and activations, as kernels of experts with a format of their own are called.

        Example:
            >>> attrs.evolve(PrecisionName.parse("bf16"), weights="mxfp4").kernel_format
            'wmxfp4a16'
        """
        words = {word: bits for bits, word in _FLOATS.items()}
        return f"w{words.get(self.weights, self.weights)}a{words.get(self.activations, self.activations)}"

    @classmethod
    def _of_each(cls, name: str) -> PrecisionName | None:
        """Read formats of weights, activations and cache that are named one by one."""
        found = _APART.match(name)
        if found is None:
            return None
        words = (found["weights"] or found["all"], found["activations"] or found["all"])
        weights, activations, kv = (_FLOATS.get(word, word) for word in (*words, found["kv"] or words[1]))
        if activations not in FORMATS or math.isnan(stored(weights) + stored(kv)):
            return None
        return cls(name, weights, activations, kv, activations)


@frozen(eq=False)
class Precision:
    """The precision axis as a struct of arrays, each shaped to its own dimension of the grid.

    Attributes:
        points: The precisions along the axis.
        weights, activations, kv: Bytes per stored element.
    """

    points: tuple[PrecisionName, ...]
    weights: Array
    activations: Array
    kv: Array

    @classmethod
    def of(cls, names: Sequence[str], shape: tuple[int, ...] = (-1,)) -> Precision:
        """Build from names; `shape` has one -1 where the axis lies.

        Example:
            >>> Precision.of(["bf16", "w4a16"]).weights
            array([2. , 0.5])
        """
        points = tuple(PrecisionName.parse(name) for name in names)
        columns = (
            np.array([stored(getattr(point, role)) for point in points], dtype=np.float64).reshape(shape)
            for role in ("weights", "activations", "kv")
        )
        return cls(points, *columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names along the axis."""
        return tuple(point.name for point in self.points)

    def with_weights(self, name: str, weights: str) -> Precision:
        """Return the axis with weights in another format at the points that are called `name`.

        Where that format is the wider one, activations and products are in it too.

        Example:
            >>> Precision.of(["fp8", "bf16"]).with_weights("fp8", "mxfp4").weights
            array([0.53125, 2.     ])
        """
        points = []
        for point in self.points:
            if point.name == name:
                wide = stored(weights) > stored(point.activations)
                used = {"activations": weights, "compute": weights} if wide else {}
                point = attrs.evolve(point, weights=weights, **used)
            points.append(point)
        columns = [
            self.along_axis([stored(getattr(point, role)) for point in points])
            for role in ("weights", "activations", "kv")
        ]
        return Precision(tuple(points), *columns)

    def along_axis(self, values: Sequence[float]) -> Array:
        """Shape one value per precision like the axis itself."""
        return np.array(values, dtype=np.float64).reshape(self.weights.shape)
