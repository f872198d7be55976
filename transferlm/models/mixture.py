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
from transferlm.models._opening import open_part
from transferlm.models._over_words import Composite, Rows, closed, leaf
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
from transferlm.text.lexicon import Lexicon

__all__ = ["Mixture"]

_HELD_OUT = 0.1
"""Share of a corpus that weights are fitted on when all components are trained on the rest of it."""


@dataclass(eq=False)
class Mixture(Model, Causal, Trainable, Composite):
    """Several causal models as one (Jelinek & Mercer 1980): p(w | h) = sum of weight times p(w | h) of each.

    With a `strength` the last one's counts are evidence, and all before it, in the proportion of their weights, the
    prior: p(w | h) = u(h) prior(w | h) + (1 - u(h)) last(w | h). The prior's share u falls with every order of the
    context that the last one has seen, by s t / (c + s t): c is how often anything followed it there, t how many
    different words did, s the strength. So the old model speaks where the new one knows little (MAP adaptation,
    Bacchiani & Roark 2003; t / c as the chance of something new is Witten & Bell 1991).

    With `switching` a component weighs as much as the words read make it believed that the text is of its kind (Bayes'
    rule), and at each word the text may turn to another, drawn by the weights (the fixed share of Herbster & Warmuth
    1998). In a stream what was believed goes on over the ends of texts.
    """

    strength: float | None = None
    """What a prior's word counts for beside the words counted; none mixes by fixed weights instead."""
    switching: float | None = None
    """Chance at each word that a text turns to another kind, 0 to 1; none keeps the weights whatever was read."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"switching"})

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
    def beside(cls, model: Model, kind: type = Trainable, seed: int = 0, flat: bool = False) -> Self:
        """A copy of a model with a new one beside it that has read nothing and weighs nothing yet: it scores as before.

        Args:
            model: The old model.
            kind: The capability that the new one must have. It is like the old one (like the newest part of one that
                holds others) where that has it, else a Kneser-Ney model by the old one's unit.
            seed: Draws what the new one begins with.
            flat: Whether the components of a mixture without a strength become this one's own.

        Raises:
            UnsupportedError: The old model is not causal, or its tokens are neither words nor characters.
        """
        require(model, (Causal,), "a mixture")
        flat = flat and isinstance(model, cls) and model.strength is None
        old = model.copy() if flat else cls.of([model.copy()])
        assert isinstance(old, cls)
        mixture = cls(switching=old.switching)
        mixture.components = (*old.components, _another(leaf(model), kind, seed))
        mixture.weights = np.append(old.weights, 0.0)
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

    def rely_on_prior(self, strength: float) -> None:
        """Take this strength, in place: the last component's own weight is gone, its counts speak for it.

        Raises:
            SettingError: It is not above 0.
            UnsupportedError: The last component is not made from counts.
        """
        self.strength = type(self)(strength).strength
        self._adopt(self.components, self.weights)

    def _adopt(self, models: Sequence[Model], weights: np.ndarray) -> None:
        if not models:
            raise SettingError("a mixture of no models: give one or more")
        for model in models:
            require(model, (Causal,), "a mixture")
        if self.strength is not None:
            require(models[-1], (CountBased,), "a mixture with a strength")
        if self.strength is not None and len(models) < 2:
            raise SettingError("a strength weighs a prior against evidence: give two models or more")
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
        self._demand_components()
        return align([self.components[place] for place in self._speaking])  # type: ignore[misc]

    def _demand_components(self) -> None:
        if not self.components:
            raise DataError("a mixture is nothing without its models: make one with combine")

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
        beliefs = np.zeros(weighing.components)
        for window, found in self._windows(texts, context):
            for (scores, logs), weights in zip(found, weighing.before_reading(window), strict=True):
                if context == "text":
                    beliefs[:] = 0
                yield TokenScores(weighing.mixed(logs, weights, beliefs), scores.offsets, scores.ids)

    def _windows(self, texts: Iterable[str], context: Context = "text") -> Iterator[tuple[list[str], list[Scored]]]:
        """Texts window by window, with the logs of every component that has a weight."""
        for window, found in scored_windows(self._aligned.models, texts, context):
            yield window, self._aligned.scores(window, found)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        return self._mixed_rows(contexts, self._aligned.next_log_probs(contexts))

    def _mixed_rows(self, contexts: Sequence[str], logs: np.ndarray) -> np.ndarray:
        """The components' distributions after contexts, float64 (components, contexts, symbols), as one."""
        weighing = self._weighing
        before = weighing.before_reading(contexts)
        if weighing.moves:
            read = [own[:, :-1] for _, found in self._windows(contexts) for _, own in found]
            weights = [weighing.after_reading(*each) for each in zip(read, before, strict=True)]
        else:
            weights = [each[:, -1] for each in before]
        mixed: np.ndarray = np.logaddexp.reduce(np.array(weights).T[:, :, None] + logs, axis=0)
        return mixed

    @property
    def newest(self) -> Model:
        """The last component."""
        return self.components[-1]

    def over_words(self, lexicon: Lexicon) -> Rows:
        """Its distributions over the words of a lexicon that has all of its components'."""
        parts = self._aligned.over_words(lexicon)
        return lambda contexts: self._mixed_rows(contexts, np.stack([rows(contexts) for rows in parts]))

    def closed(self) -> Self:
        """The same with every component's unknown words one token."""
        twin = self.copy()
        twin.components = tuple(closed(model) for model in twin.components)  # type: ignore[arg-type, misc]
        return twin

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
        trial = copy.copy(self)
        if self.strength is None:
            trial.weights = np.maximum(self.weights, np.finfo(float).tiny)  # one without weight is heard too
        trial._forget()
        logs, evidence = trial._heard(Corpus.of(texts), context)
        if self.strength is None:
            self.weights, nats = fitted_weights(logs)
        else:
            weights = np.log(self.weights[self.weights > 0])[:, None]
            prior = np.logaddexp.reduce(weights + logs[:-1], axis=0)
            self.strength, nats = fitted_strength(prior, logs[-1], evidence)
        self._forget()
        return nats

    def _heard(self, corpus: Corpus, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """All components' logs of all tokens, and the evidence at each where there is a strength."""
        logs, evidence = [], [np.zeros((0, 0))]
        with Progress("fitting the weights", corpus.size, "bytes") as progress:
            for window, found in self._windows(corpus.read(progress.advance), context):
                for text, (_, own) in zip(window, found, strict=True):
                    if np.isneginf(own).all(axis=0).any():
                        raise DataError(f"no model gives every word of a text to fit to a probability: {text[:60]!r}")
                    logs.append(own)
                evidence += self._confidence.evidence(window) if self._confidence is not None else []
        return np.concatenate(logs, axis=1), np.concatenate(evidence[1:] or evidence)

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
        if self.components:
            parts = [model.untrained(seed) for model in self.components]  # type: ignore[attr-defined]
            twin._adopt(parts, np.ones(len(parts)))
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
        self._demand_components()
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
        models = [open_part(folder, _component(place), (Causal,)) for place in range(len(weights))]
        try:
            mixture._adopt(models, np.array(weights))
        except (SettingError, UnsupportedError) as error:
            raise ModelFolderError(f"{path}: {error}; copy it again") from None
        if not np.allclose(mixture.weights, weights, rtol=1e-9, atol=0):
            raise ModelFolderError(f"{path}: its weights {weights[:4].tolist()} are none of a mixture: copy it again")
        mixture.weights = np.array(weights)
        return mixture


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
