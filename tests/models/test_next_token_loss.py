"""The loss of a causal Transformer without a table of scores, against the cross entropy of its own scores."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from transferlm.models._next_token_loss import NextTokenLoss

SIZES = {"vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 8}
OTHERS = {"intermediate_size": 24, "num_key_value_heads": 1, "max_position_embeddings": 32, "initializer_range": 0.3}
PLAIN = {"gpt2": True, "llama": True, "gptj": True, "cohere": False, "gemma2": False, "granite": False}
SPECIAL: dict[str, dict[str, Any]] = {
    "cohere": {"logit_scale": 0.3},
    "gemma2": {"final_logit_softcapping": 2.0},
    "granite": {"logits_scaling": 3.0},
    "gptj": {"rotary_dim": 4},
}


def made(kind: str) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    config = CONFIG_MAPPING[kind](
        **SIZES, **OTHERS, **ends, tie_word_embeddings=kind != "llama", **SPECIAL.get(kind, {})
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).float()


@pytest.mark.parametrize("kind", PLAIN)
def test_it_is_the_cross_entropy_of_the_models_own_scores(kind: str) -> None:
    module = made(kind).eval()
    ids = torch.randint(0, 61, (3, 10), generator=torch.Generator().manual_seed(2))
    logits = module(input_ids=ids[:, :-1], use_cache=False).logits
    wanted = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    loss = NextTokenLoss(module)
    found = loss(ids[:, :-1], ids[:, 1:])
    assert (loss._layer is not None) == PLAIN[kind]
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    parameters = [p for p in module.parameters() if p.requires_grad]
    for mine, its in zip(*(torch.autograd.grad(value, parameters) for value in (found, wanted)), strict=True):
        assert torch.allclose(mine, its, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_looking_at_what_a_module_does_leaves_it_as_it_was(training: bool) -> None:
    module = made("gpt2").train(training)
    torch.manual_seed(3)
    drawn = torch.get_rng_state()
    NextTokenLoss(module)
    assert module.training is training
    assert torch.equal(torch.get_rng_state(), drawn)
