"""Go on with the model's own pretraining on new text."""

from __future__ import annotations

from dataclasses import dataclass

from transferlm.updates._further_training import FurtherTraining

__all__ = ["ContinuedPretraining"]


@dataclass(frozen=True)
class ContinuedPretraining(FurtherTraining):
    """The model's own loss on new text: next tokens, or masked ones (Gururangan et al. 2020).

    On labelled examples it is plain further fine-tuning of a task model, by the task's loss. Nothing holds the weights
    back, so what the new text lacks is forgotten: the other methods are measured by this one.
    """
