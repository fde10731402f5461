"""Which family a `config.json` is of: by its `model_type`, else by the class that it names in
`architectures`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["family_of", "text_part", "unread_parts"]

# Class in `architectures`, less what it is for, to the model type whose layers it has.
_CLASSES: Mapping[str, str] = {
    "Bloom": "bloom",
    "DeciLM": "nemotron-nas",
    "DeepseekV2": "deepseek_v2",
    "DeepseekV3": "deepseek_v3",
    "DeepseekV32": "deepseek_v32",
    "DeepseekV4": "deepseek_v4",
    "FalconH1": "falcon_h1",
    "GPT2LMHeadModel": "gpt2",
    "GPTJ": "gptj",
    "GPTNeoX": "gpt_neox",
    "Gemma": "gemma",
    "Gemma2": "gemma2",
    "Gemma3": "gemma3_text",
    "Gemma4": "gemma4_text",
    "Glm4Moe": "glm4_moe",
    "GlmMoeDsa": "glm_moe_dsa",
    "GptOss": "gpt_oss",
    "Granite": "granite",
    "GraniteMoeHybrid": "granitemoehybrid",
    "Jamba": "jamba",
    "KimiK25": "deepseek_v3",
    "KimiK3": "kimi_linear",
    "KimiLinear": "kimi_linear",
    "Llama": "llama",
    "Llama4": "llama4_text",
    "MiMo": "mimo",
    "MiMoV2Flash": "mimo_v2_flash",
    "MiniMaxM2": "minimax_m2",
    "MiniMaxM3": "minimax_m3",
    "MiniMaxM3Sparse": "minimax_m3",
    "Mistral": "mistral",
    "MistralLarge3": "deepseek_v3",
    "Mixtral": "mixtral",
    "NemotronH": "nemotron_h",
    "OPT": "opt",
    "Phi": "phi",
    "Phi3": "phi3",
    "Qwen2": "qwen2",
    "Qwen2Moe": "qwen2_moe",
    "Qwen2_5_VL": "qwen2",
    "Qwen3": "qwen3",
    "Qwen3Moe": "qwen3_moe",
    "Qwen3Next": "qwen3_next",
    "Qwen3VL": "qwen3_vl_text",
    "Qwen3VLMoe": "qwen3_vl_moe_text",
    "Qwen3_5": "qwen3_5_text",
    "Qwen3_5Moe": "qwen3_5_moe_text",
    "Starcoder2": "starcoder2",
    "Step3p5": "step3p5",
    "Step3p7": "step3p7",
    "Step3p7Flash": "step3p7",
}
_ENCODERS = ("vision_config", "audio_config", "speech_config", "encoder_config")
_PURPOSES = ("ForCausalLM", "ForConditionalGeneration")
# Model types that are another's form.
_ALIASES: Mapping[str, str] = {
    "kimi_k2": "deepseek_v3",
    "kimi_k25": "deepseek_v3",
    "mistral3": "mistral",
    "qwen2_5_vl": "qwen2",
    "qwen2_5_vl_text": "qwen2",
}


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the nested `text_config` of a multi-modal file, or the file itself.

    What only the file says of both, like `tie_word_embeddings`, stays.

    Example:
        >>> text_part({"text_config": {"model_type": "text"}, "tie_word_embeddings": True})
        {'tie_word_embeddings': True, 'model_type': 'text'}
    """
    nested = config.get("text_config")
    if not isinstance(nested, Mapping):
        return config
    shared = ("architectures", "tie_word_embeddings", "quantization_config", "torch_dtype", "dtype")
    return {**{key: config[key] for key in shared if key in config}, **nested}


def unread_parts(config: Mapping[str, Any], read: Collection[str] = ()) -> Mapping[str, Any]:
    """Return `unread` of a network's table: the encoders of a multi-modal file that no reader takes.

    Example:
        >>> unread_parts({"vision_config": {"hidden_size": 1152}, "audio_config": None})
        {'unread': ['vision_config']}
    """
    found = [key for key in _ENCODERS if isinstance(config.get(key), Mapping) and key not in read]
    return {"unread": found} if found else {}


def family_of(config: Mapping[str, Any], known: Collection[str]) -> str:
    """Return which of the known model types a config is of; empty if of none.

    A type that is not known may stand for a form that is: then the class in `architectures` says which.

    Example:
        >>> family_of({"model_type": "new", "architectures": ["DeepseekV3ForCausalLM"]}, {"deepseek_v3"})
        'deepseek_v3'
    """
    said = str(config.get("model_type", ""))
    if said in known:
        return said
    if _ALIASES.get(said) in known:
        return _ALIASES[said]
    for name in config.get("architectures") or ():
        bare = str(name)
        for purpose in _PURPOSES:
            bare = bare.removesuffix(purpose)
        if _CLASSES.get(bare) in known:
            return _CLASSES[bare]
    return ""
