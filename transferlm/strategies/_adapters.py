"""Small trainable parts on a frozen model's matrices, by `peft`, which are merged into them when training ends."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from transferlm.errors import SettingError, UnsupportedError
from transferlm.models.base import Encoder, LinearLayers, Model
from transferlm.neural.loop import Group
from transferlm.seeding import derive
from transferlm.strategies._training import Tuned, Tuning

__all__ = ["Adapted", "common_divisor"]


@dataclass(frozen=True)
class Adapted(Tuned):
    """A strategy that trains adapters on the matrices of the layers, and the head, and nothing else.

    When training ends the adapters are merged: the task model is an ordinary one, as fast and as large as the source.
    """

    matrices: Literal["attention", "all"] = "all"
    """Which matrices have an adapter: those of attention, or these and the ones of what follows it in a layer."""

    requires: ClassVar[tuple[type, ...]] = (Encoder, LinearLayers)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.matrices not in ("attention", "all"):
            raise SettingError(f"matrices {self.matrices!r}: choose attention or all")

    @abstractmethod
    def adapter(self, layers: Mapping[str, nn.Linear]) -> tuple[type[Any], Any]:
        """The tuner class of `peft` and its configuration, for these layers by name."""

    @contextmanager
    def prepared(self, body: Model, seed: int) -> Iterator[Model]:
        """Within the block the body's matrices have adapters; after it they are merged."""
        assert isinstance(body, LinearLayers)
        chosen = {
            name: layer for name, layer in body.linear_layers().items() if self.matrices == "all" or "att" in name
        }
        if not chosen:
            raise UnsupportedError(f"this {body.family} has no linear layer of attention: give matrices all")
        with _straight(body.module, chosen) as layers, torch.random.fork_rng():
            tuner, configuration = self.adapter(layers)
            torch.manual_seed(derive(seed, "adapters"))
            attached = tuner(body.module, configuration, "default")
            yield body
            attached.merge_and_unload()
            body.module.__dict__.pop("peft_config", None)
            body.module.requires_grad_(True)

    def tune(self, tuning: Tuning) -> None:
        """Train the adapters and the head."""
        moving = [p for p in tuning.body.module.parameters() if p.requires_grad]
        tuning.fit([Group([*moving, *tuning.head.parameters()])])


def common_divisor(layers: Mapping[str, nn.Linear], most: int) -> int:
    """The largest number up to `most` that divides what each of the layers reads."""
    whole = math.gcd(*(layer.in_features for layer in layers.values()))
    return max(size for size in range(1, most + 1) if whole % size == 0)


@contextmanager
def _straight(module: nn.Module, layers: Mapping[str, nn.Module]) -> Iterator[dict[str, nn.Linear]]:
    """Within the block GPT-2's turned layers are linear ones over the same memory; what they are then stays."""
    turned = {name: layer for name, layer in layers.items() if not isinstance(layer, nn.Linear)}
    found = {name: layer for name, layer in layers.items() if isinstance(layer, nn.Linear)}
    for name, layer in turned.items():
        found[name] = _linear(layer)
        module.set_submodule(name, found[name])
    yield {name: found[name] for name in layers}
    for name, layer in turned.items():
        merged: Any = module.get_submodule(name)
        with torch.no_grad():
            layer.weight.copy_(merged.weight.T)  # type: ignore[operator]
        module.set_submodule(name, layer)


def _linear(turned: Any) -> nn.Linear:
    """A linear layer whose weight is the transposed view of a turned layer's, and whose bias is its bias."""
    width, height = turned.weight.shape
    made = nn.Linear(width, height, device="meta")
    made.weight, made.bias = nn.Parameter(turned.weight.detach().T), turned.bias
    return made
