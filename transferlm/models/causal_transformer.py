"""GPT and its kin: Transformers that read a text from left to right and predict each next token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import nn

from transferlm import storage
from transferlm.errors import ModelFolderError, SettingError
from transferlm.models._causal_shapes import (
    DECODERS,
    SHAPES,
    drawn,
    open_causal,
    refuse_looking_ahead,
    settings_of,
    shaped,
)
from transferlm.models._gradient_trained import encode_in_batches
from transferlm.models._grown_rows import with_rows
from transferlm.models._huggingface import (
    attend_by,
    expect_no_mask,
    layer_stack,
    linear_layers,
    one_kernel_gelu,
    silent,
)
from transferlm.models._key_value_reading import read_on
from transferlm.models._key_value_sampling import KeyValueContinuation, KeyValueTexts
from transferlm.models._packed import PackedReader
from transferlm.models._pretrainable import Pretrainable
from transferlm.models._sampled import check_softmax, sampled_loss
from transferlm.models._scored_texts import TellsStates, opening_of, scored_texts
from transferlm.models._training import Training
from transferlm.models._window_scorer import WindowScorer
from transferlm.models.base import (
    Encoder,
    Encoding,
    GrowingTokens,
    LinearLayers,
    ReadOn,
    ReadsOn,
    TokenScores,
    Vocabulary,
    made_from,
)
from transferlm.neural.batching import Batch
from transferlm.neural.dropout import quicken
from transferlm.neural.part_way import ModuleStack
from transferlm.neural.precision import best_device
from transferlm.neural.settings import Settings
from transferlm.seeding import derive
from transferlm.sources import cache_folder
from transferlm.text.corpus import Corpus
from transferlm.text.framing import Frame
from transferlm.text.token_store import token_store
from transferlm.text.tokenizers.base import Tokenizer, Tokens

__all__ = ["CausalTransformer"]


@dataclass(eq=False)
class CausalTransformer(Pretrainable, TellsStates, ReadsOn, GrowingTokens, LinearLayers, Encoder):
    """A GPT-2 or Llama (Radford et al. 2019; Touvron et al. 2023) from scratch, or opened from a Hugging Face folder.

    The body is `transformers`' own and is saved as such, so any tool that reads Hugging Face folders reads it. Texts
    follow one another with an end token after each. A text's first token is predicted from what the tokenizer puts
    before a text (Llama's begin token), and where it puts nothing, from the end token of the text before, as GPT-2 was
    trained. The defaults make 5 million parameters with 8,000 tokens: two cores read the Penn Treebank in minutes.
    """

    shape: Literal["gpt2", "llama", "opened"] = "gpt2"
    """Architecture: learned positions, GELU and layer norm, or rotary positions, SwiGLU and RMS norm; `opened` is that
    of a folder that others made."""
    layers: int = 4
    """Transformer blocks."""
    heads: int = 4
    """Attention heads a block."""
    width: int = 256
    """Width of a token's state; a head takes its share of it."""
    dropout: float = 0.1
    """Share dropped while training: of states and attention weights in a GPT-2, of attention weights in a Llama."""
    max_length: int = 256
    """Tokens that are read at once: a training window, the context in scoring, and where an encoded text is cut."""
    pooling: Literal["weighted_mean", "last"] = "weighted_mean"
    """How token states become a text's vector: their mean with weights that rise with the place, as later states have
    seen more (Muennighoff 2022, eq. 2), or the last one (Radford et al. 2018)."""
    softmax: Literal["full", "sampled"] = "full"
    """Cross entropy of training steps: over the whole vocabulary, or estimated from a sample of it, so that a step
    costs little more with a large one. Scores, held-out losses and texts drawn are exact either way."""
    samples: int = 4096
    """Tokens that the sampled softmax draws a step, as often as the corpus has them to the power of 3/4."""
    epochs: int = 5
    """Passes over the corpus."""
    batch_size: int = 16
    """Windows a step: 4,096 tokens with the default length."""
    learning_rate: float = 1e-3
    """Peak step size of AdamW; it rises for 5% of the steps and falls by a half cosine."""
    weight_decay: float = 0.1
    """Shrinkage of weight matrices."""
    clip: float = 1.0
    """Largest gradient norm."""
    steps: int | None = None
    """Training steps, however many epochs that is; none trains for `epochs`."""
    held_out: float = 0.02
    """Share of the texts kept aside to choose the best weights; 0 keeps the last weights."""
    evaluate_every: int | None = None
    """Steps between evaluations on the held-out part; none evaluates after each epoch."""
    patience: int | None = 3
    """Evaluations without improvement before stopping; none runs to the end."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"max_length", "pooling", "softmax", "samples"})
    default_tokenizer: ClassVar[str] = "byte_pair"
    step_sizes: ClassVar[Mapping[str, float]] = MappingProxyType({"sgd": 5e-3, "rms": 1e-4})
    huggingface_types: ClassVar[frozenset[str]] = DECODERS
    """`model_type` values of `config.json` that this family opens."""

    tokenizer: Tokenizer | None = field(default=None, repr=False)
    module: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, known in (("shape", (*SHAPES, "opened")), ("pooling", ("weighted_mean", "last"))):
            if getattr(self, name) not in known:
                raise SettingError(f"{name} {getattr(self, name)!r}: choose {', '.join(known)}")
        for name in ("layers", "heads", "width", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give 1 or more")
        if self.max_length < 2:
            raise SettingError(f"max_length {self.max_length}: give 2 or more, one is the begin sign")
        if self.shape in SHAPES and self.width % (2 * self.heads):
            raise SettingError(f"width {self.width}: give a multiple of {2 * self.heads}, an even number for each head")
        for name in ("dropout", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}: give a share from 0 up to, not including, 1")
        check_softmax(self)
        Settings.of(self)

    def check_settings(self) -> None:
        """Check the settings against the weights, once both are there.

        Raises:
            SettingError: `max_length` is beyond the positions that the weights know.
        """
        if not hasattr(self, "module"):
            return
        positions = getattr(self.module.config.get_text_config(), "max_position_embeddings", None)
        if positions is not None and self.max_length > positions:
            raise SettingError(
                f"max_length {self.max_length}: the weights know {positions} positions, give that or less"
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's tokens, the end of a text among them, and rows of the output that no token has."""
        tokenizer = self._reader()
        rows = self.module.get_output_embeddings().weight.shape[0]
        return Vocabulary(tokenizer.describe(), rows, tokenizer.closed, tokenizer.hash)

    @property
    def embedding(self) -> nn.Embedding:
        """The input table."""
        table: nn.Embedding = self._body().get_input_embeddings()
        return table

    @property
    def pad_id(self) -> int:
        """Short rows are filled with end tokens on the right; no token's state changes by what stands after it."""
        return self._reader().end_id

    def begin(self, corpus: Corpus, seed: int = 0) -> None:
        """Let the tokenizer learn from the corpus and draw the weights, where they are lacking.

        Raises:
            SettingError: The shape is `opened` and nothing was.
        """
        if not hasattr(self, "module"):
            self._refuse_unshaped()
        super().begin(corpus, seed)

    def training(self, corpus: Corpus, seed: int = 0) -> Training:
        """The causal loss over the corpus in packed windows, by AdamW as GPT-3 was trained (Brown et al. 2020)."""
        settings = Settings.of(self, warmup=0.05, schedule="cosine", betas=(0.9, 0.95))
        return Training(self.objective(corpus, derive(seed, "order")), settings)

    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> PackedReader:
        """The causal loss over the corpus in packed windows, at a quarter of the first training's step size."""
        stream = token_store(corpus, self._reader(), cache_folder() / "tokens")
        return PackedReader(
            self.module,
            stream,
            self.max_length,
            batch_size or self.batch_size,
            seed,
            self.learning_rate / 4,
            sampled_loss(self, stream, self.vocabulary.size, seed),
        )

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens after the opening ones, cut at `max_length`."""
        reader, opening = self._reader(), self._opening()
        room = self.max_length - len(opening) + reader.special_count
        nowhere = np.zeros((len(opening), 2), dtype=np.int32)
        return [
            Tokens(np.concatenate([opening, t.ids]), np.concatenate([nowhere, t.offsets]), t.cut)
            for t in map(reader.bare, reader.encode(texts, max_length=room))
        ]

    @property
    def encoding_width(self) -> int:
        """Width of a state."""
        return self.width

    def frame(self, pair: bool = False) -> Frame:
        """The opening tokens before a text, and an end token after each text of a pair: the last has read them both."""
        end, nothing = np.array([self._reader().end_id], dtype=np.int32), np.empty(0, np.int32)
        return Frame(self._opening(), end if pair else nothing, end if pair else nothing, sees_last=True)

    @property
    def token_width(self) -> int:
        """Width of a state."""
        return self.width

    def token_states(self, batch: Batch) -> torch.Tensor:
        """Top-layer states, shape (texts, tokens, width)."""
        states: torch.Tensor = self.module.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state
        return states

    def text_states(self, batch: Batch) -> torch.Tensor:
        """Pooled top-layer states, shape (texts, width)."""
        states = self.token_states(batch)
        lengths = batch.lengths()
        if self.pooling == "last":
            return states[torch.arange(len(states), device=states.device), lengths - 1]
        places = torch.arange(1, states.shape[1] + 1, device=states.device)
        weights = (places * (places <= lengths[:, None])).to(states.dtype)
        return (states * weights[..., None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Pooled states of every text: float32 of shape (texts, width)."""
        return encode_in_batches(self, texts, self.encoding_width)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Embeddings, then one group a block; the last one holds the closing norm too."""
        body = self._body().base_model
        layers = [list(layer.parameters()) for layer in layer_stack(body)]
        inside = {id(p) for layer in layers for p in layer}
        order = [p for p in body.parameters() if id(p) not in inside or p is layers[0][0]]
        first = next(place for place, p in enumerate(order) if p is layers[0][0])
        layers[-1] += order[first + 1 :]
        return [order[:first], *layers]

    def part_way(self) -> ModuleStack:
        """Its blocks."""
        return ModuleStack(layer_stack(self._body().base_model))

    def linear_layers(self) -> dict[str, nn.Module]:
        """The matrices of its blocks."""
        return linear_layers(self.module, self._body().base_model)

    def _scored(
        self, texts: Iterable[str], context: Literal["text", "stream"], states: bool
    ) -> Iterator[tuple[TokenScores, np.ndarray]]:
        # A text beyond `max_length`, and every stream, is read in windows that begin half a window before what they
        # score. Begin tokens are given, not predicted: they are no part of a text.
        reader = self._reader()
        scorer = WindowScorer(self.module, self.max_length, self._opening(), reader.prefix, states)
        return scored_texts(texts, context, reader.encode_bare, reader.end_id, scorer)

    def read_on(self, ids: np.ndarray, state: tuple[torch.Tensor, ...] | None = None) -> ReadOn:
        """Log-probabilities after each token, those before it in keys and values, as windows of a stream reach back."""
        return read_on(self.module, self.max_length, ids, state)

    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the token after each context: float64 of shape (contexts, vocabulary).

        Of a context beyond `max_length` the last tokens are read.
        """
        rows = [self._texts(text, 1).logits().double().log_softmax(dim=-1).cpu().numpy() for text in contexts]
        return np.concatenate(rows) if rows else np.empty((0, self.vocabulary.size))

    def _continuation(self, prompt: str, generator: np.random.Generator) -> KeyValueContinuation:  # noqa: ARG002
        return KeyValueContinuation(self._texts(prompt, 1, states=True))

    def _continuations(self, prompt: str, generators: Sequence[np.random.Generator]) -> KeyValueTexts:
        return self._texts(prompt, len(generators))

    def _texts(self, prompt: str, count: int, states: bool = False) -> KeyValueTexts:
        reader = self._reader()
        return KeyValueTexts(self.module, reader, self._opening(), self.max_length, prompt, count, states)

    @torch.no_grad()
    def grow_tokens(self, most: int, worth: int, corpus: Corpus) -> int:
        """Rows of the input table and of the output, first those that no token had yet."""
        module, tokens = self._body(), len(self._reader())
        self.tokenizer, new = self._reader().grown(corpus, most, worth)
        if len(self._reader()) > self.vocabulary.size:
            with silent():
                module.resize_token_embeddings(len(self._reader()), mean_resizing=False)
        for layer in (module.get_input_embeddings(), module.get_output_embeddings()):
            rows = layer.weight[tokens : tokens + len(new.pieces)]
            rows.copy_(with_rows(layer.weight, new.pieces, tokens)[tokens : tokens + len(new.pieces)])
        return len(new.pieces)

    def token_tables(self) -> list[nn.Parameter]:
        """Input and output table, once where they are tied, and biases where there are some."""
        module = self._body()
        return list(dict.fromkeys([module.get_input_embeddings().weight, *module.get_output_embeddings().parameters()]))

    def write(self, folder: Path) -> None:
        """A Hugging Face folder: configuration, weights, tokenizer files."""
        self._reader().save(folder)
        with silent():
            self.module.save_pretrained(folder)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """Open our own folder or a Hugging Face one."""
        model = made_from(cls, folder) if folder.manifest else cls._of_others(folder)
        model._open_tokenizer(folder)
        model._place(open_causal(folder))
        refuse_looking_ahead(model.module, folder.path)
        model._refuse_more_tokens_than_rows(folder)
        model._learnt = folder.said("model").get("trained", True)
        model.check_settings()
        return model

    @classmethod
    def _of_others(cls, folder: storage.Folder) -> Self:
        try:
            return cls(**settings_of(folder))
        except SettingError as error:
            raise ModelFolderError(f"{folder.path}: config.json describes no model of ours ({error})") from None

    def _opening(self) -> np.ndarray:
        """What a text's first token is predicted from."""
        return opening_of(self._reader().prefix, self._reader().end_id)

    def _refuse_unshaped(self) -> None:
        if self.shape not in SHAPES:
            raise SettingError(f"shape {self.shape!r} has no weights to open: choose {' or '.join(SHAPES)}")

    def _build(self, seed: int, config: Any = None) -> None:
        if config is None:
            self._refuse_unshaped()
        assert self.tokenizer is not None
        self._place(drawn(config or shaped(self, self.tokenizer), derive(seed, "weights")))

    def _place(self, module: Any) -> None:
        quicken(module)
        one_kernel_gelu(module)
        attend_by(module)
        expect_no_mask(module)
        self.module = module.to(best_device()).eval()
