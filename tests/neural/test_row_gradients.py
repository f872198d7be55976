"""Steps by sparse gradients against the dense ones of torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from transferlm.neural.loop import fit
from transferlm.neural.row_gradients import RowAdamW, RowSGD, clip_gradients, looked_up_sparsely
from transferlm.neural.settings import Settings

ROWS, WIDTH = 9, 4


def table(seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed)))


def gradients(steps: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(ROWS, WIDTH, generator=draw) for _ in range(steps)]


def of_rows(gradient: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """Sparse, each row in two parts, as sums of gradients are."""
    ids = torch.tensor(rows + rows)
    values = torch.cat([gradient[rows] * 0.25, gradient[rows] * 0.75])
    return torch.sparse_coo_tensor(ids[None], values, gradient.shape, check_invariants=True)


OPTIMIZERS = {
    "adamw": (RowAdamW, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.3, "betas": (0.9, 0.95)}),
    "sgd": (RowSGD, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.3}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_where_all_rows_are_touched_it_is_the_dense_step(name: str) -> None:
    kind, peer, options = OPTIMIZERS[name]
    mine, its = table(), table()
    ours, theirs = kind([mine], **options, fused=True), peer([its], **options)
    for number, gradient in enumerate(gradients(6)):
        # A dense step in between goes on from the same averages.
        mine.grad = gradient.clone() if number == 3 else of_rows(gradient, list(range(ROWS)))
        its.grad = gradient.clone()
        ours.step()
        theirs.step()
        assert torch.allclose(mine, its, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_without_a_gradient_stay_to_the_bit(name: str) -> None:
    kind, _, options = OPTIMIZERS[name]
    moved, bias = table(), nn.Parameter(torch.ones(3))
    start, steps = moved.detach().clone(), kind([moved, bias], **options)
    for gradient in gradients(3):
        moved.grad, bias.grad = of_rows(gradient, [2, 5]), torch.ones(3)
        steps.step()
    still = [row for row in range(ROWS) if row not in (2, 5)]
    assert torch.equal(moved[still], start[still])
    assert not torch.any(moved[[2, 5]] == start[[2, 5]])
    assert not torch.any(bias == 1), "what is dense beside it moves too"


def test_rows_move_as_torchs_sparse_adam_moves_them() -> None:
    """But for epsilon, which AdamW adds after the correction of the averages and SparseAdam before."""
    mine, its = table(), table()
    ours = RowAdamW([mine], lr=0.1, weight_decay=0.0, eps=1e-20)
    theirs = torch.optim.SparseAdam([its], lr=0.1, eps=1e-20)
    for number, gradient in enumerate(gradients(6)):
        mine.grad, its.grad = (of_rows(gradient, [number, number + 1]) for _ in range(2))
        ours.step()
        theirs.step()
    assert torch.allclose(mine, its, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("largest", [0.1, 1e6])
def test_clipping_is_torchs_over_the_dense_gradients(largest: float) -> None:
    (gradient,) = gradients(1)
    mine, its = [table(), nn.Parameter(torch.zeros(3)), table(2)], [table(), nn.Parameter(torch.zeros(3)), table(2)]
    mine[0].grad = of_rows(gradient, [1, 4, 6])
    its[0].grad = mine[0].grad.to_dense()
    mine[1].grad, its[1].grad = torch.full((3,), 2.0), torch.full((3,), 2.0)
    clip_gradients(mine, largest)
    nn.utils.clip_grad_norm_(its, largest)
    assert mine[0].grad.is_sparse
    assert mine[2].grad is None
    assert its[0].grad is not None
    assert torch.allclose(mine[0].grad.to_dense(), its[0].grad, rtol=1e-5)
    assert mine[1].grad is not None
    assert its[1].grad is not None
    assert torch.allclose(mine[1].grad, its[1].grad, rtol=1e-5)


def test_lookups_are_sparse_within_the_block_only() -> None:
    embedding = nn.Embedding(5, 2)
    with looked_up_sparsely(embedding):
        inside = embedding(torch.tensor([1, 1]))
    outside = embedding(torch.tensor([1, 1]))
    assert torch.autograd.grad(inside.sum(), embedding.weight)[0].is_sparse
    assert not torch.autograd.grad(outside.sum(), embedding.weight)[0].is_sparse


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "averaged_sgd"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_loop_trains_by_sparse_gradients_as_by_dense_ones(optimizer: str, accumulate: int) -> None:
    """Every step touches all rows, so that both ways are the same."""
    found = []
    for sparse in (True, False):
        embedding = nn.Embedding.from_pretrained(table().detach().clone(), freeze=False)

        def loss(target: float, embedding: nn.Embedding = embedding, sparse: bool = sparse) -> torch.Tensor:
            embedding.sparse = sparse
            return (embedding(torch.arange(ROWS).repeat(2)) - target).square().mean()

        how: Any = {"accumulate": accumulate, "precision": "fp32", "optimizer": optimizer}
        fit(embedding, lambda _: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], loss, Settings(2, 0.05, 0.1, 0.1, clip=0.2, **how))
        found.append(embedding.weight.detach().clone())
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-6)
