"""Low-rank adapters on the matrices of a module, by peft: attached, trained in their place, merged into them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn

__all__ = ["Adapters"]

_NAME = "default"


class Adapters:
    """W + alpha / rank B A in the place of each matrix W, where B and A are trained alone (LoRA, Hu et al. 2022).

    A linear layer is adapted as such; a matrix of any other module, a recurrent layer's say, is adapted where the
    module reads it. B is 0 at first, so that nothing changes by attaching.

    Args:
        module: What the matrices are part of; it is changed in place, and frozen but for the adapters.
        matrices: Parameters of two dimensions.
        rank: Columns of B and rows of A.
        alpha: Weight of the product, over `rank`.
    """

    def __init__(self, module: nn.Module, matrices: Collection[nn.Parameter], rank: int, alpha: float) -> None:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel

        layers, weights = _places(module, {id(matrix) for matrix in matrices})
        self.module = module
        self._order = {part: list(part._parameters) for part in module.modules()}
        self._frozen = [parameter for parameter in module.parameters() if parameter.requires_grad]
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=layers, target_parameters=weights)  # type: ignore[arg-type]
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="fan_in_fan_out"
            )  # peft finds out by itself that GPT-2's are turned
            self._peft: Any = LoraModel(module, config, _NAME)
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def merge(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Add the products to the matrices and take the adapters off: the module is what it was, but for its weights.

        Returns:
            What was added to each matrix, by its name, as two fp32 factors: (rows, rank) and (rank, columns).
        """
        factors = dict(self._factors())
        self._peft.merge_and_unload()
        for part, names in self._order.items():  # a matrix that was read through an adapter comes back as the last one
            own = dict(part._parameters)
            part._parameters.clear()
            part._parameters.update({name: own[name] for name in names})
        for parameter in self._frozen:
            parameter.requires_grad_(True)
        return factors

    def _factors(self) -> Iterator[tuple[str, tuple[torch.Tensor, torch.Tensor]]]:
        for place, layer in self.module.named_modules():
            if not hasattr(layer, "lora_A") or _NAME not in layer.lora_A:
                continue
            down, up = (table[_NAME].weight.detach().float() for table in (layer.lora_A, layer.lora_B))
            up = up * layer.scaling[_NAME]
            name = f"{place.replace('.base_layer', '')}.{getattr(layer, 'parameter_name', 'weight')}"
            yield name, (down.T, up.T) if getattr(layer, "fan_in_fan_out", False) else (up, down)


def _places(module: nn.Module, wanted: set[int]) -> tuple[list[str], list[str]]:
    """The linear layers that hold wanted matrices, and the wanted matrices of all other modules, by name."""
    layers, weights = [], []
    for place, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            if id(parameter) not in wanted:
                continue
            if isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D":
                layers.append(place)
            else:
                weights.append(f"{place}.{name}")
    return layers, weights
