"""BERT and its kin: bidirectional Transformers pretrained by filling in masked tokens."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import nn

from transferlm import storage
from transferlm.errors import ModelFolderError, SettingError, UnsupportedError
from transferlm.models._gradient_trained import encode_in_batches, weights_digest
from transferlm.models._huggingface import attend_by, configuration, opened, silent
from transferlm.models._masked_language import Hideable, MaskedHead, MaskedReader, published_head
from transferlm.models.base import Encoder, Encoding, FromScratch, Model, SelfSupervised, digest, made_from
from transferlm.neural.batching import Batch
from transferlm.neural.dropout import quicken
from transferlm.neural.precision import best_device
from transferlm.neural.weights import load_weights, save_weights
from transferlm.seeding import derive
from transferlm.sources import cache_folder
from transferlm.text.corpus import Corpus
from transferlm.text.framing import Frame
from transferlm.text.token_rows import token_rows
from transferlm.text.tokenizers.base import Tokens
from transferlm.text.tokenizers.pretrained import Pretrained

__all__ = ["MaskedTransformer"]

HEAD = "masked_head.safetensors"


@dataclass(eq=False)
class MaskedTransformer(Model, Encoder, SelfSupervised, FromScratch):
    """A bidirectional Transformer of the BERT family (Devlin et al. 2019), from a Hugging Face folder.

    The body is `transformers`' own, opened from `config.json` and `model.safetensors` and saved back as such, so any
    tool that reads Hugging Face folders reads it; pooling, batches, heads and training are ours. A masked-LM head is
    opened with the body where the folder has one, and saved beside it.
    """

    pooling: Literal["mean", "cls"] = "mean"
    """How token states become a text's vector: their mean, as sentence encoders do, or the first token's state."""
    max_length: int = 256
    """Tokens of a text that are read; what is longer is cut, and the share read stands in every result."""

    module: Any = field(init=False, repr=False)
    tokenizer: Pretrained = field(init=False, repr=False)
    head: MaskedHead | None = field(default=None, init=False, repr=False)

    adjustable: ClassVar[frozenset[str]] = frozenset({"pooling", "max_length"})
    huggingface_types: ClassVar[frozenset[str]] = frozenset(
        {"bert", "roberta", "xlm-roberta", "distilbert", "mpnet", "electra", "camembert"}
    )
    """`model_type` values of `config.json` that this family opens."""

    def __post_init__(self) -> None:
        if self.pooling not in ("mean", "cls"):
            raise SettingError(f"pooling {self.pooling!r}: choose mean or cls")
        if self.max_length < 3:
            raise SettingError(f"max_length {self.max_length}: give 3 or more, two are the begin and end signs")
        self._learnt = True

    def check_settings(self) -> None:
        """Check the settings against the weights, once both are there.

        Raises:
            SettingError: `max_length` is beyond the positions that the weights know.
        """
        config = self._body().config
        positions = int(getattr(config, "max_position_embeddings", 512))
        usable = positions - (0 if config.model_type in _FROM_ZERO else 2)
        if self.max_length > usable:
            raise SettingError(f"max_length {self.max_length}: the weights know {usable} positions, give that or less")

    def _body(self) -> Any:
        if not hasattr(self, "module"):
            raise UnsupportedError(
                "masked_transformer has no weights of its own: give a folder, a hub name, or a fetched name (minilm)"
            )
        return self.module

    @property
    def trained(self) -> bool:
        """Whether the weights have seen text."""
        return self._learnt

    @property
    def encoding_width(self) -> int:
        """Width of a state."""
        return int(self._body().config.hidden_size)

    @property
    def embedding(self) -> nn.Embedding:
        """The word-piece table."""
        table: nn.Embedding = self._body().get_input_embeddings()
        return table

    @property
    def pad_id(self) -> int:
        """The padding token's id."""
        return self.tokenizer.pad_id

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Word pieces between the model's begin and end signs, cut at `max_length`."""
        self._body()
        return self.tokenizer.encode(texts, max_length=self.max_length)

    def frame(self, pair: bool = False) -> Frame:
        """The tokenizer's own special tokens; token types where the weights have a vector for each."""
        typed = getattr(self._body().config, "type_vocab_size", 0) > 1
        found = self.tokenizer.frame(pair)
        return found if typed else replace(found, types=None)

    @property
    def token_width(self) -> int:
        """Width of a state."""
        return self.encoding_width

    def token_states(self, batch: Batch) -> torch.Tensor:
        """Top-layer states, shape (texts, tokens, width)."""
        types = {} if batch.types is None else {"token_type_ids": batch.types}
        states: torch.Tensor = self.module(input_ids=batch.ids, attention_mask=batch.mask, **types).last_hidden_state
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

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Embeddings (with whatever stands outside the layers), then one group a layer, from the input up."""
        stacks = [m for m in self.module.modules() if isinstance(m, nn.ModuleList)]
        layers = [list(layer.parameters()) for layer in max(stacks, key=len)]
        inside = {id(p) for layer in layers for p in layer}
        outside = [
            p for name, p in self.module.named_parameters() if id(p) not in inside and not name.startswith("pooler.")
        ]
        return [outside, *layers]

    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> MaskedReader:
        """Masked language modelling (Devlin et al. 2019); a text beyond `max_length` goes on in a row of its own.

        16 texts a batch unless told otherwise, which suits two cores.
        """
        if self.head is None:
            raise UnsupportedError("these weights have no masked-LM head: update them with continued_pretraining first")
        key = digest("pieces", corpus.hash, self.tokenizer.hash, str(self.max_length))
        rows = token_rows(
            corpus, lambda texts: self.tokenizer.pieces(texts, self.max_length), key, cache_folder() / "tokens"
        )
        return MaskedReader(self, self.head, rows, self._hideable(), batch_size or 16, seed)

    def _hideable(self) -> Hideable:
        mask = self.tokenizer.mask_id
        if mask is None:
            raise UnsupportedError(
                "the tokenizer has no mask token, so masked language modelling can't be done with it"
            )
        ordinary = np.array([bool(token) for token in self.tokenizer.vocabulary])
        ordinary[list(self.tokenizer.special_ids)] = False
        return Hideable(mask, self.pad_id, ordinary)

    @property
    def lacks_head(self) -> bool:
        """Whether there is no masked-LM head: sentence encoders are published without theirs."""
        return self.head is None

    def add_head(self, seed: int = 0) -> list[nn.Parameter]:
        """BERT's head on the embedding table, its weights drawn from `seed`."""
        self._hideable()
        self.head = self._empty_head(derive(seed, "masked head")).to(self.embedding.weight.device)
        return list(self.head.parameters())

    def _empty_head(self, seed: int = 0) -> MaskedHead:
        table, config = self.embedding.weight, self._body().config
        return MaskedHead(
            self.encoding_width, table.shape[1], len(table), getattr(config, "layer_norm_eps", 1e-12), seed
        ).eval()

    def untrained(self, seed: int = 0) -> Self:
        """The same architecture and tokenizer with weights drawn anew as `transformers` initialises them."""
        twin = type(self)(**self.hyper_parameters())
        twin.tokenizer = self.tokenizer
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            twin._place(_drawn(self._body().config))
        twin._learnt = False
        return twin

    def _place(self, module: nn.Module) -> None:
        """Adopt the body, on the best device, with its residual stream in the precision of the matrix products."""
        module.embeddings.register_forward_hook(_as_autocast)  # type: ignore[union-attr]
        quicken(module)
        attend_by(module)
        self.module = module.to(best_device()).eval()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, configuration, weights (a head's too) and tokenizer."""
        settings = json.dumps(self.hyper_parameters(), sort_keys=True)
        head = [weights_digest(self.head)] if self.head is not None else []
        return digest("masked_transformer", settings, self.tokenizer.hash, weights_digest(self._body()), *head)

    def manifest(self) -> dict[str, Any]:
        """What `transferlm.json` says; that there is a head stands there, so that its loss is noticed."""
        told = super().manifest()
        told["model"]["masked_head"] = self.head is not None
        return told

    def write(self, folder: Path) -> None:
        """A Hugging Face folder: configuration, weights, tokenizer files."""
        with silent():
            self.module.save_pretrained(folder)
        if self.head is not None:
            save_weights(self.head, folder / HEAD)
        self.tokenizer.save(folder)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """Open our own folder or a Hugging Face one; `1_Pooling` and `sentence_bert_config.json` are heeded."""
        model = made_from(cls, folder) if folder.manifest else cls(**_found_settings(folder))
        model.tokenizer = Pretrained.load(folder.path)
        model._place(_opened(folder))
        if len(model.tokenizer) > model.embedding.num_embeddings:
            raise ModelFolderError(
                f"{folder.path}: the tokenizer has {len(model.tokenizer):,} tokens, "
                f"the weights only {model.embedding.num_embeddings:,} rows: they don't belong together"
            )
        model.head = model._found_head(folder)
        model._learnt = folder.said("model").get("trained", True)
        model.check_settings()
        return model

    def _found_head(self, folder: storage.Folder) -> MaskedHead | None:
        """The head saved beside the body, or the one that a Hugging Face folder holds with it."""
        head = self._empty_head()
        if folder.manifest:
            if not folder.said("model").get("masked_head", False):
                return None
            load_weights(head, folder.file(HEAD))
            return head.to(self.embedding.weight.device)
        usable = _activation(self._body().config) == "gelu"
        if not usable or not published_head(folder.weights(), head, self.embedding.weight):
            return None
        return head.to(self.embedding.weight.device)


_FROM_ZERO = ("bert", "distilbert", "electra")
"""Model types that count positions from 0; RoBERTa's kin and MPNet count from the padding index on and lose two."""


def _activation(config: Any) -> str:
    return str(getattr(config, "hidden_act", getattr(config, "activation", "")))


def _as_autocast(_: nn.Module, __: object, states: torch.Tensor) -> torch.Tensor:
    """Under autocast the embeddings' output goes on in bfloat16: else every layer would add into fp32 and cast anew.

    A sixth of a training step on a processor; norms still accumulate in fp32.
    """
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


def _found_settings(folder: storage.Folder) -> dict[str, Any]:
    """What a sentence encoder's side files say about pooling and length, else the family's defaults."""
    found: dict[str, Any] = {}
    if folder.has("1_Pooling/config.json"):
        found["pooling"] = "cls" if folder.json("1_Pooling/config.json").get("pooling_mode_cls_token") else "mean"
    config = folder.json("config.json")
    positions = int(config.get("max_position_embeddings", 512))
    positions -= 0 if config.get("model_type") in _FROM_ZERO else 2
    if folder.has("sentence_bert_config.json"):
        found["max_length"] = int(folder.json("sentence_bert_config.json").get("max_seq_length") or 256)
    found["max_length"] = min(found.get("max_length", MaskedTransformer.max_length), positions)
    return found


def _drawn(config: Any) -> nn.Module:
    """The bare architecture with drawn weights; without the pooler, which nothing here uses."""
    from transformers import AutoModel

    without = {"add_pooling_layer": False} if _takes_pooling_flag(config) else {}
    made: nn.Module = AutoModel.from_config(config, trust_remote_code=False, **without)  # type: ignore[no-untyped-call]
    return made.float()


def _takes_pooling_flag(config: Any) -> bool:
    from transformers import AutoModel

    mapping: Any = AutoModel._model_mapping
    return "add_pooling_layer" in inspect.signature(mapping[type(config)].__init__).parameters


def _opened(folder: storage.Folder) -> nn.Module:
    """The body with the folder's weights."""
    from transformers import AutoModel

    config = configuration(folder)
    without = {"add_pooling_layer": False} if _takes_pooling_flag(config) else {}
    return opened(folder, AutoModel, config, optional="pooler", **without)
