"""The weights of a body of `transformers` as `neural/packed_transformer.py` wants them, and as an ONNX file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from transferlm.errors import UnsupportedError
from transferlm.models._masked_shapes import first_position
from transferlm.neural.onnx_graph import GraphHead, graph_of
from transferlm.neural.packed_transformer import Affine, Block, Norm, TransformerWeights

__all__ = ["packed_weights", "written_graph"]

_BERT = {
    "inputs": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "output": "attention.output.dense",
    "attended": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
_DISTILBERT = {
    "inputs": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "output": "attention.out_lin",
    "attended": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "norm": "output_layer_norm",
}
_LAYERS = {
    **dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), ("encoder.layer", _BERT)),
    "distilbert": ("transformer.layer", _DISTILBERT),
}
"""`model_type` -> where its layers are, and the parts of one."""


def packed_weights(module: nn.Module) -> TransformerWeights | None:
    """The body's weights, or None where it computes something else than `PackedTransformer` does.

    That is so for other architectures (MPNet's relative positions), other activations, and layers that were put in the
    place of plain ones (adapters).
    """
    config: Any = getattr(module, "config", None)
    kind = getattr(config, "model_type", None)
    if kind not in _LAYERS or getattr(config, "is_decoder", False) or hasattr(module, "embeddings_project"):
        return None
    if getattr(config, "hidden_act", getattr(config, "activation", None)) != "gelu":
        return None
    try:
        return _weights(module, config)
    except _OtherPartError:
        return None


def written_graph(
    module: nn.Module, pooling: str, head: tuple[np.ndarray, np.ndarray, str] | None, int8: bool
) -> bytes:
    """The body's forward pass as the content of an ONNX file.

    Raises:
        UnsupportedError: It computes something else than `PackedTransformer` does, or its weights are not on the
            processor.
    """
    weights = packed_weights(module)
    if weights is None:
        kind = getattr(getattr(module, "config", None), "model_type", "this body")
        raise UnsupportedError(
            f"{kind} with these layers can't be compiled: plain {', '.join(sorted(_LAYERS))} with GELU, in fp32 on the"
            " processor, can; adapters have to be merged first"
        )
    return graph_of(weights, pooling, None if head is None else GraphHead(*head), int8)


class _OtherPartError(Exception):
    """A part is not of the class that is known."""


def _weights(module: nn.Module, config: Any) -> TransformerWeights:
    place, names = _LAYERS[config.model_type]
    table: Any = module.get_submodule("embeddings")
    kinds = getattr(table, "token_type_embeddings", None)
    return TransformerWeights(
        _rows(table.word_embeddings),
        _rows(table.position_embeddings),
        None if kinds is None else _rows(kinds),
        _norm(table.LayerNorm),
        tuple(_block(layer, names) for layer in module.get_submodule(place).children()),
        config.num_attention_heads,
        first_position(config),
    )


def _block(layer: nn.Module, names: dict[str, Any]) -> Block:
    part = layer.get_submodule
    inputs = [_affine(part(name)) for name in names["inputs"]]
    joined = Affine(torch.cat([one.weight for one in inputs]), torch.cat([one.bias for one in inputs]))
    return Block(
        joined,
        _affine(part(names["output"])),
        _norm(part(names["attended"])),
        _affine(part(names["up"])),
        _affine(part(names["down"])),
        _norm(part(names["norm"])),
    )


def _rows(table: nn.Module) -> torch.Tensor:
    if not isinstance(table, nn.Embedding) or table.max_norm is not None:
        raise _OtherPartError
    return _plain(table.weight)


def _affine(layer: nn.Module) -> Affine:
    if type(layer) is not nn.Linear or layer.bias is None or layer._forward_hooks or layer._forward_pre_hooks:
        raise _OtherPartError
    return Affine(_plain(layer.weight), _plain(layer.bias))


def _norm(layer: nn.Module) -> Norm:
    if type(layer) is not nn.LayerNorm:
        raise _OtherPartError
    return Norm(_plain(layer.weight), _plain(layer.bias), layer.eps)


def _plain(weight: torch.Tensor) -> torch.Tensor:
    if weight.dtype != torch.float32 or weight.device.type != "cpu":
        raise _OtherPartError
    return weight.detach()
