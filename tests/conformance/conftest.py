"""One tiny instance of every family that the catalog finds; a new family fails here until it has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transferlm import catalog
from transferlm.models.base import Model

Factory = Callable[[int], Model]


@pytest.fixture(scope="session")
def factories(
    bert_folder: Path, review_texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Factory]:
    """Family -> a function from a seed to a model that is ready for use."""
    encoder = tmp_path_factory.mktemp("sentences")
    _write_sentence_encoder(encoder, review_texts)

    def recurrent(seed: int) -> Model:
        settings = {"width": 12, "embedding_width": 8, "epochs": 1, "batch_size": 4, "sequence_length": 16}
        return catalog.find("models", "recurrent")(**settings).fit(review_texts, seed)

    def masked_transformer(seed: int) -> Model:
        opened: Any = _opened("masked_transformer", bert_folder)
        return opened.untrained(seed) if seed else opened

    return {
        "masked_transformer": masked_transformer,
        "recurrent": recurrent,
        "tfidf": lambda seed: catalog.find("models", "tfidf")(ngrams=1).fit(review_texts, seed),
        "universal_sentence_encoder": lambda _: _opened("universal_sentence_encoder", encoder),
    }


def _opened(family: str, folder: Path) -> Model:
    from transferlm.storage import open_folder

    model: Model = catalog.find("models", family).read(open_folder(folder))  # type: ignore[attr-defined]
    return model


@pytest.fixture(scope="session")
def model_of(factories: dict[str, Factory]) -> Callable[..., Any]:
    """`model_of("recurrent", seed=0)`: an independent model each time."""
    made: dict[tuple[str, int], Model] = {}

    def of(family: str, seed: int = 0) -> Any:
        if family not in factories:
            pytest.fail(f"{__file__} has no factory for the family {family!r}: add one")
        if (family, seed) not in made:
            made[family, seed] = factories[family](seed)
        return made[family, seed].copy()

    return of


def _write_sentence_encoder(folder: Path, texts: list[str]) -> None:
    """A Universal Sentence Encoder of width 16 with drawn weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    from transferlm.models._universal_sentence_encoder import Architecture
    from transferlm.storage import save_tensors, write_json

    words = ["<unk>", "<s>", "</s>", *sorted({word for text in texts for word in text.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    framing = [("<s>", 1), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=framing)
    tokenizer.save(str(folder / "tokenizer.json"))
    configuration = {
        "model_type": "universal_sentence_encoder",
        "vocab_size": len(words),
        "hidden_size": 16,
        "quantization_groups": 4,
        "ngram_orders": [1, 2],
        "ngram_size": 8,
        "dense_sizes": [16, 16, 16, 16],
        "layer_norm_eps": 1e-6,
    }
    write_json(folder / "config.json", configuration)
    draw = np.random.default_rng(0)
    tensors = {}
    for name, shape in Architecture.of(configuration).shapes().items():
        if name == "embedding.codes":
            tensors[name] = draw.integers(0, 256, shape).astype(np.uint8)
        else:
            tensors[name] = draw.normal(0, 0.3, shape).astype(np.float32)
    save_tensors(tensors, folder / "model.safetensors")
