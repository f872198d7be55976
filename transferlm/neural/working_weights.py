"""bfloat16 copies of the weights for the passes, fp32 masters for the optimizer: nothing is cast twice a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["WorkingWeights"]


class WorkingWeights:
    """Lends the linear layers among `parameters` bfloat16 weights while their fp32 masters are trained.

    Under autocast every step casts every matrix, and its gradient back, into memory that is new each time; for a small
    model on a processor that takes longer than its matrix products. Here the copies stay where they are and each
    gradient goes to its master as soon as it is there. The numbers are those of autocast to the last bit: it multiplies
    by the same rounded weights and rounds gradients in the same place (Micikevicius et al. 2018, section 3.1). A layer
    that works in fp32 within autocast is a subclass of `nn.Linear`, and is left alone, as is a weight with two uses.

    Args:
        module: Where the linear layers are looked for.
        parameters: What is trained.
        lend: Whether to; where it is false every parameter is its own master.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter], lend: bool) -> None:
        linear, others = (
            {id(p) for m in module.modules() if _is_linear(m) is kind for p in m.parameters(recurse=False)}
            for kind in (True, False)
        )
        self._own = [p for p in parameters if lend and id(p) in linear - others and p.dtype == torch.float32]
        self._masters = [nn.Parameter(p.detach()) for p in self._own]
        self._gradients = [torch.empty_like(p) for p in self._own]
        self._place = {id(p): place for place, p in enumerate(self._own)}
        self._rounded = [p.detach().to(torch.bfloat16) for p in self._own]

    def master(self, parameter: nn.Parameter) -> nn.Parameter:
        """What the optimizer moves in the place of this parameter: its master, or the parameter itself."""
        place = self._place.get(id(parameter))
        return parameter if place is None else self._masters[place]

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within the block the module computes with the copies; after it, with the masters again."""

        def hand_over(parameter: torch.Tensor) -> None:
            assert parameter.grad is not None
            place = self._place[id(parameter)]
            master = self._masters[place]
            if parameter.grad.is_sparse:
                gradient = parameter.grad.to(master.dtype)
                master.grad = gradient if master.grad is None else master.grad + gradient
            elif master.grad is None:
                master.grad = self._gradients[place].copy_(parameter.grad)
            else:
                master.grad.add_(parameter.grad)
            parameter.grad = None

        hooks = [p.register_post_accumulate_grad_hook(hand_over) for p in self._own]  # type: ignore[no-untyped-call]
        self._show(self._rounded)
        try:
            yield
        finally:
            self._show(self._masters)
            for hook in hooks:
                hook.remove()

    @contextmanager
    def withdrawn(self) -> Iterator[None]:
        """Within the block, inside `lent`, the module computes with the masters."""
        self._show(self._masters)
        try:
            yield
        finally:
            self._show(self._rounded)

    def refresh(self) -> None:
        """Round the masters anew, after they have moved."""
        if self._own:
            torch._foreach_copy_(self._rounded, [master.detach() for master in self._masters])

    def _show(self, values: Sequence[torch.Tensor]) -> None:
        for parameter, value in zip(self._own, values, strict=True):
            parameter.data = value.data


def _is_linear(module: nn.Module) -> bool:
    """Whether it does one product and a sum with its parameters: GPT-2's layers are linear ones turned."""
    return type(module) is nn.Linear or type(module).__name__ == "Conv1D"
