"""Train further, with each weight held as firmly as the old text depends on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from transferlm.errors import SettingError
from transferlm.models.base import SelfSupervised
from transferlm.neural.anchor import Anchor
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining
from transferlm.updates._information import WITHOUT_OLD, Information, measured
from transferlm.updates.base import at_least

__all__ = ["ElasticWeightConsolidation"]

_NAME = "information"


@dataclass(frozen=True)
class ElasticWeightConsolidation(FurtherTraining):
    """The model's own loss, and strength / 2 sum_i F_i (theta_i - theta*_i)^2 (Kirkpatrick et al. 2017, eq. 3).

    F is the diagonal Fisher information of the old text, measured on the text that is given as such; without one, on
    new text under the old model's own predictions. In its online form (Schwarz et al. 2018, section 4) one F and one
    theta* serve any number of updates: F is kept with the model, as large as its weights, and what the new text adds to
    it is added to `decay` times what it was.
    """

    strength: float = 100.0
    """Weight of the penalty beside the mean loss of a token: as if there were so many old tokens for each new one."""
    decay: float = 0.95
    """What the information of earlier texts keeps of itself at each update, 0 to 1; 1 forgets nothing."""
    information_tokens: int = 50_000
    """Predicted tokens that the information is measured from."""

    uses_old: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, information_tokens=self.information_tokens)
        if not (self.strength >= 0 and math.isfinite(self.strength)):
            raise SettingError(f"strength {self.strength}: give a number of 0 or more")
        if not 0 <= self.decay <= 1:
            raise SettingError(f"decay {self.decay}: give a share from 0 to 1")

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss, each weight pulled back as its information says."""
        course = super().course(model, new, old, seed)
        information = Information.kept(model, _NAME, course.objective)
        if information is None:
            found, _ = measured(model, old or new, self.information_tokens, self.batch_size, seed)
            information = Information(found, "" if old else WITHOUT_OLD)
            course.decisive = ("" if old is None else old.hash,)
        else:
            course.decisive = (information.hash,)
        stiffness = [self.strength * tensor for tensor in information.tensors]
        course.pull = Anchor(list(course.objective.module.parameters()), stiffness).pull
        course.notes += [information.note] * bool(information.note)
        course.finish = lambda: self._consolidate(model, course, information, new, seed)
        return course

    def _consolidate(
        self, model: SelfSupervised, course: Course, information: Information, new: Corpus, seed: int
    ) -> Lineage:
        """Add what the new text depends on to the information, and keep it."""
        found, _ = measured(model, new, self.information_tokens, self.batch_size, seed)
        tensors = [self.decay * was + now for was, now in zip(information.tensors, found, strict=True)]
        Information(tensors).lay_with(model, _NAME, course.objective)
        return Lineage()
