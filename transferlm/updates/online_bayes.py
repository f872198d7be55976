"""Train further under a Gaussian posterior over the weights, which is carried from update to update."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from transferlm.errors import SettingError
from transferlm.models._kept_weights import POSTERIOR
from transferlm.models.base import SelfSupervised
from transferlm.neural.anchor import Anchor
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining
from transferlm.updates._information import WITHOUT_OLD, Information, a_pass, measured
from transferlm.updates.base import at_least

__all__ = ["OnlineBayes"]


@dataclass(frozen=True)
class OnlineBayes(FurtherTraining):
    """Online Laplace (Ritter, Botev & Barber 2018, eqs. 6 to 8; diagonal): yesterday's posterior is today's prior.

    The posterior is a normal distribution around the weights; its precision is `prior_precision` and the Fisher
    information of every token that was ever learnt from. An update looks for the most probable weights given that prior
    and the new text, then adds the new tokens' information. The precision lies with the model, as large as its weights,
    and tells how sure they are: `posterior_average` averages predictions over draws from it.
    """

    prior_precision: float = 1.0
    """Precision of every weight before any text: 1 over the variance of its prior."""
    old_tokens: int | None = None
    """Tokens that the model had learnt from before its first update by this method; none counts the old text's."""
    strength: float = 1.0
    """What a token of earlier text weighs against one of the new: above 1 forgets less than Bayes' rule has it."""
    information_tokens: int = 50_000
    """Predicted tokens that the information is measured from."""

    uses_old: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, information_tokens=self.information_tokens, old_tokens=self.old_tokens)
        for name in ("prior_precision", "strength"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise SettingError(f"{name} {getattr(self, name)}: give a number above 0")

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss, each weight pulled back as sure as it was."""
        course = super().course(model, new, old, seed)
        posterior = Information.kept(model, POSTERIOR, course.objective)
        if posterior is None:
            found, tokens = measured(model, old or new, self.information_tokens, self.batch_size, seed)
            known = self.old_tokens or tokens
            tensors = [self.prior_precision + known * tensor for tensor in found]
            posterior = Information(tensors, "" if old else WITHOUT_OLD, facts={"tokens": known})
            course.decisive = ("" if old is None else old.hash,)
        else:
            course.decisive = (posterior.hash,)
        # What the posterior weighs against the mean loss of a token: the sum of losses is what Bayes' rule speaks of.
        stiffness = [tensor * (self.strength / max(1, a_pass(course.objective))) for tensor in posterior.tensors]
        course.pull = Anchor(list(course.objective.module.parameters()), stiffness).pull
        course.notes += [posterior.note] * bool(posterior.note)
        course.finish = lambda: self._learnt(model, course, posterior, new, seed)
        return course

    def _learnt(self, model: SelfSupervised, course: Course, posterior: Information, new: Corpus, seed: int) -> Lineage:
        """Add the information of the new tokens to the precision, and keep it."""
        found, tokens = measured(model, new, self.information_tokens, self.batch_size, seed)
        tensors = [was + tokens * now for was, now in zip(posterior.tensors, found, strict=True)]
        known = int(posterior.facts["tokens"]) + tokens
        Information(tensors).lay_with(model, POSTERIOR, course.objective, tokens=known)
        return Lineage(scores={"tokens known": float(known)})
