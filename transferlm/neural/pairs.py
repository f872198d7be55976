"""Losses over all pairs of a batch, made from each text's one vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

__all__ = ["PAIR_LOSSES", "cosine_pairs", "supervised_contrastive"]


def supervised_contrastive(states: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Khosla et al. 2020, eq. 2: of all other texts, each one should find those of its class nearest.

    The mean over texts that have another of their class beside them of the cross-entropy between the softmax of the
    cosines over the temperature and an even share for each text of the class.

    Args:
        states: Vectors of shape (texts, width), of any length.
        targets: int64 of shape (texts,): the class of each.
        temperature: Divides the cosines.

    >>> states = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> round(supervised_contrastive(states, torch.tensor([0, 0, 1, 1]), 1.0).item(), 4)  # log(e + 2) - 1
    0.5514
    """
    cosines, alike, _ = _compared(states, targets)
    scores = cosines / temperature
    own = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    log_shares = scores - scores.masked_fill(own, -torch.inf).logsumexp(dim=1, keepdim=True)
    counts = alike.sum(dim=1)
    sums = (log_shares * alike).sum(dim=1)
    return -(sums / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)


def cosine_pairs(states: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:  # noqa: ARG001
    """Squared distance of the cosines from 1 within a class and 0 across, both kinds weighing the same.

    SetFit's loss (Tunstall et al. 2022, section 3.1) with its equal numbers of both kinds; there is no temperature.

    >>> states = torch.tensor([[1.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    >>> cosine_pairs(states, torch.tensor([0, 0, 1]), 1.0).item()  # alike: 0; unlike: 1
    0.5
    """
    cosines, alike, others = _compared(states, targets)
    errors = (cosines - alike.float()) ** 2
    kinds = [errors[pairs].mean() for pairs in (alike, others) if bool(pairs.any())]
    return torch.stack(kinds).mean()


PAIR_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]] = {
    "supervised_contrastive": supervised_contrastive,
    "cosine": cosine_pairs,
}
"""Name -> loss of (vectors, classes, temperature)."""


def _compared(states: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cosines of all pairs, which pairs are of one class (no text with itself), and which are not."""
    units = functional.normalize(states, dim=1)
    alike = targets[:, None] == targets[None, :]
    others = ~alike
    alike = alike & ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    return units @ units.T, alike, others
