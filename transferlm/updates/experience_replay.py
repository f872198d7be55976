"""Train further on new text with old text in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transferlm.errors import SettingError
from transferlm.models.base import Causal, Model, SelfSupervised
from transferlm.progress import Progress
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining
from transferlm.updates._memory import Memory
from transferlm.updates._pair import Interleaved
from transferlm.updates.base import at_least

__all__ = ["ExperienceReplay"]

_TOGETHER = 16
"""Texts that are written side by side between two looks at the progress."""


@dataclass(frozen=True)
class ExperienceReplay(FurtherTraining):
    """Every step learns from new text and from old (Robins 1995; Rolnick et al. 2019).

    Old is the text (or are the labelled examples) given as such, else what the model remembers of earlier updates, else
    text that a causal model writes itself before it is updated (pseudo-rehearsal, Robins 1995; Sun, Ho & Lee 2020). A
    bounded memory of old and new text, drawn evenly from all of it, is kept with the model for its next update.
    """

    share: float = 0.5
    """Weight of old text beside new in each step, above 0 to below 1."""
    memory: int = 10_000
    """Most texts that are kept with the model, readable to whoever has the folder; 0 keeps none. Few are learnt by
    heart and save little (`updating.py`): with 180,000 tokens of old text a tenth of the forgetting was left, with
    11,000 nearly nine."""
    written: int = 200
    """Texts that a causal model writes itself where it has no old ones."""

    uses_old: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, memory=self.memory)
        at_least(1, written=self.written)
        if not 0 < self.share < 1:
            raise SettingError(f"share {self.share}: give a number above 0 and below 1")

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss on new and old text together."""
        rehearsed, note = self._old(model, old, seed)
        own = model.objective(new, derive(seed, "body"), self.batch_size)
        replayed = model.objective(rehearsed, derive(seed, "old"), self.batch_size)
        course = Course(Interleaved(own, replayed, self.share), decisive=(rehearsed.hash,), notes=[note])
        course.finish = lambda: self._remember(model, new, old, seed)
        return course

    def _remember(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Lineage:
        """Keep some of the texts with the model."""
        assert isinstance(model, Model)
        memory = Memory.of(model)
        if memory is None:
            memory = Memory()
            memory.offer(old or (), self.memory, seed)
        memory.offer(new, self.memory, seed)
        model.kept = {name: thing for name, thing in model.kept.items() if name != "memory"}
        if not self.memory:
            return Lineage()
        memory.lay_with(model)
        return Lineage(notes=[f"{len(memory.texts):,} texts are kept with the model for its next update"])

    def _old(self, model: SelfSupervised, old: Corpus | None, seed: int) -> tuple[Corpus, str]:
        """The text to rehearse, and what it is."""
        assert isinstance(model, Model)
        memory = Memory.of(model)
        if old is not None:
            return old, f"rehearsed: {old.name}"
        if memory is not None and memory.texts:
            return Corpus(memory.texts), f"rehearsed: {len(memory.texts):,} texts that were kept with the model"
        if not isinstance(model, Causal):
            raise SettingError(
                "experience_replay has no old text or examples: give some, or update a model that keeps a memory; a"
                " model that predicts hidden tokens or labels can't write any itself"
            )
        texts: list[str] = []
        with Progress("writing old text", self.written, "texts") as progress:
            while len(texts) < self.written:
                some = min(_TOGETHER, self.written - len(texts))
                texts += model.sample(count=some, seed=derive(seed, "written", len(texts)))
                progress.advance(some)
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise SettingError("experience_replay has no old text, and the model writes none: give some")
        return Corpus(texts), f"rehearsed: {len(texts):,} texts that the model wrote before it was updated"
