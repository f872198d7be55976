"""A module's weights to and from a `.safetensors` file, with every shape checked and named."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from transferlm.errors import ModelFolderError

__all__ = ["load_weights", "save_weights"]


def save_weights(module: nn.Module, path: Path, skip: frozenset[str] = frozenset()) -> None:
    """Write the module's parameters and buffers, one tensor a name; names in `skip` (tied copies) are left out."""
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in module.state_dict().items()
        if name not in skip
    }
    save_file(tensors, path, metadata={"format": "pt"})


def load_weights(module: nn.Module, path: Path, skip: frozenset[str] = frozenset()) -> None:
    """Fill the module from a file written by `save_weights`.

    Raises:
        ModelFolderError: The file is damaged, a tensor is missing or left over, or one has another shape.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelFolderError(f"{path} can't be read ({error}): copy the folder again") from None
    own = {name: tensor for name, tensor in module.state_dict().items() if name not in skip}
    for name, tensor in own.items():
        if name not in tensors:
            raise ModelFolderError(f"{path}: tensor {name} is missing")
        if tensors[name].shape != tensor.shape:
            raise ModelFolderError(
                f"{path}: tensor {name} has shape {tuple(tensors[name].shape)}, "
                f"the configuration beside it says {tuple(tensor.shape)}"
            )
    extra = sorted(set(tensors) - set(own))
    if extra:
        raise ModelFolderError(f"{path}: tensor {extra[0]} belongs to no part of the model")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
