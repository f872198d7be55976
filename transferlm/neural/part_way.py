"""Passes that begin part way up a model, from states that lower layers gave before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from transferlm.neural.recurrence import Recurrence

__all__ = ["ModuleStack", "PartWay", "RecurrentStack"]


class PartWay(ABC):
    """Layers one above the other, of which the lower ones can be passed over.

    Attributes:
        depth: How many layers there are, counted from 0 at the bottom.
    """

    depth: int

    @abstractmethod
    def entering(self, layers: Sequence[int], read: Callable[[], torch.Tensor]) -> dict[int, torch.Tensor]:
        """The states (texts, tokens, width) that enter these layers when `read` passes through the model.

        The layer `depth`, which there is not, stands for what `read` gives back.
        """

    @abstractmethod
    def begun(self, layer: int, states: torch.Tensor) -> AbstractContextManager[None]:
        """Within the block a pass begins at this layer with these states (texts, tokens, width)."""


class _Reached(Exception):  # noqa: N818 - no error: it ends a pass that has given what was wanted
    pass


class ModuleStack(PartWay):
    """Layers that are modules of their own, each called with its states as the first argument.

    What else a layer is given (a mask, positions) is made by the model from the batch, as ever.

    Args:
        layers: From the input up.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        self.layers = list(layers)
        self.depth = len(self.layers)
        self._tuples = False  # whether a layer gives its states as the first of several things, as MPNet's do

    def entering(self, layers: Sequence[int], read: Callable[[], torch.Tensor]) -> dict[int, torch.Tensor]:
        """The states that enter these layers; the pass ends at the highest of them."""
        seen: dict[int, torch.Tensor] = {}

        def look(number: int, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            seen[number] = given[0] if given else named["hidden_states"]
            if number == max(layers):
                raise _Reached

        with ExitStack() as stack:
            stack.enter_context(_hooked(self.layers[0].register_forward_hook(self._notice)))
            for number in sorted(set(layers) - {self.depth}):
                stack.enter_context(self._before(number, lambda _, *given, number=number: look(number, *given)))
            stack.enter_context(suppress(_Reached))
            seen[self.depth] = read()
        return {number: seen[number] for number in layers}

    def _notice(self, _: nn.Module, __: tuple[Any, ...], given_back: Any) -> None:
        self._tuples = isinstance(given_back, tuple)

    @contextmanager
    def begun(self, layer: int, states: torch.Tensor) -> Iterator[None]:
        """Within the block the layers below hand on what they are given, and this one reads the states.

        They come from `entering` of this very object, which has seen by then in what form the layers give theirs.
        """

        def instead(
            _: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            if given:
                return (states, *given[1:]), named
            return given, {**named, "hidden_states": states}

        with ExitStack() as stack:
            for below in self.layers[:layer]:
                below.__dict__["forward"] = self._hand_on
                stack.callback(below.__dict__.pop, "forward")
            stack.enter_context(self._before(layer, instead))
            yield

    def _hand_on(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        return (hidden_states,) if self._tuples else hidden_states

    def _before(self, layer: int, hook: Callable[..., Any]) -> AbstractContextManager[None]:
        return _hooked(self.layers[layer].register_forward_pre_hook(hook, with_kwargs=True))


@contextmanager
def _hooked(handle: RemovableHandle) -> Iterator[None]:
    """Within the block the hook is there."""
    try:
        yield
    finally:
        handle.remove()


class RecurrentStack(PartWay):
    """The layers of a `Recurrence`."""

    def __init__(self, layers: Recurrence) -> None:
        self.layers, self.depth = layers, layers.depth

    def entering(self, layers: Sequence[int], read: Callable[[], torch.Tensor]) -> dict[int, torch.Tensor]:
        """The states that enter these layers, units between layers not yet dropped; all layers are read."""
        seen: dict[int, torch.Tensor] = {}
        self.layers.seen = seen
        try:
            whole = read()
        finally:
            self.layers.seen = None
        return {number: whole if number == self.depth else seen[number] for number in layers}

    @contextmanager
    def begun(self, layer: int, states: torch.Tensor) -> Iterator[None]:
        """Within the block the layers below are passed over."""
        self.layers.entrance = layer, states
        try:
            yield
        finally:
            self.layers.entrance = None
