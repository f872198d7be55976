"""Recurrent language models: they read a text once from left to right, carrying a state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from transferlm import storage
from transferlm.models._gradient_trained import encode_in_batches
from transferlm.models._grown_rows import with_rows, with_shares
from transferlm.models._laid_in import LaidIn, check_laid_in
from transferlm.models._recurrent_network import Network
from transferlm.models._recurrent_sampling import StateContinuation
from transferlm.models._recurrent_scorer import Scorer
from transferlm.models._recurrent_settings import PRESETS, check, network, widths
from transferlm.models._sampled import sampled_loss
from transferlm.models._scored_texts import TellsStates, scored_texts
from transferlm.models._stream import RegularisedReader, StreamReader
from transferlm.models._training import Training
from transferlm.models.base import (
    Encoder,
    Encoding,
    GrowingTokens,
    ReadOn,
    ReadsOn,
    TokenScores,
    Vocabulary,
    made_from,
)
from transferlm.neural.batching import Batch
from transferlm.neural.part_way import RecurrentStack
from transferlm.neural.precision import best_device
from transferlm.neural.recurrence import State
from transferlm.neural.settings import Settings
from transferlm.neural.weights import load_weights, save_weights
from transferlm.seeding import derive
from transferlm.sources import cache_folder
from transferlm.text.corpus import Corpus
from transferlm.text.framing import Frame
from transferlm.text.token_store import token_store
from transferlm.text.tokenizers.base import Tokenizer, Tokens

__all__ = ["Recurrent"]


@dataclass(eq=False)
class Recurrent(LaidIn, TellsStates, ReadsOn, GrowingTokens, Encoder):
    """An LSTM, GRU or plain recurrent language model (Mikolov et al. 2010; Hochreiter & Schmidhuber 1997).

    Trained on one stream of text by truncated back-propagation, the state carried from step to step; each text is
    followed by an end token, which also opens the next one. The regularisation of the AWD-LSTM (Merity, Keskar & Socher
    2018) is a set of plain settings, all off; `Recurrent.preset("awd_lstm")` gives them the paper's values. As an
    encoder a text's vector is its last state beside the maximum and the mean of all its states (concat pooling, Howard
    & Ruder 2018, section 3.3).
    """

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """Kind of recurrent cell."""
    layers: int = 1
    """Stacked recurrent layers."""
    width: int = 512
    """Width of a layer's state."""
    embedding_width: int = 256
    """Width of a token's vector; where it differs from `width`, states are projected onto it before the output."""
    tapered: bool = False
    """Whether the last layer is as wide as the embedding, so that nothing is projected (Merity et al. 2018)."""
    dropout: float = 0.2
    """Share of units dropped after the embedding, between layers and before the output, while training."""
    input_dropout: float | None = None
    """Share of units dropped after the embedding; none takes `dropout`."""
    layer_dropout: float | None = None
    """Share of units dropped between layers; none takes `dropout`."""
    locked_dropout: bool = False
    """Whether units are dropped for a whole sequence instead of for each token anew (Gal & Ghahramani 2016)."""
    embedding_dropout: float = 0.0
    """Share of the vocabulary left out of a sequence, each word everywhere in it or nowhere."""
    weight_drop: float = 0.0
    """Share of the weights from state to state dropped for a whole sequence (Merity et al. 2018, section 2)."""
    activation_penalty: float = 0.0
    """Weight of the mean square of what the output layer reads (Merity et al. 2018, section 4.6: alpha)."""
    slowness_penalty: float = 0.0
    """Weight of the mean squared step from state to state (Merity et al. 2018, section 4.6: beta)."""
    tied: bool = True
    """Whether input and output share one table (Press & Wolf 2017): half the parameters, lower perplexity."""
    softmax: Literal["full", "sampled"] = "full"
    """Cross entropy of training steps: over the whole vocabulary, or estimated from a sample of it, so that a step
    costs little more with a large one. Scores, held-out losses and texts drawn are exact either way."""
    samples: int = 4096
    """Tokens that the sampled softmax draws a step, as often as the corpus has them to the power of 3/4."""
    max_length: int = 512
    """Tokens of a text that are read when it is encoded; scoring always reads the whole text."""
    epochs: int = 5
    """Passes over the corpus."""
    batch_size: int = 32
    """Lanes of the stream that are read side by side."""
    sequence_length: int = 64
    """Tokens between two truncations of back-propagation."""
    random_lengths: bool = False
    """Whether those are drawn around that length, the step size with them (Merity et al. 2018, section 4.1)."""
    optimizer: Literal["adamw", "sgd", "averaged_sgd", "nt_averaged_sgd"] = "adamw"
    """What moves the weights: AdamW, or stochastic gradient descent, its weights averaged always or once it stalls."""
    non_monotone: int = 5
    """Evaluations without progress before `nt_averaged_sgd` averages (Merity et al. 2018, algorithm 1)."""
    learning_rate: float = 4e-3
    """Peak step size; 4e-3 suits AdamW, stochastic gradient descent wants 20 to 40."""
    schedule: Literal[
        "linear", "cosine", "constant", "slanted_triangular", "one_cycle", "geometric", "reduce_on_plateau"
    ] = "cosine"
    """How the step size falls after its rise."""
    warmup: float = 0.05
    """Share of the steps over which the step size rises."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bfloat16 for training where the hardware multiplies it natively, else fp32; scores are always fp32."""
    weight_decay: float = 0.01
    """Shrinkage of weight matrices."""
    clip: float = 0.5
    """Largest gradient norm: recurrent gradients explode (Pascanu et al. 2013)."""
    steps: int | None = None
    """Training steps, however many epochs that is; none trains for `epochs`."""
    held_out: float = 0.02
    """Share of the texts kept aside to choose the best weights; 0 keeps the last weights."""
    evaluate_every: int | None = None
    """Steps between evaluations on the held-out part; none evaluates after each epoch."""
    patience: int | None = 3
    """Evaluations without improvement before stopping; none runs to the end."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"max_length", "softmax", "samples"})
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    default_tokenizer: ClassVar[str] = "word"
    step_sizes: ClassVar[Mapping[str, float]] = MappingProxyType({"sgd": 0.2, "rms": 1e-3})

    tokenizer: Tokenizer | None = field(default=None, repr=False)
    module: Network = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self)
        check_laid_in(self.pretrained_words, self.softmax)
        Settings.of(self)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's tokens, the end of a text among them."""
        tokenizer = self._reader()
        return Vocabulary(tokenizer.describe(), len(tokenizer), tokenizer.closed, tokenizer.hash)

    @property
    def embedding(self) -> nn.Embedding:
        """The input table."""
        table: nn.Embedding = self._body().embedding
        return table

    @property
    def pad_id(self) -> int:
        """Short rows are filled with end tokens; nothing that stands after a text changes its states."""
        return self._reader().end_id

    def training(self, corpus: Corpus, seed: int = 0) -> Training:
        """Truncated back-propagation over the corpus as one stream, with the settings' regularisation."""
        stream = self._stream(corpus)
        sampled = sampled_loss(self, stream, self.vocabulary.size, seed)
        if sampled is not None and not self.trained:
            self.module.begin_at(sampled.log_frequencies)
        reader = RegularisedReader(
            self.module,
            stream,
            self.batch_size,
            self.sequence_length,
            seed=derive(seed, "stream"),
            random_lengths=self.random_lengths,
            activation=self.activation_penalty,
            slowness=self.slowness_penalty,
            sampled=sampled,
        )
        penalised = self.activation_penalty or self.slowness_penalty
        return Training(
            reader,
            Settings.of(self),
            penalty=reader.penalty if penalised else None,
            pull=self._keeps_still(),
            pace=reader.pace,
        )

    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> StreamReader:
        """The causal loss over the corpus as one stream, at a quarter of the first training's step size.

        Lanes are as many as `batch_size` says, fewer where the corpus is too short for one step in each.
        """
        stream = self._stream(corpus)
        lanes = max(1, min(batch_size or self.batch_size, (len(stream) - 1) // self.sequence_length))
        sampled = sampled_loss(self, stream, self.vocabulary.size, seed)
        return StreamReader(self.module, stream, lanes, self.sequence_length, self.learning_rate / 4, sampled)

    def _stream(self, corpus: Corpus) -> np.ndarray:
        return token_store(corpus, self._reader(), cache_folder() / "tokens")

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens after those that open a text, cut at `max_length`."""
        reader, opening = self._reader(), self._opening()
        nowhere = np.zeros((len(opening), 2), dtype=np.int32)
        return [
            Tokens(np.concatenate([opening, t.ids]), np.concatenate([nowhere, t.offsets]), t.cut)
            for t in map(reader.bare, reader.encode(texts, max_length=self.max_length + reader.special_count))
        ]

    def _opening(self) -> np.ndarray:
        """The end of the text before, and what the tokenizer puts before a text (mostly nothing)."""
        return np.concatenate([np.array([self._reader().end_id], np.int32), self._reader().prefix])

    @property
    def encoding_width(self) -> int:
        """Length of a text's vector: last, maximum and mean state of the top layer side by side."""
        return 3 * widths(self)[-1]

    def frame(self, pair: bool = False) -> Frame:
        """What opens a text, and an end token after each text of a pair: the last one has read them both."""
        end = np.array([self._reader().end_id] if pair else [], np.int32)
        return Frame(self._opening(), end, end, sees_last=True)

    @property
    def token_width(self) -> int:
        """Width of the top layer's state."""
        return widths(self)[-1]

    def token_states(self, batch: Batch) -> torch.Tensor:
        """The top layer's states, shape (texts, tokens, width)."""
        return self.module.states(batch.ids)[0]

    def text_states(self, batch: Batch) -> torch.Tensor:
        """Last, maximum and mean state of each text: shape (texts, 3 widths of the top layer)."""
        states = self.token_states(batch)
        last = states[torch.arange(len(states), device=states.device), batch.lengths() - 1]
        if batch.mask is None:
            return torch.cat([last, states.amax(dim=1), states.mean(dim=1)], dim=1)
        mask = batch.mask.unsqueeze(-1)
        highest = states.masked_fill(~mask, -torch.inf).amax(dim=1)
        mean = states.masked_fill(~mask, 0).sum(dim=1) / mask.sum(dim=1)
        return torch.cat([last, highest, mean], dim=1)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Concat-pooled states: float32 of shape (texts, 3 widths of the top layer)."""
        return encode_in_batches(self, texts, self.encoding_width)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The embedding, then each recurrent layer."""
        groups = [list(self.embedding.parameters())]
        for layer in range(self.layers):
            named = self.module.layers.named_parameters()
            groups.append([p for name, p in named if name.endswith(f"_l{layer}")])
        return groups

    def part_way(self) -> RecurrentStack:
        """Its layers."""
        return RecurrentStack(self.module.layers)

    def _scored(
        self, texts: Iterable[str], context: Literal["text", "stream"], states: bool
    ) -> Iterator[tuple[TokenScores, np.ndarray]]:
        reader = self._reader()
        scorer = Scorer(self.module, reader.end_id, reader.prefix, states)
        return scored_texts(texts, context, reader.encode_bare, reader.end_id, scorer)

    def read_on(self, ids: np.ndarray, state: State | None = None) -> ReadOn:
        """Log-probabilities after each token, with gradients where they are asked for, and the state to go on from."""
        self.module.eval()
        given = torch.from_numpy(ids.astype(np.int64)[None]).to(self._device)
        states, state = self.module.states(given, state)
        hidden = self.module.outputs(states)[0]
        logs = functional.log_softmax(self.module.output(hidden).float(), dim=-1)
        return ReadOn(logs, hidden.detach(), tuple(tensor.detach() for tensor in state))

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary)."""
        reader = self._reader()
        rows = [StateContinuation(self.module, reader, text).log_probs() for text in contexts]
        return np.stack(rows) if rows else np.empty((0, len(reader)))

    def _continuation(self, prompt: str, generator: np.random.Generator) -> StateContinuation:  # noqa: ARG002
        return StateContinuation(self._body(), self._reader(), prompt)

    @torch.no_grad()
    def grow_tokens(self, most: int, worth: int, corpus: Corpus) -> int:
        """Rows of the embedding and of the output, and biases; an unknown word's probability is shared out exactly."""
        was, tokens = self._body().state_dict(), len(self._reader())
        self.tokenizer, new = self._reader().grown(corpus, most, worth)
        self._build(0)
        tables = {"embedding.weight", "output.weight", "output.bias"}
        grown = {n: with_rows(t, new.pieces, tokens) if n in tables else t for n, t in was.items()}
        self.module.load_state_dict(grown)
        with_shares(self.module.output.bias, new.pieces, new.shares)
        return len(new.pieces)

    def token_tables(self) -> list[nn.Parameter]:
        """Embedding and output, once where they are tied, and biases."""
        network = self._body()
        return list(dict.fromkeys([network.embedding.weight, *network.output.parameters()]))

    def write(self, folder: Path) -> None:
        """Weights as safe tensors (a tied table once), and the tokenizer."""
        save_weights(self.module, folder / storage.WEIGHTS, skip=self._tied_names())
        self._reader().save(folder)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there."""
        model = made_from(cls, folder)
        model._open_tokenizer(folder)
        model._build(0)
        load_weights(model.module, folder.weights(), skip=model._tied_names())
        model._learnt = folder.said("model").get("trained", True)
        return model

    def _tied_names(self) -> frozenset[str]:
        return frozenset({"output.weight"}) if self.tied else frozenset()

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def _build(self, seed: int, config: Any = None) -> None:  # noqa: ARG002 - the settings tell all there is
        assert self.tokenizer is not None
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "weights"))
            self.module = network(self, len(self.tokenizer)).to(best_device()).eval()
