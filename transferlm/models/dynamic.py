"""A causal model whose weights follow the text that it reads."""

from __future__ import annotations

import copy
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from transferlm import storage
from transferlm.errors import ModelFolderError, SettingError
from transferlm.models._adaptive_reading import AdaptiveReader, gradient_squares, token_stream
from transferlm.models._causal import Context, refuse_context
from transferlm.models._scored_texts import Scored, TellsStates
from transferlm.models._step_fitting import best_steps
from transferlm.models._wrapped import Wrapped
from transferlm.models.base import Model, ReadsOn, TokenScores, digest, require
from transferlm.neural.dynamic_weights import DynamicWeights
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.base import Tokens
from transferlm.text.windows import windows

__all__ = ["Dynamic"]

_SQUARES = "gradient_squares.safetensors"


@dataclass(eq=False)
class Dynamic(Wrapped, TellsStates):
    """A causal model with dynamic evaluation (Krause et al. 2018): it learns from every few tokens once it scored them.

    The weights take a gradient step after each segment and are drawn back to where training left them. In a stream they
    go on from text to text, as the published tables have it; else each text begins with the trained ones. The model
    inside is never moved: every reading has a copy of its own.
    """

    rule: Literal["sgd", "rms"] = "sgd"
    """Plain gradient steps, or steps over the root mean square of gradients on other text (better, given some)."""
    learning_rate: float | None = None
    """Size of the steps; none takes what suits the family: 0.2 for `sgd` and 0.001 for `rms` on recurrent models, 0.005
    and 0.0001 on Transformers, measured on small ones of the Treebank."""
    decay: float = 0.002
    """Share of the way back to the trained weights, a step."""
    segment: int = 5
    """Tokens between two steps (Krause et al. use 5 for words, 20 for characters)."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"learning_rate", "decay", "segment"})
    inside_needs: ClassVar[tuple[type, ...]] = (ReadsOn,)
    how_made: ClassVar[str] = "dynamic evaluation is nothing without a model: make one with Dynamic.of(model)"

    def __post_init__(self) -> None:
        if self.rule not in ("sgd", "rms"):
            raise SettingError(f"rule {self.rule!r}: choose sgd or rms")
        if self.learning_rate is not None and not 0 <= self.learning_rate < math.inf:
            raise SettingError(f"learning_rate {self.learning_rate}: give 0 or more")
        if not 0 <= self.decay <= 1:
            raise SettingError(f"decay {self.decay}: give a share from 0 to 1")
        if self.segment < 1:
            raise SettingError(f"segment {self.segment}: give 1 or more")
        self._squares: list[torch.Tensor] | None = None

    @classmethod
    def of(cls, model: Model, texts: Corpus | Iterable[str] | None = None, **settings: Any) -> Self:
        """The model with dynamic evaluation; it is kept as it is.

        Args:
            model: A causal model trained by gradients.
            texts: What `rms` measures gradients on: text of the kind that it was trained on, none that it shall be
                scored on.
            settings: Hyper-parameters.

        Raises:
            UnsupportedError: It does not read on from a state, or is not trained by gradients.
            SettingError: A setting makes no sense, or `rms` is given no texts.
        """
        require(model, (ReadsOn,), "dynamic evaluation")
        made = cls(**settings)
        made._model = model
        made._choose_step_size()
        if made.rule == "rms":
            if texts is None:
                raise SettingError("rule rms measures gradients on text first: give some that is not scored, or sgd")
            made._squares = gradient_squares(made.model.copy(), Corpus.of(texts), made.segment)
        return made

    def _scored(self, texts: Iterable[str], context: Context, states: bool) -> Iterator[tuple[TokenScores, np.ndarray]]:
        # Each token is scored before the weights have learnt from it.
        return map(self._refuse_runaway, self._read(texts, context, states))

    def _refuse_runaway(self, told: tuple[TokenScores, np.ndarray]) -> tuple[TokenScores, np.ndarray]:
        if not np.isfinite(told[0].log_probs).all():
            raise SettingError(
                f"learning_rate {self.learning_rate}: too large for this model, its weights ran away;"
                " give a tenth of it, or text to fit it to"
            )
        return told

    def _read(self, texts: Iterable[str], context: Context, states: bool) -> Iterator[tuple[TokenScores, np.ndarray]]:
        reader, waiting = self._reader(states), deque[Tokens]()
        found = Scored.joined([])
        for tokens in token_stream(reader.model, texts):
            waiting.append(tokens)
            found = Scored.joined([found, reader.read(tokens.ids)])
            if context == "text":
                found = Scored.joined([found, reader.rest()])
                reader.restart()
            while waiting and len(found.log_probs) >= len(waiting[0]):
                done, found = _taken(found, waiting.popleft())
                yield done
        found = Scored.joined([found, reader.rest()])
        for tokens in waiting:
            done, found = _taken(found, tokens)
            yield done

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        reader, rows = self._reader(), []
        for tokens in self.tokenizer.encode_bare(contexts):
            reader.read(tokens.ids)
            rows.append(reader.next_log_probs())
            reader.restart()
        return np.stack(rows) if rows else np.empty((0, self.vocabulary.size))

    def tune(self, texts: Corpus | Iterable[str], context: Context = "stream", tokens: int = 10_000) -> float:
        """Fit learning rate and decay to texts the model was not trained on, in place.

        Each trial reads the texts once, so only their beginning is taken: step sizes differ by half at the least, and
        ten thousand tokens tell those apart.

        Args:
            texts: Held-out texts.
            context: As in `token_scores`.
            tokens: How many of them are read, up to the end of a text.

        Returns:
            Mean nats a token of these texts afterwards.

        Raises:
            DataError: There is no text.
        """
        refuse_context(context)
        some = self._beginning(Corpus.of(texts), tokens)

        def nats(trial: dict[str, float]) -> float:
            twin, total, count = copy.copy(self), 0.0, 0
            twin.adjust(**trial)
            for scores, _ in twin._read(some, context, states=False):
                total, count = total - float(scores.log_probs.sum()), count + len(scores.log_probs)
            return total / count if math.isfinite(total) else math.inf

        best, lowest = best_steps(nats, {"learning_rate": self._rate, "decay": self.decay})
        self.adjust(**{name: float(f"{value:.3g}") for name, value in best.items()})
        return lowest

    def _beginning(self, corpus: Corpus, tokens: int) -> list[str]:
        some: list[str] = []
        for window in windows(corpus):
            for text, found in zip(window, self.tokenizer.encode_bare(window), strict=True):
                some.append(text)
                tokens -= len(found.ids) + 1
                if tokens <= 0:
                    return some
        return some

    @property
    def _rate(self) -> float:
        assert self.learning_rate is not None
        return self.learning_rate

    def _choose_step_size(self) -> None:
        if self.learning_rate is None:
            self.learning_rate = self.model.step_sizes[self.rule]

    def _reader(self, states: bool = False) -> AdaptiveReader:
        twin = self.model.copy()
        home = self.model.module.parameters()
        weights = DynamicWeights(twin.module.parameters(), home, self._rate, self.decay, self._squares)
        return AdaptiveReader(twin, weights, self.segment, states)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the settings, the mean squared gradients and the model's fingerprint."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        squares = [square.cpu().numpy().tobytes() for square in self._squares or ()]
        return digest("dynamic", settings, self.model.fingerprint, *squares)

    def write(self, folder: Path) -> None:
        """The model, in a folder of its own, and what `rms` measured."""
        super().write(folder)
        if self._squares is not None:
            named = zip(self.model.module.named_parameters(), self._squares, strict=True)
            save_file({name: square.cpu().contiguous() for (name, _), square in named}, folder / _SQUARES)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there.

        Raises:
            ModelFolderError: What `rms` measured is missing, damaged or of another model.
        """
        made = super().read(folder)
        made._choose_step_size()
        if made.rule == "rms":
            made._squares = _squares(folder.path / _SQUARES, dict(made.model.module.named_parameters()))
        return made


def _squares(path: Path, parameters: dict[str, torch.nn.Parameter]) -> list[torch.Tensor]:
    """What `rms` measured for these parameters.

    Raises:
        ModelFolderError: It is missing, damaged, or of another model.
    """
    try:
        kept = load_file(path)
        squares = [kept[name].to(parameter.device) for name, parameter in parameters.items()]
    except (OSError, KeyError, SafetensorError) as error:
        raise ModelFolderError(f"{path} is missing or damaged ({error}): copy the folder again") from None
    for square, (name, parameter) in zip(squares, parameters.items(), strict=True):
        if square.shape != parameter.shape or not bool((square.isfinite() & (square >= 0)).all()):
            raise ModelFolderError(f"{path}: {name} holds no mean squares of this model: copy the folder again")
    return squares


def _taken(found: Scored, tokens: Tokens) -> tuple[tuple[TokenScores, np.ndarray], Scored]:
    """A text's scores and states, and what is left of those found."""
    own, left = found.split([len(tokens)])
    return (TokenScores(own.log_probs, tokens.offsets, tokens.ids), own.states), left
