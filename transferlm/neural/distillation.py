"""Learning from a teacher's whole distribution instead of one token at a time."""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from transferlm.neural.readout import Readout

__all__ = ["distilled"]


def distilled(student: Readout, teacher: Readout, temperature: float = 1.0) -> torch.Tensor:
    """Mean nats by which the student's distributions differ from the teacher's: T^2 KL(teacher || student).

    Both are softened by the temperature, and the square keeps gradients of one size whatever it is (Hinton, Vinyals &
    Dean 2015, section 2). Logits are made a few rows at a time and made again on the way back, so that those of the
    whole batch never lie in memory.

    Args:
        student: What is trained.
        teacher: The same places under the old weights; no gradient goes there.
        temperature: 1 compares the distributions as they are; above, what is improbable counts more.
    """
    if not len(student.states):
        return student.states.sum()  # of no token: 0
    parts = [
        checkpoint(student.divergence, teacher, part, temperature, use_reentrant=False) for part in student.blocks()
    ]
    return torch.stack(parts).sum() * (temperature**2 / len(student.states))
