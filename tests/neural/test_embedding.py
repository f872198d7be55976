"""Training only the rows that the data uses gives the same table as training them all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from transferlm.neural.embedding import only_rows
from transferlm.neural.loop import Settings, fit

IDS = np.array([[3, 7, 7], [90, 3, 0], [41, 7, 2], [2, 2, 90]])
TARGETS = torch.tensor([0, 1, 0, 1])


class Bag(nn.Module):
    def __init__(self, padding: int | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(100, 8, padding_idx=padding)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.table(ids).mean(dim=1))
        return scores


def trained(bag: Bag, ids: np.ndarray) -> None:
    def loss(rows: Sequence[int]) -> torch.Tensor:
        scores = bag(torch.from_numpy(ids[list(rows)]))
        return nn.functional.cross_entropy(scores, TARGETS[list(rows)])

    fit(bag, lambda epoch: [[0, 1], [2, 3]], loss, Settings(20, 0.01, clip=0.1, precision="fp32"))


@pytest.mark.parametrize("padding", [None, 0, 55])
def test_the_small_table_learns_what_the_whole_one_does(padding: int | None) -> None:
    whole, small = Bag(padding), Bag(padding)
    trained(whole, IDS)
    with only_rows(small.table, IDS) as renamed:
        assert small.table.weight.shape[0] == len(set(IDS.flatten()) | ({padding} - {None}))
        trained(small, renamed[IDS])
    assert torch.allclose(whole.table.weight, small.table.weight, atol=1e-7, rtol=0)
    assert torch.allclose(whole.head.weight, small.head.weight, atol=1e-7, rtol=0)


def test_unused_rows_stay_to_the_bit() -> None:
    bag = Bag(None)
    before = bag.table.weight.detach().clone()
    with only_rows(bag.table, IDS) as renamed:
        trained(bag, renamed[IDS])
    used = sorted(set(IDS.flatten()))
    unused = sorted(set(range(100)) - set(used))
    assert torch.equal(bag.table.weight[unused], before[unused])
    assert not torch.isclose(bag.table.weight[used], before[used]).all(dim=1).any()


def test_the_table_is_itself_again_afterwards() -> None:
    bag = Bag(55)
    weight = bag.table.weight
    with only_rows(bag.table, IDS):
        assert bag.table.num_embeddings == 7
        assert bag.table.padding_idx != 55
    assert bag.table.weight is weight
    assert (bag.table.num_embeddings, bag.table.padding_idx) == (100, 55)


def test_a_raising_block_still_puts_the_table_back() -> None:
    bag = Bag(None)
    weight = bag.table.weight
    before = weight.detach().clone()

    def interrupted() -> None:
        with only_rows(bag.table, IDS):
            with torch.no_grad():
                bag.table.weight += 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert bag.table.weight is weight
    used = sorted(set(IDS.flatten()))
    assert torch.equal(weight[used], before[used] + 1)


def test_new_ids_point_at_the_old_rows() -> None:
    bag = Bag(None)
    old = bag.table(torch.from_numpy(IDS)).detach()
    with only_rows(bag.table, IDS) as renamed:
        assert torch.equal(bag.table(torch.from_numpy(renamed[IDS])), old)
        assert renamed[1] == -1


def test_a_frozen_table_stays_frozen() -> None:
    bag = Bag(None)
    bag.table.weight.requires_grad_(False)
    with only_rows(bag.table, IDS):
        assert not bag.table.weight.requires_grad


@pytest.mark.parametrize("padding", [None, 0])
def test_gradients_are_those_of_a_plain_table(padding: int | None) -> None:
    plain, quick = Bag(padding), Bag(padding)
    plain(torch.from_numpy(IDS)).sum().backward()
    with only_rows(quick.table, IDS) as renamed:
        for _ in range(2):  # the buffer is used again and starts from zero
            quick.table.weight.grad = None
            quick(torch.from_numpy(renamed[IDS])).sum().backward()
        found, wanted = quick.table.weight.grad, plain.table.weight.grad
        assert found is not None
        assert wanted is not None
        assert torch.allclose(found, wanted[np.flatnonzero(renamed >= 0)], atol=1e-7)
        assert found.any()


def test_a_second_use_of_the_table_adds_its_gradient() -> None:
    bag = Bag(None)
    with only_rows(bag.table, IDS) as renamed:
        ids = torch.from_numpy(renamed[IDS])
        (bag.table(ids).sum() + 3 * bag.table.weight.sum()).backward()
        counts = torch.bincount(ids.flatten()).float()
        assert bag.table.weight.grad is not None
        assert torch.allclose(bag.table.weight.grad, (counts + 3)[:, None].expand(-1, 8))
