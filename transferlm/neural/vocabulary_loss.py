"""Cross entropy over a vocabulary, a few rows of logits at a time: its tensors outgrow all else in a small model."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["Memory", "VocabularyLoss", "add_product", "rows_of_block", "to_softmax"]

_BLOCK = {"cpu": 1 << 21}
"""Logits of a block on a processor: smaller ones cost in products, larger ones leave the caches."""
_LARGE = 1 << 26
"""Logits of a block elsewhere, where few large products are quicker."""
_ROWS = 256
"""Least rows of a block: each adds to a gradient as large as the table, which must not outgrow its products."""
_ADDED = 256
"""Rows of the layer's gradient that are added to together."""


class Memory:
    """Room for tensors of every step, kept for good: memory that is mapped anew costs more than what is done in it."""

    def __init__(self) -> None:
        self._kept: dict[str, torch.Tensor] = {}

    def room(self, name: str, like: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """The memory kept under that name, on the device of `like`; what stood there is overwritten."""
        count = torch.Size(shape).numel()
        kept = self._kept.get(name)
        if kept is None or kept.numel() < count or kept.dtype != dtype or kept.device != like.device:
            with torch.inference_mode(False):  # what is made in an evaluation may serve a training step
                kept = self._kept[name] = torch.empty(count, dtype=dtype, device=like.device)
        return kept[:count].view(shape)


class VocabularyLoss(Memory):
    """Mean cross entropy of a linear layer's scores, its gradients worked out block by block on the way forward.

    The scores of 700 tokens over 10,000 words are 28 MB, and training as the textbook writes it maps them, their
    softmax and their gradient anew at every step. Here one block of them is kept for good, and no more: the softmax
    overwrites the scores and the gradient the softmax, as in Hsu et al. (2024, Liger Kernel, section 3.2). Within
    autocast products are in its precision, as are the logits; outside of it in fp32, equal to
    `torch.nn.functional.cross_entropy` but for the order of sums. Sums over blocks are fp32.
    """

    def __call__(
        self, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
    ) -> torch.Tensor:
        """Mean nats a token.

        Args:
            states: Shape (tokens, width).
            weight: The layer's, shape (vocabulary, width).
            bias: Shape (vocabulary,), or None.
            targets: int64 of shape (tokens,).
        """
        kind = states.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        loss: torch.Tensor = _InBlocks.apply(states, weight, bias, targets, self, dtype)  # type: ignore[no-untyped-call]
        return loss


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        kept: Memory,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        table = weight if dtype == weight.dtype else kept.room("table", weight, weight.shape, dtype).copy_(weight)
        inputs, count = states.to(dtype), len(states)
        offset = None if bias is None else bias.to(dtype)
        wanted = any(ctx.needs_input_grad)
        # What blocks add to is fp32 even where the layer's own weights are lent in bfloat16.
        shapes = [weight.shape, weight.shape[:1]] if wanted else []
        gradients = [torch.empty_like(inputs)] * wanted + [inputs.new_zeros(s, dtype=torch.float32) for s in shapes]
        rows = rows_of_block(weight, len(weight))
        nats = torch.zeros((), dtype=torch.float64, device=states.device)
        for start in range(0, count, rows):
            some, ids = inputs[start : start + rows], targets[start : start + rows]
            block = kept.room("logits", weight, (rows, len(weight)), dtype)[: len(some)]
            torch.mm(some, table.t(), out=block) if offset is None else torch.addmm(offset, some, table.t(), out=block)
            own = block.gather(1, ids[:, None])[:, 0].float()
            nats += (to_softmax(block) - own).sum(dtype=torch.float64)
            if wanted:
                block[torch.arange(len(some), device=ids.device), ids] -= 1
                torch.mm(block, table, out=gradients[0][start : start + rows])
                add_product(gradients[1], block, some, kept)
                if bias is not None:
                    gradients[2] += block.sum(0, dtype=torch.float32)
        ctx.save_for_backward(*gradients)
        ctx.count, ctx.kinds = count, [None if given is None else given.dtype for given in (states, weight, bias)]
        return (nats / count).float()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scale = upstream / ctx.count
        found = [
            None if kind is None else (gradient * scale if place == 0 else gradient.mul_(scale)).to(kind)
            for place, (gradient, kind) in enumerate(zip(ctx.saved_tensors, ctx.kinds, strict=True))
        ]
        return *found, None, None, None


def rows_of_block(like: torch.Tensor, tokens: int) -> int:
    """Rows of a block of logits over so many tokens, on the device of `like`."""
    return max(_ROWS, _BLOCK.get(like.device.type, _LARGE) // tokens)


def to_softmax(block: torch.Tensor) -> torch.Tensor:
    """Turn logits into probabilities in place, and give the log of each row's sum of exponentials."""
    highest = block.amax(1).float()
    torch.softmax(block, 1, out=block)
    return highest - block.amax(1).float().log()


def add_product(total: torch.Tensor, block: torch.Tensor, states: torch.Tensor, kept: Memory) -> None:
    """Add the layer's gradient of one block, rounded no more often than a product is."""
    if block.dtype == total.dtype:
        total.addmm_(block.t(), states)
        return
    product = torch.mm(block.t(), states, out=kept.room("product", total, total.shape, block.dtype))
    # Added at once, torch would first cast all of the product into new memory: six times as long.
    for sums, part in zip(total.split(_ADDED), product.split(_ADDED), strict=True):  # type: ignore[no-untyped-call]
        sums += part
