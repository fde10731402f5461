"""Laws that every operator of every shipped network obeys, whatever its formula."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import inferbench as ib

pytestmark = pytest.mark.needs_plugins("networks/vit-b", "networks/flux1-dev", "workloads/layered")
# Kinds of networks, and those that read a prompt with other products than they write tokens with: in latent
# attention keys are expanded for a prompt, and absorbed for a token.
KINDS = sorted(
    {"transformer", "moe", "layered", "vit", "clip", "siglip", "resnet", "whisper"}
    | {"dit", "mmdit", "unet", "video-dit", "video-mmdit"}
)
LATENT = ("deepseek-v3", "deepseek-v3.2", "glm-5", "kimi-k2", "kimi-k2.5", "mistral-large-3")


def networks(kind: str) -> list[ib.Network]:
    known = ib.installed()
    found = [known.network(name) for name in known.entries("networks")]
    return [one for one in found if one.type == kind]


def graph(network: ib.Network, phase: str, **axes: float) -> dict[str, ib.Op]:
    workload = ib.installed().workload(network.type)
    full = {**workload.defaults(network, phase), **axes}
    at = ib.Grid.of({name: [value] for name, value in full.items()}, ["bf16"]).at
    return {op.name: op for op in workload.graph(network, at, phase, workload.options())}


def number(value: Any) -> float:
    return float(np.squeeze(value))


def moved(op: ib.Op) -> tuple[float, ...]:
    """Operations, bytes in and out, and those of its state, of all its executions."""
    parts = op.useful, op.bytes.inputs, op.bytes.outputs, op.bytes.state
    return tuple(number(one * op.repeat) for one in parts)


def phases(network: ib.Network) -> list[str]:
    return [phase.name for phase in ib.installed().workload(network.type).phases]


@pytest.mark.parametrize("kind", KINDS)
def test_three_of_a_batch_cost_three_times_one_and_share_their_weights(kind):
    """Sequences and pictures know nothing of each other."""
    some = networks(kind)
    assert some
    for network in some:
        for phase in phases(network):
            one, three = graph(network, phase, batch=1.0), graph(network, phase, batch=3.0)
            assert list(one) == list(three)
            for name, op in one.items():
                wanted = pytest.approx([3.0 * part for part in moved(op)])
                assert list(moved(three[name])) == wanted, (network.name, phase, name)
                stored = number(op.parameters * op.instances)
                assert number(three[name].parameters * three[name].instances) == stored


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_is_two_bytes_for_every_weight_and_grows_with_sequences(kind):
    """In 16 bits; experts that are shipped in mxfp4 take four bits, and eight for each block of 32."""
    for network in networks(kind):
        for phase in phases(network):
            one, three = graph(network, phase, batch=1.0), graph(network, phase, batch=3.0)
            for name, op in one.items():
                where = (network.name, phase, name)
                each = 4.25 / 8.0 if "mxfp4" in op.precision.points[0].weights else 2.0
                assert number(op.resident.weights) == pytest.approx(each * number(op.parameters)), where
                assert number(three[name].resident.state) == pytest.approx(3.0 * number(op.resident.state)), (
                    where
                )
                assert number(op.resident.inputs + op.resident.outputs) == 0.0, where


# What reads one tensor and writes one of the same size; what reads two; each of a size that it has alone.
ONE = re.compile(r"(norm\d?|norm_cross|final_norm|latent_norm|relu|silu\d?|gelu\d?|modulate|reorder|join)")
TWO = re.compile(r"(residual\d?|residual_cross|positions)")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_done_to_each_element_reads_it_once_and_sums_read_two(kind):
    """A bias or a gain per channel lies in what is stored, not in what comes and goes."""
    for network in networks(kind):
        for phase in phases(network):
            for name, op in graph(network, phase, batch=2.0).items():
                last = name.rpartition(".")[2]
                times = 1 if ONE.fullmatch(last) else 2 if TWO.fullmatch(last) else None
                if op.kind != "elementwise" or times is None or "qk" in name:
                    continue
                read, written = number(op.bytes.inputs), number(op.bytes.outputs)
                if kind == "dit" and last == "norm":  # of queries and keys, whose tables are read beside them
                    assert written <= read <= 1.2 * written
                else:
                    assert read == pytest.approx(times * written), (network.name, phase, name)


@pytest.mark.parametrize("kind", ["transformer", "moe", "layered"])
def test_reading_a_prompt_is_as_many_operations_as_writing_its_tokens(kind):
    """Token t attends to t positions, in a prompt of six as in the t-th step; the head reads one of them."""

    def layers(network: ib.Network, phase: str, context: float) -> float:
        some = graph(network, phase, batch=2.0, context=context).values()
        return sum(number(op.useful * op.repeat) for op in some if op.unit == "layer")

    for network in networks(kind):
        steps = sum(layers(network, "decode", float(context)) for context in range(1, 7))
        close = 1e-3 if network.name in LATENT else 1e-12
        assert layers(network, "prefill", 6.0) == pytest.approx(steps, rel=close), network.name


@pytest.mark.parametrize("kind", ["transformer", "moe", "layered"])
def test_seven_tokens_of_a_prompt_move_seven_times_what_one_moves(kind):
    """In every operator that works on each token by itself; attention and states know the others."""
    for network in networks(kind):
        prompt = graph(network, "prefill", batch=2.0, context=7.0)
        token = graph(network, "decode", batch=2.0, context=7.0)
        seen = 0
        for name in prompt.keys() & token.keys():
            op = prompt[name]
            alone = op.kind == "elementwise" and ONE.fullmatch(name) and not name.startswith("final")
            if op.unit != "layer" or not (alone or op.kind == "gemm"):
                continue
            if name.startswith(("kv_b", "index", "pool", "compress")):
                continue
            seen += 1
            one = moved(token[name])
            assert list(moved(op)[:3]) == pytest.approx([7.0 * part for part in one[:3]]), (
                network.name,
                name,
            )
        assert seen >= 3, network.name


TOKENS = {
    # A class token beside 14 x 14 patches of 16 pixels, or 16 x 16 of 14; words; patches without a class.
    ("vit", "forward"): {"": (197, 257)},
    ("clip", "forward"): {"image": (50, 197, 257, 577), "text": (77,)},
    ("siglip", "forward"): {"image": (196, 256, 576, 729, 1024), "text": (64,)},
    # Thirty seconds are 1,500 frames behind the second convolution; words come one by one.
    ("whisper", "encode"): {"encoder": (1500,)},
    ("whisper", "decode"): {"decoder": (1,)},
}


@pytest.mark.parametrize(("kind", "phase"), TOKENS)
def test_every_norm_of_a_tower_sees_all_of_its_tokens(kind, phase):
    """A norm has a gain and a bias per channel: bytes over half its parameters count the tokens."""
    for network in networks(kind):
        seen = defaultdict(set)
        for name, op in graph(network, phase, batch=1.0).items():
            tower, _, last = name.rpartition(".")
            if last.startswith("norm"):
                channels = number(op.parameters) / 2.0
                seen[tower if tower != "head" else ""].add(number(op.bytes.inputs) / 2.0 / channels)
        for tower, counts in TOKENS[kind, phase].items():
            (tokens,) = seen[tower]
            assert round(tokens, 9) in counts, (network.name, tower)
