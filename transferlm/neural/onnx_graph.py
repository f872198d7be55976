"""A bidirectional Transformer as one ONNX file, its parts named as ONNX Runtime has kernels for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from transferlm.errors import SettingError
from transferlm.neural.block_integers import BLOCK, in_blocks
from transferlm.neural.packed_transformer import Affine, Block, Norm, TransformerWeights

__all__ = ["GraphHead", "graph_of"]

_OPSET, _IR = 20, 10
"""Versions of the operators and of the file's layout: those of 2024, which runtimes since then read."""
_FUSED = "com.microsoft"
"""ONNX Runtime's own operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md"""
_LARGEST = 2**31 - 1
"""Bytes of a file in protobuf's format."""


class GraphHead(NamedTuple):
    """A linear function of what the graph computes, as its output `scores`.

    Attributes:
        weights: float32 of shape (width, size).
        bias: float32 of shape (size,).
        per: What has scores: each `text` or each `token`.
    """

    weights: np.ndarray
    bias: np.ndarray
    per: str


def graph_of(weights: TransformerWeights, pooling: str, head: GraphHead | None = None, int8: bool = False) -> bytes:
    """The forward pass as the content of an ONNX file.

    Inputs are `ids` and `types`, int64 of shape (texts, tokens): texts of one length, so that nothing is padded and
    nothing masked. Outputs are `states`, float32 of shape (texts, tokens, width), `encoding`, (texts, width), and with
    a head `scores`, (texts, size) or (texts, tokens, size).

    Args:
        weights: The body's.
        pooling: `mean` or `cls`: what `encoding` is of the states.
        head: What is computed from `encoding` or `states`.
        int8: Multiply by matrices of 8-bit integers in blocks (`block_integers.py`), states being rounded as they come.

    Raises:
        SettingError: The file would be larger than its format allows, or the extra `onnx` is missing.
    """
    made = _Graph(weights.heads, int8)
    states = made.embedded(weights)
    for number, block in enumerate(weights.blocks):
        states = made.block(states, block, f"layer.{number}")
    made.give("states", states, ["texts", "tokens", len(weights.norm.gain)])
    encoding = made.pooled(states, pooling)
    made.give("encoding", encoding, ["texts", len(weights.norm.gain)])
    if head is not None:
        scores = made.linear(encoding if head.per == "text" else states, head.weights, head.bias, "head")
        made.give("scores", scores, [*(["texts"] if head.per == "text" else ["texts", "tokens"]), len(head.bias)])
    return made.content()


class _Graph:
    """Nodes and constants as they are added; what a method gives is the name of what its last node computes."""

    def __init__(self, heads: int, int8: bool) -> None:
        self._onnx = _library()
        self._heads, self._int8 = heads, int8
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._outputs: list[Any] = []

    def embedded(self, weights: TransformerWeights) -> str:
        """The sum of tokens', places' and kinds' vectors, normed."""
        count = self._node("Gather", self._node("Shape", "ids"), self._constant("second", np.array([1])))
        places = self._constant("places", _array(weights.places)[weights.first :])
        used = self._node("Slice", places, self._constant("start", np.array([0])), count)
        states = self._node("Add", self._node("Gather", self._constant("tokens", _array(weights.tokens)), "ids"), used)
        if weights.kinds is not None:
            kinds = self._node("Gather", self._constant("kinds", _array(weights.kinds)), "types")
            states = self._node("Add", states, kinds)
        gain, shift = self._norm(weights.norm, "norm")
        return self._node("LayerNormalization", states, gain, shift, axis=-1, epsilon=weights.norm.epsilon)

    def block(self, states: str, block: Block, name: str) -> str:
        """One layer: attention, then two products with a GELU between, each added and normed."""
        inputs = self._affine(states, block.inputs, f"{name}.inputs")
        parts = self._nodes_of("Split", [inputs], 3, axis=-1, num_outputs=3)
        found = self._node("MultiHeadAttention", *parts, fused=True, num_heads=self._heads)
        found = self._affine(found, block.output, f"{name}.output")
        states = self._added(found, states, block.attended, f"{name}.attended")
        inner = self._node("Gelu", self._affine(states, block.up, f"{name}.up"), fused=True)
        return self._added(self._affine(inner, block.down, f"{name}.down"), states, block.norm, f"{name}.norm")

    def pooled(self, states: str, pooling: str) -> str:
        """One vector a text."""
        if pooling == "cls":
            return self._node("Gather", states, self._constant("first", np.array(0)), axis=1)
        return self._node("ReduceMean", states, self._constant("over tokens", np.array([1])), keepdims=0)

    def linear(self, states: str, weights: np.ndarray, bias: np.ndarray, name: str) -> str:
        """States W + b in fp32, `weights` of shape (in, out)."""
        product = self._node("MatMul", states, self._constant(f"{name}.weight", weights))
        return self._node("Add", product, self._constant(f"{name}.bias", bias))

    def give(self, name: str, value: str, shape: Sequence[str | int]) -> None:
        """Let a value be an output."""
        helper = self._onnx.helper
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, shape))

    def content(self) -> bytes:
        """The file's bytes."""
        helper, shape = self._onnx.helper, ["texts", "tokens"]
        inputs = [helper.make_tensor_value_info(name, self._onnx.TensorProto.INT64, shape) for name in ("ids", "types")]
        graph = helper.make_graph(self._nodes, "transformer", inputs, self._outputs, list(self._constants.values()))
        operators = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)]
        model = helper.make_model(graph, opset_imports=operators, ir_version=_IR, producer_name="transferlm")
        if model.ByteSize() > _LARGEST:
            raise SettingError(f"{model.ByteSize():,} bytes of weights: an ONNX file holds {_LARGEST:,} at the most")
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _affine(self, states: str, affine: Affine, name: str) -> str:
        matrix, bias = _array(affine.weight), _array(affine.bias)
        if not self._int8:
            return self.linear(states, matrix.T, bias, name)
        integers, scales = in_blocks(matrix)
        constants = (self._constant(f"{name}.{part}", a) for part, a in (("integers", integers), ("scales", scales)))
        return self._node(
            "MatMulNBits",
            *(states, *constants, "", "", self._constant(f"{name}.bias", bias)),
            fused=True,
            N=matrix.shape[0],
            K=matrix.shape[1],
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,
        )

    def _added(self, found: str, states: str, norm: Norm, name: str) -> str:
        gain, shift = self._norm(norm, name)
        return self._node("SkipLayerNormalization", found, states, gain, shift, fused=True, epsilon=norm.epsilon)

    def _norm(self, norm: Norm, name: str) -> tuple[str, str]:
        return self._constant(f"{name}.gain", _array(norm.gain)), self._constant(f"{name}.shift", _array(norm.shift))

    def _constant(self, name: str, value: np.ndarray) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def _node(self, kind: str, *inputs: str, fused: bool = False, **settings: Any) -> str:
        return self._nodes_of(kind, inputs, 1, fused, **settings)[0]

    def _nodes_of(
        self, kind: str, inputs: Sequence[str], outputs: int, fused: bool = False, **settings: Any
    ) -> list[str]:
        names = [f"{kind}.{len(self._nodes)}.{output}" for output in range(outputs)]
        domain = _FUSED if fused else ""
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), names, domain=domain, **settings))
        return names


def _library() -> Any:
    try:
        import onnx
    except ImportError:
        raise SettingError("an ONNX file is written by the package onnx: pip install 'transferlm[onnx]'") from None
    return onnx


def _array(weight: torch.Tensor) -> np.ndarray:
    found: np.ndarray = weight.numpy()
    return found
