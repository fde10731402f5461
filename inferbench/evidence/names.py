"""Names as sources write them: case, vendor, size of memory, tuning and format of a checkpoint aside."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from inferbench.discovery.registry import Registry
from inferbench.errors import InferBenchError
from inferbench.records.chip import Chip
from inferbench.records.network import Network

__all__ = ["Checkpoint", "checkpoint", "chip_of", "network_of"]

# What a checkpoint's name says beside the network: how it was tuned, and who packed it.
TUNED = (
    "instruct|chat|it|base|hf|thinking|dynamic|kv|v0\\.[1-9]|preview|versatile|instant|turbo|ungated|gguf|"
    "quantized|quant|model|unsloth|g128|group128|gemm|marlin"
)
# How weights are stored, as checkpoints say it; groups of 128 where nothing else is said.
FORMATS: Mapping[str, str] = {
    "nvfp4": "nvfp4kv16",
    "mxfp4": "wmxfp4a16",
    "fp4": "nvfp4kv16",
    "fp8": "fp8kv16",
    "w8a8": "int8kv16",
    "int8": "w8a16",
    "w8a16": "w8a16",
    "w4a16": "wint4g128a16",
    "int4": "wint4g128a16",
    "awq": "wint4g128a16",
    "gptq": "wint4g128a16",
    "4bit": "wint4g128a16",
    "8bit": "w8a16",
    "bf16": "bf16",
    "fp16": "fp16",
}
_FORMAT = re.compile(rf"(?:^|[-_. ])({'|'.join(FORMATS)})(?=$|[-_. ])")
_TUNED = re.compile(rf"(?:^|[-_. ])(?:{TUNED})(?=$|[-_. ])")
_MEMORY = re.compile(r"(\d+)\s*gi?b")
_BOARD = re.compile(r"\b(?:sxm\d?|hbm\d?e?|oam|nvl\d*|module)\b")
_MAKER = re.compile(
    r"^(?:nvidia|amd|intel\(?r?\)?|google|aws|amazon|habana|tesla|geforce|radeon|instinct|cloud)[ _-]+"
)
# How far a memory that a name says may be from the chip's: GB and GiB, and what drivers keep.
NEAR = 0.16


@attrs.frozen
class Checkpoint:
    """A checkpoint's name taken apart.

    Attributes:
        network: What is left: the network, in small letters without signs.
        precision: Format that the name says, in our words; empty where it says none.
        published: Whether it is written like a published checkpoint (`Qwen/Qwen3-8B`).

    Example:
        >>> checkpoint("RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8")
        Checkpoint(network='llama3.170b', precision='fp8kv16', published=True)
    """

    network: str
    precision: str
    published: bool


def checkpoint(name: str) -> Checkpoint:
    """Take the name of a checkpoint apart."""
    text = name.strip().strip("'\"").lower()
    published = "/" in text
    text = text.rsplit("/", 1)[-1]
    found = _FORMAT.search(text)
    text = _FORMAT.sub("-", text)
    before = ""
    while before != text:
        before, text = text, _TUNED.sub("-", text)
    text = re.sub(r"[()\[\]]", "", text)
    text = re.sub(r"^meta[-_ ]", "", text)
    return Checkpoint(
        re.sub(r"[^a-z0-9.]", "", text).strip("."), FORMATS[found[1]] if found else "", published
    )


def network_of(name: str, registry: Registry, parameters: float | None = None) -> Network:
    """Look a network up, as written or as `checkpoint` reads it.

    Args:
        name: As a source writes it.
        registry: Of networks and aliases.
        parameters: Their number, where the source says it: it tells networks of one family apart.

    Raises:
        InferBenchError: No network is meant by it.

    Example:
        >>> import inferbench as ib
        >>> network_of("LLAMA-3-8B-instruct", ib.installed()).name
        'llama3-8b'
    """
    try:
        return registry.network(name)
    except InferBenchError:
        found = _known("networks", registry).get(checkpoint(name).network) or _counted(
            name, registry, parameters
        )
        if not found:
            raise
        return registry.network(found)


def chip_of(name: str, registry: Registry) -> Chip:
    """Look a chip up, as written or without its maker, its board and the size of its memory, which must then
    be the chip's.

    Raises:
        InferBenchError: No chip is meant by it.

    Example:
        >>> import inferbench as ib
        >>> chip_of("NVIDIA H200-SXM-141GB", ib.installed()).name
        'h200'
    """
    try:
        return registry.chip(name)
    except InferBenchError:
        known, text = _known("chips", registry), name.strip().strip("'\"").lower()
        before = ""
        while before != text:
            before, text = text, _MAKER.sub("", text)
        size = _MEMORY.search(text)
        bare = _MEMORY.sub("", text)
        for one in (text, bare, _BOARD.sub("", re.sub(r"[-_]", " ", bare))):
            found = known.get(_plain(one))
            if found and (one is text or _holds(registry.chip(found), size)):
                return registry.chip(found)
        raise


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text)


def _holds(chip: Chip, size: re.Match[str] | None) -> bool:
    """Whether a chip's memory is what a name says."""
    if size is None:
        return True
    capacity = chip.memory[chip.outermost].capacity / 1e9
    return not abs(float(size[1]) / capacity - 1.0) > NEAR


def _known(kind: str, registry: Registry) -> dict[str, str]:
    """Name without signs to ours, of all names and aliases of a kind; none where it would mean two."""
    table: dict[str, str] = {}
    twice: set[str] = set()
    pairs = {**{name: name for name in registry.names(kind)}, **registry.aliases().get(kind, {})}
    for foreign, ours in pairs.items():
        key = checkpoint(foreign).network if kind == "networks" else _plain(foreign)
        if table.setdefault(key, ours) != ours:
            twice.add(key)
    return {key: ours for key, ours in table.items() if key not in twice}


def _counted(name: str, registry: Registry, parameters: float | None) -> str:
    """The network of a family that has so many parameters: `llama 8B` of 8,030,261,312."""
    family = re.match(r"[a-z]+", name.strip().lower())
    if parameters is None or family is None:
        return ""
    for one in registry.names("networks"):
        if not one.startswith(family[0]):
            continue
        published = registry.network(one).published
        if abs(published.parameters / parameters - 1.0) <= max(published.rounding, 0.002):
            return one
    return ""
