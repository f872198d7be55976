"""Numbers that lie with a model, one for each of its weights: an information, a precision."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from transferlm.errors import ModelFolderError
from transferlm.models.base import Kept

__all__ = ["POSTERIOR", "numbers_of_weights"]

POSTERIOR = "posterior"
"""The name under which the precision of the weights' posterior is kept."""


def numbers_of_weights(kept: Kept, name: str, module: nn.Module) -> list[torch.Tensor]:
    """One non-negative tensor a parameter of the module, in their order and of their shapes, on their device.

    Args:
        kept: What lies with the model.
        name: Its name, for the error.
        module: The weights that it was measured for.

    Raises:
        ModelFolderError: It does not fit the weights.
    """
    tensors = []
    for own, parameter in module.named_parameters():
        array = kept.arrays.get(own)
        if array is None or array.shape != tuple(parameter.shape) or not np.all(array >= 0):
            raise ModelFolderError(f"{name}, kept with the model, does not fit its weight {own}: copy it again")
        tensors.append(torch.from_numpy(np.array(array)).to(parameter.device))
    return tensors
