"""The head that fills in hidden tokens: its scores, and where it stands in Hugging Face's weight files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from transferlm.errors import ModelFolderError
from transferlm.models._foreign_folder import weight_files
from transferlm.storage import Folder

__all__ = ["MaskedHead", "empty_head", "published_head", "save_with_head"]


class MaskedHead(nn.Module):
    """BERT's masked-LM head: dense, activation, layer norm, then the embedding table as output, with a bias a token.

    Shapes: states (..., width) and a table (tokens, embedding width) give scores (..., tokens).
    """

    def __init__(
        self,
        width: int,
        embedding_width: int,
        tokens: int,
        epsilon: float = 1e-12,
        activation: str = "gelu",
        seed: int = 0,
    ) -> None:
        from transformers.activations import ACT2FN

        super().__init__()
        self.dense = nn.Linear(width, embedding_width)
        self.activation = ACT2FN[activation]
        self.norm = nn.LayerNorm(embedding_width, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(tokens))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.dense.weight.normal_(0.0, 0.02, generator=generator)
            self.dense.bias.zero_()

    def forward(self, states: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Scores of every token at each of the states."""
        return functional.linear(self.norm(self.activation(self.dense(states))), table, self.bias)


def empty_head(body: Any, seed: int = 0) -> MaskedHead:
    """A head for the body, where the body is, its weights drawn from `seed`."""
    table, config = body.get_input_embeddings().weight, body.config
    own = {"bert": "hidden_act", "distilbert": "activation"}.get(config.model_type)
    made = MaskedHead(
        config.hidden_size,
        table.shape[1],
        len(table),
        _DISTILBERT_EPSILON if config.model_type == "distilbert" else config.layer_norm_eps,
        "gelu" if own is None else getattr(config, own),
        seed,
    )
    return made.eval().to(table.device)


_DISTILBERT_EPSILON = 1e-12
"""It stands in no configuration."""


class _Names(NamedTuple):
    """Where a head's parts stand in a weight file: modules, but for `bias`."""

    dense: str
    norm: str
    bias: str
    output: str

    def of(self, own: str) -> list[str]:
        """Names that this part of ours may have, the usual one first; `gamma` and `beta` are of BERT's first files."""
        part, _, what = own.partition(".")
        if part == "bias":
            return [self.bias, f"{self.output}.bias"]
        old = {"weight": "gamma", "bias": "beta"}[what]
        return [f"{getattr(self, part)}.{what}", *([f"{self.norm}.{old}"] if part == "norm" else [])]


_LM_HEAD = _Names("lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder")
_NAMES = {
    "bert": _Names(
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.bias",
        "cls.predictions.decoder",
    ),
    "camembert": _LM_HEAD,
    "distilbert": _Names("vocab_transform", "vocab_layer_norm", "vocab_projector.bias", "vocab_projector"),
    "electra": _Names(
        "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias", "generator_lm_head"
    ),
    "mpnet": _LM_HEAD,
    "roberta": _LM_HEAD,
    "xlm-roberta": _LM_HEAD,
}


def published_head(folder: Folder, body: Any) -> MaskedHead | None:
    """The masked-LM head in a Hugging Face folder, if there is one that is tied to the body's table.

    Raises:
        ModelFolderError: A weight file can't be read.
    """
    head, table, names = empty_head(body), body.get_input_embeddings().weight, _NAMES[body.config.model_type]
    output = f"{names.output}.weight"
    stored = _tensors(folder, {output, *(name for own in head.state_dict() for name in names.of(own))})
    tensors = {own: next((stored[n] for n in names.of(own) if n in stored), None) for own in head.state_dict()}
    if any(found is None or found.shape != head.state_dict()[own].shape for own, found in tensors.items()):
        return None
    if output in stored and not torch.equal(stored[output], table.cpu()):
        return None
    head.load_state_dict(tensors)
    return head


def _tensors(folder: Folder, names: set[str]) -> dict[str, torch.Tensor]:
    """Those of the named tensors that the folder holds, in fp32."""
    found: dict[str, torch.Tensor] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="pt", device="cpu") as opened:
                found |= {name: opened.get_tensor(name).float() for name in names.intersection(opened.keys())}
        except (SafetensorError, OSError) as error:
            raise ModelFolderError(f"{path} can't be read ({error}): copy the folder again") from None
    return found


def save_with_head(body: Any, head: MaskedHead, folder: Path) -> None:
    """Write configuration and weights as `transformers` writes a masked language model of the body's kind."""
    from transformers import AutoModelForMaskedLM

    mapping: Any = AutoModelForMaskedLM._model_mapping
    config, names = copy.deepcopy(body.config), _NAMES[body.config.model_type]
    config.architectures = [mapping[type(config)].__name__]
    tensors = {f"{body.base_model_prefix}.{name}": tensor for name, tensor in body.state_dict().items()}
    tensors |= {names.of(own)[0]: tensor for own, tensor in head.state_dict().items()}
    config.save_pretrained(folder)
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
