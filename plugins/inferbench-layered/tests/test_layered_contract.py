from __future__ import annotations

from typing import ClassVar

from inferbench_layered import (
    Attention,
    Compressed,
    Delta,
    Dense,
    Experts,
    Indexer,
    Latent,
    Layered,
    LayeredParams,
    Mamba,
    Prediction,
    Projection,
    SelectiveScan,
    Vision,
)

import inferbench as ib
from inferbench.testing import WorkloadContract

INDEXER = Indexer(num_heads=4.0, head_dim=16.0, top_k=64.0, norms=32.0)
HEADS = {"num_attention_heads": 8.0, "num_key_value_heads": 2.0, "head_dim": 32.0}
LATENT = {
    "num_attention_heads": 8.0,
    "q_lora_rank": 96.0,
    "kv_lora_rank": 64.0,
    "qk_nope_head_dim": 32.0,
    "qk_rope_head_dim": 16.0,
    "v_head_dim": 32.0,
}
EXPERTS = Experts(
    layers=4.0,
    num_experts=16.0,
    num_experts_per_tok=2.0,
    moe_intermediate_size=64.0,
    shared_width=64.0,
    shared_gate=True,
    latent_size=128.0,
    latent_norm=True,
    router_bias=True,
)
POOLED = {
    "num_attention_heads": 8.0,
    "head_dim": 64.0,
    "q_lora_rank": 96.0,
    "o_groups": 4.0,
    "o_lora_rank": 64.0,
}


def network(name: str, **blocks: object) -> ib.Network:
    params = LayeredParams(
        hidden_size=256.0, num_hidden_layers=8.0, vocab_size=1024.0, max_position_embeddings=8192.0, **blocks
    )
    return ib.Network(name=name, title=name, type="layered", params=params)


NETWORKS = (
    network(
        "windows",
        attention={
            "full": Attention(layers=2.0, **HEADS, qk_norm="head", output_gate="channel"),
            "local": Attention(layers=3.0, **HEADS, window=128.0, attention_sinks=True, v_head_dim=16.0),
            "chunked": Attention(layers=3.0, **HEADS, chunk=256.0, qk_norm="plain"),
        },
        dense={"dense": Dense(layers=4.0, intermediate_size=512.0)},
        experts={"experts": EXPERTS},
        vision=Vision(
            layers=2.0,
            hidden_size=64.0,
            num_attention_heads=4.0,
            intermediate_size=128.0,
            bias=True,
            patch_elements=768.0,
            position_elements=1024.0,
            patches=256.0,
            merge=4.0,
            projections={"merge": Projection(inputs=256.0, outputs=256.0, bias=True, norm=128.0)},
        ),
        prediction=Prediction(blocks=("full", "experts")),
    ),
    network(
        "recurrent",
        attention={"full": Attention(layers=2.0, **HEADS)},
        delta={
            "linear": Delta(
                layers=2.0, key_heads=2.0, value_heads=4.0, key_dim=32.0, value_dim=32.0, conv_kernel=4.0
            ),
            "fine": Delta(
                layers=2.0,
                key_heads=4.0,
                value_heads=4.0,
                key_dim=32.0,
                value_dim=32.0,
                conv_kernel=4.0,
                decay="channel",
                decay_rank=32.0,
                gate_rank=32.0,
                state_format="fp32",
            ),
        },
        mamba={
            "mamba": Mamba(layers=1.0, heads=8.0, head_dim=32.0, state_size=64.0, groups=2.0, conv_kernel=4.0)
        },
        scan={
            "scan": SelectiveScan(
                layers=1.0, channels=512.0, state_size=16.0, step_rank=16.0, conv_kernel=4.0
            )
        },
        dense={"dense": Dense(layers=8.0, intermediate_size=512.0, gated=False)},
    ),
    network(
        "sparse",
        latent={
            "plain": Latent(layers=2.0, **LATENT),
            "chosen": Latent(layers=2.0, **LATENT, indexer=INDEXER),
        },
        compressed={
            "window": Compressed(layers=1.0, **POOLED, window=128.0),
            "pooled": Compressed(layers=1.0, **POOLED, window=128.0, ratio=128.0),
            "few": Compressed(layers=2.0, **POOLED, window=128.0, ratio=4.0, overlap=True, indexer=INDEXER),
        },
        experts={"experts": EXPERTS},
        streams=4.0,
        lookback=2.0,
    ),
)


class TestLayered(WorkloadContract):
    workload = Layered()
    networks = NETWORKS
    axes: ClassVar = {"batch": (1.0, 3.0), "context": (512.0, 1500.0), "output": (1.0, 20.0)}
