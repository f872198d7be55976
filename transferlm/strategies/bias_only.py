"""Train the biases and a new head, and leave every matrix as it is."""

from __future__ import annotations

from dataclasses import dataclass

from transferlm.errors import UnsupportedError
from transferlm.neural.loop import Group
from transferlm.strategies._training import Tuned, Tuning

__all__ = ["BiasOnly"]


@dataclass(frozen=True)
class BiasOnly(Tuned):
    """Biases of layers and norms, and the head (BitFit, Ben-Zaken et al. 2022).

    They are about a thousandth of a BERT's weights, so little can be forgotten or overfitted; and no gradient of a
    matrix is computed, a third of a step's work.
    """

    learning_rate: float = 1e-3
    """Peak step size; biases want ten times that of whole layers."""

    def tune(self, tuning: Tuning) -> None:
        """Train what is named a bias.

        Raises:
            UnsupportedError: The model has no biases (a Llama has none).
        """
        biases = [p for name, p in tuning.named_layers() if p.ndim == 1 and name.rpartition(".")[2].startswith("bias")]
        if not biases:
            raise UnsupportedError(
                f"bias_only trains biases, and the layers of this {tuning.source.family} have none: use low_rank or"
                " fine_tuning"
            )
        tuning.fit([Group([*biases, *tuning.head.parameters()])])
