"""Causal Transformers as `transformers` configures them: the two shapes that are trained from scratch, and others'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from transferlm import storage
from transferlm.errors import ModelFolderError
from transferlm.models._huggingface import configuration, first_line, opened
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["DECODERS", "SHAPES", "drawn", "open_causal", "refuse_looking_ahead", "settings_of", "shaped"]

# fmt: off
DECODERS = frozenset((
    "apertus", "arcee", "bloom", "codegen", "cohere", "cohere2", "ernie4_5", "exaone4", "falcon", "gemma", "gemma2",
    "gemma3_text", "glm", "glm4", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "granite", "helium",
    "internlm3", "llama", "ministral", "mistral", "mixtral", "mpt", "nanochat", "nemotron", "olmo", "olmo2",
    "olmo3", "opt", "persimmon", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "smollm3",
    "stablelm", "starcoder2", "xglm",
))
# fmt: on
"""Architectures that read one text from left to right and keep keys and values in a cache. Each was compared with
`transformers`, token by token and read at once: to the family only what is in this list is known."""

_LONGEST = 1024
"""Tokens that an opened model reads at once unless told otherwise: GPT-2's own length, and what two cores bear."""


class _Settings(Protocol):
    """The hyper-parameters that a shape follows from."""

    @property
    def shape(self) -> str: ...

    layers: int
    heads: int
    width: int
    dropout: float
    max_length: int


def shaped(model: _Settings, tokenizer: Tokenizer) -> Any:
    """The configuration that the model's hyper-parameters describe.

    The end token stands for the beginning too, as each text follows the end of another one.
    """
    return SHAPES[model.shape](
        model,
        vocab_size=len(tokenizer),
        max_position_embeddings=model.max_length,
        hidden_size=model.width,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        bos_token_id=tokenizer.end_id,
        eos_token_id=tokenizer.end_id,
        pad_token_id=tokenizer.pad_id,
        tie_word_embeddings=True,
    )


def _gpt2(model: _Settings, **common: Any) -> Any:
    from transformers import GPT2Config

    rate = model.dropout
    # GELU itself (Hendrycks & Gimpel 2016): GPT-2's approximation by tanh, at most 5e-4 away, takes four times as long.
    return GPT2Config(**common, activation_function="gelu", embd_pdrop=rate, resid_pdrop=rate, attn_pdrop=rate)


def _llama(model: _Settings, **common: Any) -> Any:
    """Its inner width is 8/3 of the outer one (Touvron et al. 2023, section 2.2), in whole blocks of 32."""
    from transformers import LlamaConfig

    inner = 32 * round(model.width / 12)
    return LlamaConfig(**common, intermediate_size=max(32, inner), attention_dropout=model.dropout)


SHAPES: dict[str, Callable[..., Any]] = {"gpt2": _gpt2, "llama": _llama}
"""Shape -> its configuration."""


def drawn(config: Any, seed: int) -> nn.Module:
    """The architecture with weights drawn as `transformers` draws them."""
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made: nn.Module = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return made.float()


def open_causal(folder: storage.Folder) -> nn.Module:
    """The body and its output layer, with the folder's weights.

    Raises:
        ModelFolderError: They are damaged, or of a model that reads another text too.
    """
    from transformers import AutoModelForCausalLM

    config = configuration(folder)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelFolderError(f"{folder.path} holds an encoder and a decoder: give a model that continues one text")
    return opened(folder, AutoModelForCausalLM, config)


@torch.inference_mode()
def refuse_looking_ahead(module: Any, place: Path) -> None:
    """Check that the scores after a first token are the same whatever the second one is.

    Raises:
        ModelFolderError: They are not, or the sizes that `config.json` tells don't go together.
    """
    texts = (torch.tensor([ids], device=module.device) for ids in ([0, 1], [0, 2]))
    try:
        first, other = (module(input_ids=ids, use_cache=False).logits[0, 0] for ids in texts)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelFolderError(f"{place}: config.json describes no model that runs ({first_line(error)})") from None
    if not torch.allclose(first, other, atol=1e-3):
        raise ModelFolderError(f"{place}: a token's scores depend on what follows it, so this is no causal model")


def settings_of(folder: storage.Folder) -> dict[str, Any]:
    """Hyper-parameters of a folder that others made."""
    config = configuration(folder).get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or _LONGEST
    return {
        "shape": "opened",
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "width": config.hidden_size,
        "dropout": float(getattr(config, "resid_pdrop", getattr(config, "attention_dropout", 0.0))),
        "max_length": min(positions, _LONGEST),
        "batch_size": 4,
        "learning_rate": 2e-4,
    }
