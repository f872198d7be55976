"""Several causal models as one: the sum of their probabilities, each with its weight."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from transferlm import catalog, storage
from transferlm.counts.counted_text import CountedText
from transferlm.counts.mapped_arrays import map_arrays, save_arrays
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.models._alignment import Aligned, Scored, align
from transferlm.models._causal import Context, scored_windows
from transferlm.models._confidence import Confidence
from transferlm.models._mixing import fitted_strength, fitted_weights
from transferlm.models._opening import open_model
from transferlm.models._weighing import Weighing
from transferlm.models.base import (
    Causal,
    CountBased,
    Model,
    TokenScores,
    Trainable,
    Vocabulary,
    digest,
    made_from,
    require,
)
from transferlm.progress import Progress
from transferlm.text.corpus import Corpus

__all__ = ["Mixture"]

_HELD_OUT = 0.1
"""Share of a corpus that weights are fitted on when all components are trained on the rest of it."""


@dataclass(eq=False)
class Mixture(Model, Causal, Trainable):
    """Several causal models as one (Jelinek & Mercer 1980): p(w | h) = sum of weight times p(w | h) of each.

    With a `strength` the last one's counts are evidence, and all before it, in the proportion of their weights, the
    prior: p(w | h) = u(h) prior(w | h) + (1 - u(h)) last(w | h). The prior's share u falls with every order of the
    context that the last one has seen, by s t / (c + s t): c is how often anything followed it there, t how many
    different words did, s the strength. So the old model speaks where the new one knows little (MAP adaptation,
    Bacchiani & Roark 2003; t / c as the chance of something new is Witten & Bell 1991).

    With `switching` a component's weight grows as it foretells the text better than the others: it is multiplied by its
    probability of every word read, and a share of it given back (the fixed share of Herbster & Warmuth 1998, eq. 3.2),
    so that the mixture turns to the kind of text that it is reading. In a stream it does so over the ends of texts.
    """

    strength: float | None = None
    """What a prior's word counts for beside the words counted; none mixes by fixed weights instead."""
    switching: float | None = None
    """Chance at each word that a text turns to another kind, 0 to 1; none keeps the weights whatever was read."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"strength", "switching"})

    def __post_init__(self) -> None:
        if self.switching is not None and not 0 <= self.switching <= 1:
            raise SettingError(f"switching {self.switching}: give a number from 0 to 1, or none for weights that stay")
        if self.strength is not None and not 0 < self.strength < float("inf"):
            raise SettingError(f"strength {self.strength}: give a number above 0, or none for fixed weights")
        self.components: tuple[Model, ...] = ()
        self.weights = np.zeros(0)

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        weights: Sequence[float] | None = None,
        strength: float | None = None,
        switching: float | None = None,
    ) -> Self:
        """A mixture of these models, which it keeps as they are.

        Args:
            models: One causal model or more.
            weights: One number a model, 0 or more, in any scale; none weighs all alike.
            strength: As the hyper-parameter; the last model must then be made from counts.
            switching: As the hyper-parameter.

        Raises:
            UnsupportedError: A model is not causal, or they cut texts differently.
            SettingError: The weights do not fit the models.
        """
        mixture = cls(strength, switching)
        mixture._adopt(models, np.ones(len(models)) if weights is None else np.asarray(weights, np.float64))
        return mixture

    @classmethod
    def beside(cls, model: Model, kind: type = Trainable, seed: int = 0) -> Self:
        """A model with a new one beside it that has read nothing and weighs nothing yet.

        Args:
            model: The old model; components of a mixture by fixed weights stay components.
            kind: The capability that the new one must have. It is of the old one's kind (of a mixture's last) where
                that has it, else a Kneser-Ney model by the old one's unit.
            seed: Draws what the new one begins with.

        Raises:
            UnsupportedError: The old model is not causal, or its tokens are neither words nor characters.
        """
        require(model, (Causal,), "a mixture")
        flat = isinstance(model, cls) and model.strength is None
        mixture = cls()
        mixture.components = model.components if flat else (model,)  # type: ignore[attr-defined]
        mixture.weights = model.weights if flat else np.ones(1)  # type: ignore[attr-defined]
        mixture.components = (*mixture.components, _another(mixture.components[-1], kind, seed))
        mixture.weights = np.append(mixture.weights, 0.0)
        return mixture

    def train_last(self, corpus: Corpus, seed: int = 0, checkpoints: Path | None = None) -> None:
        """Train the last component on texts, in place; its weight stays."""
        self.components[-1].fit(corpus, seed, checkpoints)  # type: ignore[attr-defined]
        self._forget()

    def give_evidence(self, counts: CountedText) -> None:
        """Let the last component, made from counts, be made from these, in place."""
        self.components[-1].adopt(counts)  # type: ignore[attr-defined]
        self._forget()

    def weigh(self, weights: Sequence[float]) -> None:
        """Take these weights, one a component, in any scale; in place.

        Raises:
            SettingError: They do not fit the components.
        """
        self._adopt(self.components, np.asarray(weights, np.float64))

    def rely_on_prior(self, strength: float | None) -> None:
        """Take this strength, in place; the last component's own weight is then without effect.

        Raises:
            SettingError: It is not above 0.
            UnsupportedError: The last component is not made from counts.
        """
        self.adjust(strength=strength)
        self._adopt(self.components, self.weights)

    def _adopt(self, models: Sequence[Model], weights: np.ndarray) -> None:
        if not models:
            raise SettingError("a mixture of no models: give one or more")
        for model in models:
            require(model, (Causal,), "a mixture")
        if self.strength is not None:
            require(models[-1], (CountBased,), "a mixture with a strength")
        if weights.shape == (len(models),) and self.strength is not None:
            weights = np.append(weights[:-1], 0.0)  # what the last one weighs follows from its counts
        if weights.shape != (len(models),) or not np.all(weights >= 0) or not 0 < weights.sum() < np.inf:
            raise SettingError(f"weights {weights.tolist()}: give one number a model, 0 or more, not all 0")
        self.components, self.weights = tuple(models), weights / weights.sum()
        self._forget()

    # ---------------------------------------------------------------- scoring

    @property
    def tokenizer(self) -> Any:
        """How texts become the tokens that are scored: a word of any component is one."""
        return self._aligned.tokenizer

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the components where they share one, else their words together."""
        return self._aligned.vocabulary

    @property
    def _speaking(self) -> list[int]:
        """The components that have any weight."""
        last = len(self.components) - 1
        return [place for place, w in enumerate(self.weights) if w > 0 or (self.strength is not None and place == last)]

    @cached_property
    def _aligned(self) -> Aligned:
        if not self.components:
            raise DataError("a mixture is nothing without its models: make one with combine")
        return align([self.components[place] for place in self._speaking])  # type: ignore[misc]

    @cached_property
    def _confidence(self) -> Confidence | None:
        if self.strength is None:
            return None
        assert isinstance(self.components[-1], CountBased)
        return Confidence(self.components[-1].counts)

    @property
    def _weighing(self) -> Weighing:
        weights = self.weights[self.weights > 0]
        return Weighing(weights, self.switching, self._confidence, self.strength)

    def token_scores(self, texts: Iterable[str], context: Context = "text") -> Iterator[TokenScores]:
        """Nats a token, the end of each text included.

        Raises:
            DataError: A component has seen no text yet, or the components cut a text differently.
            SettingError: `context` is neither `text` nor `stream`.
        """
        weighing = self._weighing
        merits = np.ones(weighing.components)
        for window, found in self._windows(texts, context):
            for (scores, logs), weights in zip(found, weighing.before_reading(window), strict=True):
                if context == "text":
                    merits[:] = 1
                yield TokenScores(weighing.mixed(logs, weights, merits), scores.offsets, scores.ids)

    def _windows(self, texts: Iterable[str], context: Context = "text") -> Iterator[tuple[list[str], list[Scored]]]:
        """Texts window by window, with the logs of every component that has a weight."""
        for window, found in scored_windows(self._aligned.models, texts, context):
            yield window, self._aligned.scores(window, found)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        logs, weighing = self._aligned.next_log_probs(contexts), self._weighing
        read = [own for _, found in self._windows(contexts) for _, own in found]
        weights = weighing.after_reading(read, weighing.before_reading(contexts))
        mixed: np.ndarray = np.logaddexp.reduce(weights[:, :, None] + logs, axis=0)
        return mixed

    # ---------------------------------------------------------------- learning

    def tune(self, texts: Corpus | Iterable[str], context: Context = "text") -> float:
        """Fit the weights, or the strength, to texts that no component was trained on; in place.

        They are fitted as if there were no switching: what a component weighs before anything was read.

        Args:
            texts: Held-out texts.
            context: As in `token_scores`.

        Returns:
            Mean nats a token of these texts afterwards.

        Raises:
            DataError: There is no text.
        """
        corpus = Corpus.of(texts)
        if self.strength is None:
            self.weights = np.maximum(self.weights, np.finfo(float).tiny)  # a component without weight is heard too
        self._forget()
        logs, evidence = [], []
        with Progress("fitting the weights", corpus.size, "bytes") as progress:
            for window, found in self._windows(corpus.read(progress.advance), context):
                logs += [log for _, log in found]
                evidence += self._confidence.evidence(window) if self._confidence is not None else []
        together = np.concatenate(logs, axis=1)
        if self.strength is None:
            self.weights, nats = fitted_weights(together)
        else:
            weights = np.log(self.weights[self.weights > 0])[:, None]
            prior = np.logaddexp.reduce(weights + together[:-1], axis=0)
            self.strength, nats = fitted_strength(prior, together[-1], np.concatenate(evidence))
        self._forget()
        return nats

    @property
    def trained(self) -> bool:
        """Whether every component that has a weight was trained."""
        return bool(self.components) and all(getattr(self.components[i], "trained", True) for i in self._speaking)

    def untrained(self, seed: int = 0) -> Self:
        """The same components before any data, weighed alike.

        Raises:
            UnsupportedError: A component can't be trained.
        """
        twin = type(self)(**self.hyper_parameters())
        for model in self.components:
            require(model, (Trainable,), "training a mixture")
        twin.components = tuple(model.untrained(seed) for model in self.components)  # type: ignore[attr-defined]
        twin.weights = np.full(len(twin.components), 1 / max(1, len(twin.components)))
        return twin

    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:
        """Train every component on nine tenths of the texts, in place, and fit the weights to the rest.

        Raises:
            DataError: There are fewer than two texts.
            UnsupportedError: A component can't be trained.
        """
        train, held = Corpus.of(corpus).held_out(_HELD_OUT, seed)
        for place, model in enumerate(self.components):
            require(model, (Trainable,), "training a mixture")
            model.fit(train, seed, None if checkpoints is None else checkpoints / str(place))  # type: ignore[attr-defined]
        self._adopt(self.components, np.ones(len(self.components)))
        self.tune(held)
        return self

    def copy(self) -> Self:
        """An independent model."""
        twin = copy.copy(self)
        twin.components, twin.weights = tuple(model.copy() for model in self.components), self.weights.copy()
        twin.lineage = copy.deepcopy(self.lineage)
        twin._forget()
        return twin

    def _forget(self) -> None:
        """Drop what was derived from components and weights."""
        for name in ("_aligned", "_confidence"):
            self.__dict__.pop(name, None)

    # ---------------------------------------------------------------- identity and storage

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the components' fingerprints, their weights and the strength."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        return digest("mixture", settings, self.weights.tobytes(), *(model.fingerprint for model in self.components))

    def write(self, folder: Path) -> None:
        """The weights, and every component in a folder of its own."""
        save_arrays(folder / storage.WEIGHTS, {"weights": self.weights})
        for place, model in enumerate(self.components):
            model.save(folder / _component(place))

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        mixture = made_from(cls, folder)
        path = folder.weights()
        weights = map_arrays(path).get("weights")
        if weights is None or weights.dtype != np.float64 or weights.ndim != 1 or not len(weights):
            raise ModelFolderError(f"{path} holds no weights of a mixture: copy it again")
        models = [open_model(storage.open_folder(folder.path / _component(place))) for place in range(len(weights))]
        try:
            if np.all(weights >= 0) and abs(weights.sum() - 1) < 1e-9:
                mixture.components, mixture.weights = tuple(models), np.array(weights)
                return mixture
        except ValueError:
            pass
        raise ModelFolderError(f"{path}: its weights {weights[:4].tolist()} do not sum to 1: copy it again")


def _another(model: Model, kind: type, seed: int) -> Model:
    """An untrained model of a model's kind, else one that counts what the model reads."""
    if isinstance(model, kind) and isinstance(model, Trainable):
        return model.untrained(seed)
    assert isinstance(model, Causal)
    unit = model.tokenizer.unit
    if unit is None:
        raise UnsupportedError(
            f"{model.vocabulary.name}: its tokens are neither words nor characters, so that counts of new text can't"
            " stand beside it"
        )
    made: Model = catalog.find("models", "kneser_ney")(unit=unit, open_vocabulary=not model.vocabulary.closed)
    return made


def _component(place: int) -> str:
    return f"component-{place}"
