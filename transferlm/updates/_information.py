"""How much a model's predictions depend on each weight, measured for an update and carried to the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from transferlm.models._gradient_trained import weights_digest
from transferlm.models._kept_weights import numbers_of_weights
from transferlm.models.base import Kept, Model, Objective, SelfSupervised
from transferlm.neural.fisher import fisher_information
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus

__all__ = ["WITHOUT_OLD", "Information", "a_pass", "measured"]

WITHOUT_OLD = "no old text was given: the information is that of new text under the old model's predictions"


_PASSES = 4
"""Most passes over a short text: more draws from the same contexts tell little more."""


@dataclass
class Information:
    """One non-negative number a weight, in the order of an objective's parameters.

    Attributes:
        tensors: fp32, of the parameters' shapes.
        note: Where it comes from, where a person should know.
        hash: SHA-256 of what was kept; empty where it was measured just now.
        facts: What was kept beside it.
    """

    tensors: list[torch.Tensor]
    note: str = ""
    hash: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def kept(cls, model: SelfSupervised, name: str, objective: Objective) -> Self | None:
        """What lies with a model under that name; None where nothing does.

        Raises:
            ModelFolderError: It does not fit the weights.
        """
        assert isinstance(model, Model)
        kept = model.kept.get(name)
        if kept is None:
            return None
        tensors = numbers_of_weights(kept, name, objective.module)
        moved = kept.facts.get("weights") != weights_digest(model.module)
        note = f"{name}, kept with the model, was measured before another method moved the weights" if moved else ""
        return cls(tensors, note, kept.hash, kept.facts)

    def lay_with(self, model: SelfSupervised, name: str, objective: Objective, **facts: Any) -> None:
        """Keep it with a model, in the place of what it kept before under that name."""
        assert isinstance(model, Model)
        named = zip(objective.module.named_parameters(), self.tensors, strict=True)
        arrays = {own: tensor.cpu().numpy() for (own, _), tensor in named}
        facts = {"numbers": sum(array.size for array in arrays.values()), **facts}
        model.kept = {**model.kept, name: Kept(arrays, {**facts, "weights": weights_digest(model.module)})}


def measured(
    model: SelfSupervised, corpus: Corpus, tokens: int, batch_size: int | None, seed: int
) -> tuple[list[torch.Tensor], int]:
    """The Fisher information that a corpus gives of a model's weights.

    Args:
        model: In evaluation mode.
        corpus: Texts; read again, up to four times, where they are fewer tokens than wanted.
        tokens: Predictions to measure it from.
        batch_size: As in `SelfSupervised.objective`.
        seed: Decides order, hidden tokens and draws.

    Returns:
        A predicted token's on average (`fisher_information`), and how many tokens one pass over the corpus predicts.
    """
    objective = model.objective(corpus, derive(seed, "information"), batch_size)
    objective.module.eval()
    parameters = list(objective.module.parameters())
    found, _ = fisher_information(parameters, _again(objective), objective.readout, tokens, derive(seed, "drawn"))
    return found, a_pass(objective)


def a_pass(objective: Objective) -> int:
    """Tokens that one pass over an objective's corpus predicts."""
    return sum(objective.predictions(batch) for batch in objective.batches(0))


def _again(objective: Objective) -> Iterator[Any]:
    """One epoch's batches after the other's, for a few epochs."""
    for epoch in range(_PASSES):
        yield from objective.batches(epoch)
