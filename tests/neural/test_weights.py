"""Weights to a file and back, every mismatch named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from transferlm.errors import ModelFolderError
from transferlm.neural.weights import load_weights, save_weights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(nn.Linear(3, 2), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_there_and_back_to_the_bit(file: Path) -> None:
    torch.manual_seed(0)
    original, other = nn.Linear(3, 2), nn.Linear(3, 2)
    load_weights(other, file)
    assert torch.equal(original.weight, other.weight)
    assert torch.equal(original.bias, other.bias)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (nn.Linear(4, 2), r"tensor weight has shape \(2, 3\), the configuration beside it says \(2, 4\)"),
        (nn.Linear(3, 2, bias=False), "tensor bias belongs to no part"),
        (nn.BatchNorm1d(2), "tensor weight has shape|tensor running_mean is missing"),
    ],
)
def test_a_mismatch_is_named_and_changes_nothing(file: Path, module: nn.Module, told: str) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ModelFolderError, match=told):
        load_weights(module, file)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_truncated_file_is_one_clear_line(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ModelFolderError, match="can't be read") as error:
        load_weights(nn.Linear(3, 2), file)
    assert "\n" not in str(error.value)


def test_tied_copies_are_written_once(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    module[1].weight = module[0].weight
    skip = frozenset({"1.weight"})
    save_weights(module, tmp_path / "tied.safetensors", skip=skip)
    twin = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    twin[1].weight = twin[0].weight
    load_weights(twin, tmp_path / "tied.safetensors", skip=skip)
    assert torch.equal(twin[1].weight, module[0].weight)
