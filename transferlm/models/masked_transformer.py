"""BERT and its kin: bidirectional Transformers pretrained by filling in masked tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import nn

from transferlm import storage
from transferlm.errors import ModelFolderError, SettingError, UnsupportedError
from transferlm.models._gradient_trained import encode_in_batches, weights_digest
from transferlm.models._grown_rows import with_rows, with_shares
from transferlm.models._huggingface import attend_by, layer_stack, linear_layers, silent
from transferlm.models._masked_head import MaskedHead, empty_head, published_head, save_with_head
from transferlm.models._masked_language import MaskedReader
from transferlm.models._masked_shapes import (
    ENCODERS,
    PRESETS,
    SHAPES,
    check,
    drawn,
    first_position,
    open_encoder,
    positions,
    settings_of,
    shaped,
)
from transferlm.models._masked_text import PackedText, TextRows
from transferlm.models._packed_body import written_graph
from transferlm.models._predicting import pooled, precisions_of, token_scores
from transferlm.models._pretrainable import Pretrainable
from transferlm.models._pseudo_likelihood import PseudoLikelihood
from transferlm.models._training import Training
from transferlm.models.base import (
    Compilable,
    Encoding,
    GrowingTokens,
    LinearLayers,
    Masked,
    TokenScores,
    Vocabulary,
    made_from,
)
from transferlm.neural.batching import Batch
from transferlm.neural.dropout import quicken
from transferlm.neural.loop import Settings
from transferlm.neural.part_way import ModuleStack
from transferlm.neural.precision import best_device
from transferlm.seeding import derive
from transferlm.text.corpus import Corpus
from transferlm.text.framing import Frame, Text, Window
from transferlm.text.tokenizers.base import Tokenizer, Tokens

__all__ = ["MaskedTransformer"]


@dataclass(eq=False)
class MaskedTransformer(Pretrainable, Masked, GrowingTokens, LinearLayers, Compilable):
    """A Transformer of the BERT family (Devlin et al. 2019) from scratch, or opened from a Hugging Face folder.

    The body is `transformers`' own and is saved as such, with its masked-LM head where it has one, so any tool that
    reads Hugging Face folders reads it; pooling, batches, heads and training are ours. From scratch it learns as a
    RoBERTa does (Liu et al. 2019): masks drawn anew in each epoch, windows full from end to end, no next sentences. The
    defaults make 5 million parameters with 8,000 tokens.
    """

    shape: Literal["bert", "roberta", "distilbert", "mpnet", "opened"] = "bert"
    """Architecture: BERT's, RoBERTa's (which counts positions after its padding), DistilBERT's (no token types), or
    MPNet's (relative positions beside absolute ones); `opened` is that of a folder that others made."""
    layers: int = 4
    """Transformer blocks."""
    heads: int = 4
    """Attention heads a block."""
    width: int = 256
    """Width of a token's state; a head takes its share of it."""
    dropout: float = 0.1
    """Share of states and attention weights dropped while training."""
    max_length: int = 256
    """Tokens that are read at once, the begin and end tokens included: a training window, the surroundings in scoring,
    and where an encoded text is cut; the share read stands in every result."""
    pooling: Literal["mean", "cls"] = "mean"
    """How token states become a text's vector: their mean, as sentence encoders do, or the first token's state."""
    masking: Literal["token", "whole_word"] = "token"
    """What is hidden in training: tokens one by one, or all pieces of a word together (Cui et al. 2021), which is
    harder: no piece gives the others away. Chinese words need the extra `transferlm[chinese]`."""
    epochs: int = 10
    """Passes over the corpus; twice a causal model's, as a pass predicts a seventh of the tokens."""
    batch_size: int = 16
    """Windows (or texts) a step: 4,096 tokens with the default length."""
    learning_rate: float = 1e-3
    """Peak step size of AdamW; it rises for 10% of the steps and falls in a straight line."""
    weight_decay: float = 0.01
    """Shrinkage of weight matrices."""
    clip: float = 1.0
    """Largest gradient norm."""
    steps: int | None = None
    """Training steps, however many epochs that is; none trains for `epochs`."""
    held_out: float = 0.02
    """Share of the texts kept aside to choose the best weights; 0 keeps the last weights."""
    evaluate_every: int | None = None
    """Steps between evaluations on the held-out part; none evaluates after each epoch."""
    patience: int | None = None
    """Evaluations without improvement before stopping; none runs to the end, where the step size has fallen."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"pooling", "max_length", "masking"})
    default_tokenizer: ClassVar[str] = "byte_pair"
    huggingface_types: ClassVar[frozenset[str]] = ENCODERS
    """`model_type` values of `config.json` that this family opens."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    tokenizer: Tokenizer | None = field(default=None, repr=False)
    module: Any = field(init=False, repr=False)
    head: MaskedHead | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check(self)
        Settings.of(self)

    def check_settings(self) -> None:
        """Check the settings against the weights, once both are there.

        Raises:
            SettingError: `max_length` is beyond the positions that the weights know.
        """
        usable = self.positions if hasattr(self, "module") else self.max_length
        if self.max_length > usable:
            raise SettingError(f"max_length {self.max_length}: the weights know {usable} positions, give that or less")

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's tokens, and rows of the table that no token has."""
        tokenizer = self._reader()
        return Vocabulary(tokenizer.describe(), self.embedding.num_embeddings, tokenizer.closed, tokenizer.hash)

    @property
    def encoding_width(self) -> int:
        """Width of a state."""
        return self.width

    @property
    def embedding(self) -> nn.Embedding:
        """The token table."""
        table: nn.Embedding = self._body().get_input_embeddings()
        return table

    @property
    def pad_id(self) -> int:
        """The padding token's id."""
        return self._reader().pad_id

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens between the model's begin and end signs, cut at `max_length`."""
        return self._reader().encode(texts, max_length=self.max_length)

    def frame(self, pair: bool = False) -> Frame:
        """The tokenizer's own special tokens; token types where the weights have a vector for each."""
        typed = getattr(self._body().config, "type_vocab_size", 0) > 1
        found = self._reader().frame(pair)
        return found if typed else replace(found, types=None)

    @property
    def token_width(self) -> int:
        """Width of a state."""
        return self.encoding_width

    def token_states(self, batch: Batch) -> torch.Tensor:
        """Top-layer states of every token, with gradients: shape (texts, tokens, width)."""
        told: dict[str, torch.Tensor] = {} if batch.types is None else {"token_type_ids": batch.types}
        first = first_position(self.module.config)
        if first:
            # Left to itself the body finds padding by its number, which is another one where rows are renamed.
            places = torch.arange(first, first + batch.ids.shape[1], device=batch.ids.device)
            told["position_ids"] = places[None]
        states: torch.Tensor = self.module(input_ids=batch.ids, attention_mask=batch.mask, **told).last_hidden_state
        return states

    def text_states(self, batch: Batch) -> torch.Tensor:
        """Pooled top-layer states, shape (texts, width)."""
        states = self.token_states(batch)
        if self.pooling == "cls":
            return states[:, 0]
        if batch.mask is None:
            return states.mean(dim=1)
        mask = batch.mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(dim=1) / mask.sum(dim=1)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Pooled states of every text: float32 of shape (texts, width)."""
        return encode_in_batches(self, texts, self.encoding_width)

    @property
    def precisions(self) -> tuple[str, ...]:
        """What predictions can be computed in here, the quickest first; none on a GPU, or for MPNet."""
        return precisions_of(self._body())

    def encode_quickly(self, texts: Sequence[Text], precision: str, whole: bool = False) -> np.ndarray:
        """What `encode` gives, for predictions: float32 of shape (texts, width)."""
        return pooled(self, self._reader(), texts, precision, whole)

    def score_quickly(
        self, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray, precision: str
    ) -> list[np.ndarray]:
        """A linear function of every token's state, for predictions: float32 of shape (tokens, size) for each row."""
        return token_scores(self, rows, weights, bias, precision)

    @property
    def positions(self) -> int:
        """Tokens of a row that the weights can tell the places of."""
        return positions(self._body().config)

    def graph(self, head: tuple[np.ndarray, np.ndarray, str] | None = None, int8: bool = False) -> bytes:
        """The forward pass as the content of an ONNX file; none for MPNet, and for layers that are no plain matrices.

        Raises:
            UnsupportedError: That is what these weights are.
        """
        return written_graph(self._body(), self.pooling, head, int8)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Embeddings (with whatever stands outside the layers), then one group a layer, from the input up."""
        layers = [list(layer.parameters()) for layer in layer_stack(self._body())]
        inside = {id(p) for layer in layers for p in layer}
        outside = [
            p for name, p in self.module.named_parameters() if id(p) not in inside and not name.startswith("pooler.")
        ]
        return [outside, *layers]

    def part_way(self) -> ModuleStack:
        """Its layers."""
        return ModuleStack(layer_stack(self._body()))

    def linear_layers(self) -> dict[str, nn.Module]:
        """Four of attention and two of what follows it, a layer."""
        return linear_layers(self.module, self._body())

    def begin(self, corpus: Corpus, seed: int = 0) -> None:
        """A tokenizer with marks and a mask that knows the corpus, weights and a head drawn anew, where they lack.

        Raises:
            SettingError: The shape is `opened` and nothing was.
        """
        if not hasattr(self, "module"):
            self._refuse_unshaped()
        super().begin(corpus, seed)
        if self.head is None:
            self.add_head(seed)

    def training(self, corpus: Corpus, seed: int = 0) -> Training:
        """By AdamW with a rise over a tenth of the steps and a linear fall (Liu et al. 2019)."""
        settings = Settings.of(self, warmup=0.1, schedule="linear", betas=(0.9, 0.98))
        return Training(self.objective(corpus, derive(seed, "order")), settings)

    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> MaskedReader:
        """Masked language modelling, at a quarter of the first training's step size.

        A model from scratch reads packed windows, as it learnt; an opened one reads each text in a row of its own, and
        what is beyond `max_length` in rows that follow.
        """
        reader = self._reader()
        rows = PackedText if self.shape in SHAPES else TextRows
        text = rows(corpus, reader, self._room(), self.masking == "whole_word")
        size = batch_size or self.batch_size
        return MaskedReader(self, self._filling(), text, size, seed, self.learning_rate / 4)

    def pseudo_scores(self, texts: Iterable[str], whole_words: bool = False) -> Iterator[TokenScores]:
        """Nats a token given all others of its text, in fp32; beyond `max_length` given those nearest to it."""
        room = self._room()
        return PseudoLikelihood(self, self._filling(), room, whole_words).scores(texts)

    @property
    def lacks_head(self) -> bool:
        """Whether there is no masked-LM head: sentence encoders are published without theirs."""
        return self.head is None

    def add_head(self, seed: int = 0) -> list[nn.Parameter]:
        """BERT's head on the embedding table, its weights drawn from `seed`."""
        self._reader().with_marks()
        self.head = empty_head(self._body(), derive(seed, "masked head"))
        return list(self.head.parameters())

    @torch.no_grad()
    def grow_tokens(self, most: int, worth: int, corpus: Corpus) -> int:
        """Rows of the table, first those that no token had yet, and biases of the head."""
        module, head, tokens = self._body(), self._filling(), len(self._reader())
        self.tokenizer, new = self._reader().grown(corpus, most, worth)
        size = len(self._reader())
        if size > self.vocabulary.size:
            with silent():
                module.resize_token_embeddings(size, mean_resizing=False)
        table = self.embedding.weight
        table[tokens:size] = with_rows(table, new.pieces, tokens)[tokens:size]
        head.bias = nn.Parameter(with_rows(head.bias.detach(), new.pieces, tokens))
        with_shares(head.bias[:size], new.pieces, new.shares)
        return len(new.pieces)

    def token_tables(self) -> list[nn.Parameter]:
        """The table, which is the output too, and the head's biases."""
        table: nn.Parameter = self._body().get_input_embeddings().weight
        return [table, self._filling().bias]

    def manifest(self) -> dict[str, Any]:
        """What `transferlm.json` says; that there is a head stands there, so that its loss is noticed."""
        told = super().manifest()
        told["model"]["masked_head"] = self.head is not None
        return told

    def write(self, folder: Path) -> None:
        """A Hugging Face folder: configuration, weights, tokenizer files."""
        self._reader().save(folder)
        with silent():
            if self.head is None:
                self._body().save_pretrained(folder)
            else:
                save_with_head(self._body(), self.head, folder)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """Open our own folder or a Hugging Face one; `1_Pooling` and `sentence_bert_config.json` are heeded."""
        model = made_from(cls, folder) if folder.manifest else cls(**settings_of(folder))
        model._open_tokenizer(folder)
        model._place(open_encoder(folder))
        model._refuse_more_tokens_than_rows(folder)
        model.head = published_head(folder, model.module)
        if model.head is None and folder.said("model").get("masked_head", False):
            raise ModelFolderError(f"{folder.path}: the masked-LM head is missing from the weights: copy it again")
        model._learnt = folder.said("model").get("trained", True)
        model._refuse_other_sizes(folder)
        model.check_settings()
        return model

    def _refuse_other_sizes(self, folder: storage.Folder) -> None:
        """Layers and width stand twice in a folder of ours: as settings and as the weights' configuration."""
        config = self.module.config
        own, found = (self.layers, self.width), (config.num_hidden_layers, config.hidden_size)
        if own != found or self.shape not in (config.model_type, "opened"):
            raise ModelFolderError(
                f"{folder.path}: the settings say {self.shape} with {own[0]} layers of width {own[1]}, config.json says"
                f" {config.model_type} with {found[0]} of {found[1]}: damaged, or of an earlier layout; make it anew"
            )

    def _room(self) -> int:
        """Tokens of a text that stand between the model's own."""
        marks = self._reader().special_count
        if self.max_length <= marks:
            raise SettingError(f"max_length {self.max_length} leaves no room for text: give {marks + 1} or more")
        return self.max_length - marks

    def _digests(self) -> list[str]:
        return [*super()._digests(), *([] if self.head is None else [weights_digest(self.head)])]

    def _filling(self) -> MaskedHead:
        if self.head is None:
            raise UnsupportedError("these weights have no masked-LM head: update them with continued_pretraining first")
        return self.head

    def _refuse_unshaped(self) -> None:
        if self.shape not in SHAPES:
            raise SettingError(f"shape {self.shape!r} has no weights to open: choose {', '.join(SHAPES)}")

    def _build(self, seed: int, config: Any = None) -> None:
        if config is None:
            self._refuse_unshaped()
        assert self.tokenizer is not None
        self.tokenizer = self.tokenizer.with_marks()
        self._place(drawn(config or shaped(self, self.tokenizer), derive(seed, "weights")))

    def _place(self, module: nn.Module) -> None:
        """Adopt the body, on the best device, with its residual stream in the precision of the matrix products."""
        module.embeddings.register_forward_hook(_as_autocast)  # type: ignore[union-attr]
        quicken(module)
        attend_by(module)
        self.module = module.to(best_device()).eval()


def _as_autocast(_: nn.Module, __: object, states: torch.Tensor) -> torch.Tensor:
    """Under autocast the embeddings' output goes on in bfloat16: else every layer would add into fp32 and cast anew.

    A sixth of a training step on a processor; norms still accumulate in fp32.
    """
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states
