"""Causal Transformers as `transformers` configures them: the two shapes that are trained from scratch, and others'."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from transferlm import storage
from transferlm.errors import ModelFolderError
from transferlm.models._huggingface import configuration, opened
from transferlm.text.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from transferlm.models.causal_transformer import CausalTransformer

__all__ = ["SHAPES", "drawn", "open_causal", "settings_of", "shaped"]

_LONGEST = 1024
"""Tokens that an opened model reads at once unless told otherwise: GPT-2's own length, and what two cores bear."""


def shaped(model: CausalTransformer, tokenizer: Tokenizer) -> Any:
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


def _gpt2(model: CausalTransformer, **common: Any) -> Any:
    from transformers import GPT2Config

    rates = dict.fromkeys(("embd_pdrop", "resid_pdrop", "attn_pdrop"), model.dropout)
    return GPT2Config(**common, **rates)


def _llama(model: CausalTransformer, **common: Any) -> Any:
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
        ModelFolderError: They are damaged, or of a model that reads another text too or looks ahead.
    """
    from transformers import AutoModelForCausalLM

    config = configuration(folder)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelFolderError(f"{folder.path} holds an encoder and a decoder: give a model that continues one text")
    module = opened(folder, AutoModelForCausalLM, config).eval()
    if _looks_ahead(module):
        raise ModelFolderError(f"{folder.path}: a token's scores depend on what follows it: this is no causal model")
    return module


@torch.inference_mode()
def _looks_ahead(module: nn.Module) -> bool:
    first, other = (module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, 0] for ids in ([0, 1], [0, 2]))
    return not torch.allclose(first, other, atol=1e-3)


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
