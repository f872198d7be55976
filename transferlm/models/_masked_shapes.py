"""Bidirectional Transformers as `transformers` configures them: shapes to train from scratch, and those of others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from transferlm import storage
from transferlm.errors import SettingError
from transferlm.models._huggingface import configuration, opened
from transferlm.text.tokenizers.base import Tokenizer

__all__ = [
    "ENCODERS",
    "PRESETS",
    "SHAPES",
    "check",
    "drawn",
    "first_position",
    "open_encoder",
    "positions",
    "settings_of",
    "shaped",
]

ENCODERS = frozenset({"bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"})
"""Architectures that read a text as a whole. Each was compared with `transformers`, states and scores."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "bert_mini": {"layers": 4, "heads": 4, "width": 256, "max_length": 512},
    "bert_small": {"layers": 4, "heads": 8, "width": 512, "max_length": 512, "learning_rate": 5e-4},
    "bert_base": {"layers": 12, "heads": 12, "width": 768, "max_length": 512, "learning_rate": 1e-4},
}
"""Sizes of Turc et al. (2019); `bert_base` is that of Devlin et al. (2019), with its step size."""


class MaskedSettings(Protocol):
    """The settings that decide a masked Transformer's shape (`models/masked_transformer.py`)."""

    @property
    def shape(self) -> str:
        """Architecture."""

    layers: int
    heads: int
    width: int
    dropout: float
    max_length: int
    epochs: int
    batch_size: int
    held_out: float


def check(model: MaskedSettings) -> None:
    """Refuse settings that make no sense.

    Raises:
        SettingError: One is out of its range.
    """
    choices = {"shape": (*SHAPES, "opened"), "pooling": ("mean", "cls"), "masking": ("token", "whole_word")}
    for name, known in choices.items():
        if getattr(model, name) not in known:
            raise SettingError(f"{name} {getattr(model, name)!r}: choose {', '.join(known)}")
    for name in ("layers", "heads", "width", "epochs", "batch_size"):
        if getattr(model, name) < 1:
            raise SettingError(f"{name} {getattr(model, name)}: give 1 or more")
    if model.max_length < 3:
        raise SettingError(f"max_length {model.max_length}: give 3 or more, two are the begin and end signs")
    if model.shape in SHAPES and model.width % model.heads:
        raise SettingError(f"width {model.width}: give a multiple of {model.heads}, so many for each head")
    for name in ("dropout", "held_out"):
        if not 0 <= getattr(model, name) < 1:
            raise SettingError(f"{name} {getattr(model, name)}: give a share from 0 up to, not including, 1")


def shaped(model: MaskedSettings, tokenizer: Tokenizer) -> Any:
    """The configuration that the model's hyper-parameters describe: the inner width is four times the outer one.

    There is one token type: a text is read on its own.
    """
    return SHAPES[model.shape](
        model,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_id,
        bos_token_id=tokenizer.begin_id,
        eos_token_id=tokenizer.end_id,
        tie_word_embeddings=True,
        initializer_range=_DEVIATION * (_BERT_WIDTH / model.width) ** 0.5,
    )


def _bert(model: MaskedSettings, **common: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(**common, **_sizes(model), max_position_embeddings=model.max_length, type_vocab_size=1)


def _roberta(model: MaskedSettings, **common: Any) -> Any:
    from transformers import RobertaConfig

    longest = model.max_length + int(common["pad_token_id"]) + 1
    return RobertaConfig(**common, **_sizes(model), max_position_embeddings=longest, type_vocab_size=1)


def _mpnet(model: MaskedSettings, **common: Any) -> Any:
    from transformers import MPNetConfig

    return MPNetConfig(**common, **_sizes(model), max_position_embeddings=model.max_length + _MPNET_PADDING + 1)


def _distilbert(model: MaskedSettings, **common: Any) -> Any:
    from transformers import DistilBertConfig

    return DistilBertConfig(
        **common,
        dim=model.width,
        n_layers=model.layers,
        n_heads=model.heads,
        hidden_dim=4 * model.width,
        dropout=model.dropout,
        attention_dropout=model.dropout,
        max_position_embeddings=model.max_length,
    )


def _sizes(model: MaskedSettings) -> dict[str, Any]:
    return {
        "hidden_size": model.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "intermediate_size": 4 * model.width,
        "hidden_dropout_prob": model.dropout,
        "attention_probs_dropout_prob": model.dropout,
    }


SHAPES: dict[str, Callable[..., Any]] = {"bert": _bert, "roberta": _roberta, "distilbert": _distilbert, "mpnet": _mpnet}
"""Shape, which is the `model_type` too -> its configuration."""

_DEVIATION, _BERT_WIDTH = 0.02, 768
"""BERT's deviation of first weights suits its width. Narrower states have smaller products, so attention stays all but
even and the text's order unseen for long: it grows as the root of the width shrinks, which a model of width 64 learns
three times as fast with (`benchmarks/LOG.md`)."""

_MPNET_PADDING = 1
"""What MPNet takes for the padding's number, whatever its configuration says."""

_LONGEST = 256
"""Tokens of a text that an opened model reads unless told otherwise: what two cores bear."""


def first_position(config: Any) -> int:
    """The number of a text's first position: RoBERTa and MPNet count from the padding's number on."""
    if config.model_type == "mpnet":
        return _MPNET_PADDING + 1
    if config.model_type in ("camembert", "roberta", "xlm-roberta"):
        return int(config.pad_token_id) + 1
    return 0


def positions(config: Any) -> int:
    """How many tokens the weights can tell the places of."""
    return int(config.max_position_embeddings) - first_position(config)


def settings_of(folder: storage.Folder) -> dict[str, Any]:
    """Hyper-parameters of a folder that others made; side files of sentence encoders tell of pooling and length."""
    config = configuration(folder)
    longest, pooling = _LONGEST, "mean"
    if folder.has("1_Pooling/config.json"):
        pooling = "cls" if folder.json("1_Pooling/config.json").get("pooling_mode_cls_token") else "mean"
    if folder.has("sentence_bert_config.json"):
        longest = int(folder.json("sentence_bert_config.json").get("max_seq_length") or _LONGEST)
    return {
        "shape": "opened",
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "width": config.hidden_size,
        "dropout": float(getattr(config, "hidden_dropout_prob", getattr(config, "dropout", 0.0))),
        "max_length": min(longest, positions(config)),
        "pooling": pooling,
        "learning_rate": 2e-4,
    }


def drawn(config: Any, seed: int) -> nn.Module:
    """The bare architecture with weights drawn as `transformers` draws them; without the pooler, which nothing uses."""
    from transformers import AutoModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made: nn.Module = AutoModel.from_config(config, trust_remote_code=False, **_without_pooler(config))  # type: ignore[no-untyped-call]
    return made.float()


def open_encoder(folder: storage.Folder) -> nn.Module:
    """The body with the folder's weights.

    Raises:
        ModelFolderError: They are damaged, or not those that the configuration describes.
    """
    from transformers import AutoModel

    config = configuration(folder)
    return opened(folder, AutoModel, config, optional="pooler", **_without_pooler(config))


def _without_pooler(config: Any) -> dict[str, bool]:
    from transformers import AutoModel

    mapping: Any = AutoModel._model_mapping
    known = inspect.signature(mapping[type(config)].__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}
