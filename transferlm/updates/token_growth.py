"""New words or sub-words enter a neural model, and it learns from the new text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from transferlm.errors import ForgettingError, SettingError, UnsupportedError
from transferlm.models.base import GrowingTokens, Masked, Model, SelfSupervised, TokenScores, digest
from transferlm.neural.freezing import only
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.text.corpus import Corpus
from transferlm.updates._further_training import Course, FurtherTraining
from transferlm.updates._pair import Interleaved
from transferlm.updates.base import at_least

__all__ = ["TokenGrowth"]

_MOST, _MOST_HIDDEN, _HIDDEN, _PLACES = 500, 100, 1000, 9
"""Old texts that the check is made on, at the most; of a masked model, which reads a text once a token, texts and their
tokens; and places on the way back that are tried."""
_MADE_FOR_WEIGHTS = ("adapter", "information", "posterior")


@dataclass(frozen=True)
class TokenGrowth(FurtherTraining):
    """Tokens that pay their way in the new text are added, then the model learns from it.

    Words that were unknown become known; byte pairs go on being joined and WordPiece takes in whole words, so that the
    new text takes fewer tokens. Rows begin as the mean of those of their pieces; they learn first, alone
    (`head_steps`), then all weights do, with old text in between where it is given. The old text's loss may not rise by
    more than `tolerance`: texts that are not trained on tell, and where it did, the weights go back as far as is
    needed.
    """

    most: int = 1000
    """New tokens, at the most."""
    worth: int = 20
    """How often one has to stand in the new text; one that joins a pair saves as many tokens."""
    tolerance: float = 0.02
    """Largest relative rise of the old text's loss, words that were unknown left aside: 0.02 is 2%."""
    share: float = 0.5
    """Weight of old text beside new in each step."""

    requires: ClassVar[tuple[type, ...]] = (GrowingTokens,)
    labelled: ClassVar[bool] = False
    uses_old: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, most=self.most, worth=self.worth)
        if not (self.tolerance >= 0 and math.isfinite(self.tolerance)):
            raise SettingError(f"tolerance {self.tolerance}: give 0 or more; 0.02 is 2%")
        if not 0 < self.share < 1:
            raise SettingError(f"share {self.share}: give a number above 0 and below 1")

    def learn(self, model: Model, new: Corpus, old: Corpus | None, seed: int, checkpoints: Path | None) -> Lineage:
        """Add the tokens, train their rows, then all, and check the old text."""
        assert isinstance(model, GrowingTokens)
        several = old is not None and old.survey().texts > 1
        most = _MOST_HIDDEN if isinstance(model, Masked) else _MOST
        rehearsed, past = _aside(old, seed, most) if old is not None and several else (old, None)
        key = self._key(model, new, seed)
        judge = None if past is None else _Judge(model, list(past))
        tokens = len(model.tokenizer)
        added = model.grow_tokens(self.most, self.worth, new)
        notes = _drop_kept(model) if added else ["no new token pays its way in the new text"]
        if added:
            self._settle_rows(model, new, rehearsed, tokens, seed, (checkpoints, "rows", key))
        home = [parameter.detach().clone() for parameter in _weights(model)]
        learnt = super().learn(model, new, rehearsed, seed, checkpoints)
        model.module.eval()
        learnt.scores["tokens added"] = float(added)
        learnt.notes = [*notes, *learnt.notes]
        if judge is None:
            learnt.notes.append("no old text was given (or a single one), so its loss was not checked")
        else:
            learnt.scores |= self._go_back(model, home, judge)
        return learnt

    def course(self, model: SelfSupervised, new: Corpus, old: Corpus | None, seed: int) -> Course:
        """The model's own loss on new text, and on old."""
        course = super().course(model, new, old, seed)
        if old is not None:
            replayed = model.objective(old, derive(seed, "old"), self.batch_size)
            course.objective = Interleaved(course.objective, replayed, self.share)
            course.decisive = (old.hash,)
        return course

    def _settle_rows(
        self,
        model: GrowingTokens,
        new: Corpus,
        old: Corpus | None,
        tokens: int,
        seed: int,
        state: tuple[Path | None, str, str],
    ) -> None:
        """Train the rows of the new tokens and nothing else."""
        tables = model.token_tables()

        def hold_old_rows(parameters: Sequence[torch.Tensor]) -> None:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
                    parameter.grad[:tokens] = 0

        course = self.course(model, new, old, derive(seed, "rows"))
        course.pull = hold_old_rows
        folder, part, key = state
        state = (folder, part, digest(key, *course.decisive))
        was = [table[:tokens].detach().clone() for table in tables]
        with only(course.objective.module, tables):
            self._trained(course, tables, self.head_learning_rate, self.head_steps, seed, state)
        with torch.no_grad():  # weights shrink where nothing pulls on them: the old rows do not
            for table, own in zip(tables, was, strict=True):
                table[:tokens] = own

    @torch.no_grad()
    def _go_back(self, model: Any, home: Sequence[torch.Tensor], judge: _Judge) -> dict[str, float]:
        """Take the place nearest to the new weights where the old text's loss has not risen too far."""
        parameters = _weights(model)
        moved = [parameter.detach().clone() for parameter in parameters]
        for share in np.linspace(1, 0, _PLACES).tolist():
            for parameter, was, now in zip(parameters, home, moved, strict=True):
                parameter.copy_(torch.lerp(was, now, share))
            rise = judge.rise(model)
            if rise <= self.tolerance:
                return {"old loss's rise": rise, "share of the new weights": share}
        raise ForgettingError(
            f"refused: with the new tokens alone the old text's loss rises by {rise:.2%}, more than the"
            f" {self.tolerance:.2%} allowed: add fewer (most, worth), or allow more (tolerance)"
        )


class _Judge:
    """The loss on old texts, before and after; of a masked model its pseudo-likelihood, word by word.

    A word that was unknown is left aside, there and then: it was another question.
    """

    def __init__(self, model: Any, texts: list[str]) -> None:
        self.texts = _fewer(model, texts) if isinstance(model, Masked) else texts
        self.unknown = model.tokenizer.unknown_id
        try:
            self.before = self._scores(model)
        except UnsupportedError as error:
            raise UnsupportedError(f"old text can't be checked word by word: {error}; or give no old text") from None

    def rise(self, model: Any) -> float:
        """How much it has risen, relative to what it was; 0 where every word was unknown."""
        was = now = 0.0
        for before, after in zip(self.before, self._scores(model), strict=True):
            unknown = before.offsets[before.ids == self.unknown] if self.unknown is not None else before.offsets[:0]
            was += float(before.log_probs[_beside(before.offsets, unknown)].sum())
            now += float(after.log_probs[_beside(after.offsets, unknown)].sum())
        return now / was - 1 if was else 0.0

    def _scores(self, model: Any) -> list[TokenScores]:
        # With all pieces of a word hidden together it is the same question however many they are.
        found = model.pseudo_scores(self.texts, True) if isinstance(model, Masked) else model.token_scores(self.texts)
        return list(found)


def _fewer(model: Any, texts: list[str]) -> list[str]:
    """The first texts, as many as have so few tokens together; one at the least."""
    ends = np.cumsum([len(tokens) for tokens in model.tokenizer.encode(texts)])
    return texts[: max(1, int(np.searchsorted(ends, _HIDDEN, side="right")))]


def _beside(offsets: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Which tokens have no character in any of these spans, which are in order: bool of shape (tokens,)."""
    if not len(spans):
        return np.ones(len(offsets), dtype=bool)
    next_one = np.searchsorted(spans[:, 1], offsets[:, 0], side="right")
    begins = np.append(spans[:, 0], np.iinfo(np.int32).max)[next_one]
    return np.asarray(begins >= offsets[:, 1])


def _weights(model: Any) -> list[torch.nn.Parameter]:
    """All that learns: the body, and of a masked model its head."""
    return list(
        torch.nn.ModuleList(part for part in vars(model).values() if isinstance(part, torch.nn.Module)).parameters()
    )


def _aside(old: Corpus, seed: int, most: int) -> tuple[Corpus, Corpus]:
    """The old texts to train on, and those that tell what is forgotten: a tenth, and no more than some."""
    return old.held_out(min(0.1, most / old.survey().texts), derive(seed, "old loss"))


def _drop_kept(model: Model) -> list[str]:
    """What was measured for each weight does not fit tables with more rows, and is no longer kept."""
    gone = [name for name in model.kept if name in _MADE_FOR_WEIGHTS]
    model.kept = {name: thing for name, thing in model.kept.items() if name not in gone}
    return [f"kept for other weights, and gone: {', '.join(gone)}"] if gone else []
