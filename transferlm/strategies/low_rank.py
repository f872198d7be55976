"""Train a small product of two thin matrices beside each matrix, and a new head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from transferlm.errors import SettingError
from transferlm.strategies._adapters import Adapted

__all__ = ["LowRank"]


@dataclass(frozen=True)
class LowRank(Adapted):
    """LoRA (Hu et al. 2022): W + (alpha / rank) B A, with W frozen, B from zero; merged into W when training ends.

    Two methods: `dora` (Liu et al. 2024) also trains the length of each of W's rows, which helps at low ranks and costs
    a norm of the whole matrix a step. Other kinds differ in where A and B begin, or in the scale, which `alpha` gives.
    """

    method: Literal["lora", "dora"] = "lora"
    """What is trained: the product alone, or it and the lengths of the rows."""
    rank: int = 8
    """Rows of A and columns of B."""
    alpha: float = 16.0
    """The product counts alpha / rank times."""
    adapter_dropout: float = 0.0
    """Share of what A reads that is dropped while training."""
    learning_rate: float = 1e-3
    """Peak step size; adapters want ten times that of whole layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in ("lora", "dora"):
            raise SettingError(f"method {self.method!r}: choose lora or dora")
        if self.rank < 1:
            raise SettingError(f"rank {self.rank}: give 1 or more")
        if not 0 < self.alpha < float("inf"):
            raise SettingError(f"alpha {self.alpha}: give a number above 0")
        if not 0 <= self.adapter_dropout < 1:
            raise SettingError(f"adapter_dropout {self.adapter_dropout}: give a share from 0 up to, not including, 1")

    def adapter(self, layers: Mapping[str, nn.Linear]) -> tuple[type[Any], Any]:
        """LoRA's layers."""
        from peft import LoraConfig, LoraModel

        return LoraModel, LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.adapter_dropout,
            use_dora=self.method == "dora",
            target_modules=list(layers),
        )
