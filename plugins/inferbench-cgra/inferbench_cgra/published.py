"""Latencies of eight SN40L sockets at batch 1, transcribed.

argonne-lcf/LLM-Inference-Bench (BSD-3), Plots/Fig_18/SN40L_latency_throughput.csv, 2024: end-to-end
latency of a prompt and as many new tokens, bf16.
"""

from __future__ import annotations

import inferbench as ib

__all__ = ["LLAMA2_7B", "LLAMA3_8B", "SOCKETS", "Measured"]

SOCKETS = 8
BANDWIDTH = 1.6e12  # B/s of HBM per socket: Hot Chips 2024 slides, 25.6 TB/s for sixteen
PEAK = 638e12  # dense bf16 operations per second per socket: the same slides
LOADING = 10e-6  # s per configuration: order of magnitude, an estimate of the chip's spec
KERNELS = 3  # per pass: embedding, all layers as one loop, head


@ib.frozen
class Measured:
    """One measured latency.

    Attributes:
        network: As the benchmark names it.
        length: Prompt tokens, and as many new tokens.
        seconds: End to end, batch 1.
        all_weights: Bytes of all weights, embedding included.
        read: Bytes of weights that a token needs: without the embedding, of which it needs one row.
        kv: Bytes of KV cache per position.
        layers: Decoder layers.
    """

    network: str
    length: int
    seconds: float
    all_weights: float
    read: float
    kv: float
    layers: int = 32

    @property
    def per_token(self) -> float:
        """Latency per new token."""
        return self.seconds / self.length

    @property
    def streaming(self) -> float:
        """Seconds per token to stream all weights: `W / (n BW)`."""
        return self.all_weights / (SOCKETS * BANDWIDTH)

    @property
    def floor(self) -> float:
        """Seconds without any waiting: `length` tokens behind a growing cache, and the prompt.

        A token reads its weights and the cache (half of the new tokens stand in it on average); the
        prompt is bound by the weights or by 2 operations per weight and token. Every pass loads its
        configurations once.
        """
        rate = SOCKETS * BANDWIDTH
        token = (self.read + 1.5 * self.length * self.kv) / rate
        prompt = max(self.read / rate, self.read * self.length / (SOCKETS * PEAK))
        return self.length * token + prompt + (self.length + 1) * KERNELS * LOADING

    @property
    def waits(self) -> float:
        """Layers passed one after the other, by prompt and new tokens."""
        return float(self.layers * (self.length + 1))


def _eight(length: int, seconds: float) -> Measured:
    # 8,030,261,248 parameters, 525,336,576 of them the embedding; 2 x 8 heads x 128 x 2 bytes x 32 layers of
    # KV
    return Measured("Llama 3 8B", length, seconds, 16.06e9, 15.01e9, 131072.0)


def _seven(length: int, seconds: float) -> Measured:
    # 6,738,415,616 parameters, 131,072,000 of them the embedding; 2 x 32 heads x 128 x 2 bytes x 32 layers of
    # KV
    return Measured("Llama 2 7B", length, seconds, 13.48e9, 13.21e9, 524288.0)


LLAMA3_8B = (
    _eight(128, 0.21961),
    _eight(256, 0.40122),
    _eight(512, 0.82641),
    _eight(1024, 1.58428),
    _eight(2048, 3.28811),
)
"""What `tau` is fitted on."""

LLAMA2_7B = (
    _seven(128, 0.37318),
    _seven(256, 0.68725),
    _seven(512, 1.3162),
    _seven(1024, 1.71094),
    _seven(2048, 5.02577),
)
"""The same benchmark, a smaller network, slower: another software state. Scored, never fitted."""
