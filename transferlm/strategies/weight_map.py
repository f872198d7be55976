"""Train a small linear map of each matrix onto another one, and a new head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from transferlm.errors import SettingError
from transferlm.strategies._adapters import Adapted, common_divisor

__all__ = ["WeightMap"]


@dataclass(frozen=True)
class WeightMap(Adapted):
    """Each matrix W becomes W + T(W), T a linear map that starts at zero and turns W; merged when training ends.

    W + T(W) = W R with R orthogonal, so that the angles between the rows of W, what it knows, stay as they are. `oft`
    (Qiu et al. 2023) builds R of blocks on the diagonal, each the Cayley transform (I - Q)(I + Q)^-1 of a
    skew-symmetric Q; `hra` (Yuan et al. 2024) of Householder reflections, each of which mixes all of a row.
    """

    method: Literal["oft", "hra"] = "oft"
    """How R is built: of blocks, or of reflections."""
    size: int = 32
    """Largest width of a block, or number of reflections, an even one: they begin in pairs that cancel."""
    learning_rate: float = 1e-3
    """Peak step size; maps want ten times that of whole layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in ("oft", "hra"):
            raise SettingError(f"method {self.method!r}: choose oft or hra")
        if self.size < 2:
            raise SettingError(f"size {self.size}: give 2 or more")
        if self.method == "hra" and self.size % 2:
            raise SettingError(f"size {self.size}: give an even number, reflections begin in pairs")

    def adapter(self, layers: Mapping[str, nn.Linear]) -> tuple[type[Any], Any]:
        """Layers that turn what they read before the frozen matrix."""
        from peft import HRAConfig, HRAModel, OFTConfig, OFTModel

        names = list(layers)
        if self.method == "hra":
            return HRAModel, HRAConfig(r=self.size, target_modules=names)
        block = common_divisor(layers, self.size)
        if block < 2:
            raise SettingError("the layers read widths with no common divisor: choose method hra")
        return OFTModel, OFTConfig(oft_block_size=block, r=0, use_cayley_neumann=False, target_modules=names)
