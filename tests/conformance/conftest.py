"""One tiny instance of every family that the catalog finds; a new family fails here until it has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sentence_encoder import write_packaged

from transferlm import catalog
from transferlm.models.base import Model
from transferlm.sources.convert import convert

Factory = Callable[[int], Model]


@pytest.fixture
def quick(review_texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """From the name of a strategy to it with the least work, and with the texts that it can't do without."""
    unlabelled = tmp_path_factory.mktemp("unlabelled") / "texts.txt"
    unlabelled.write_text("\n".join(review_texts), encoding="utf-8")
    least = {"epochs": 1, "minimum_steps": 2, "precision": "fp32", "unlabelled": str(unlabelled), "rounds": 1}

    def of(strategy: str) -> Any:
        known = {field.name for field in catalog.entry("strategies", strategy).hyper_parameters}
        return catalog.find("strategies", strategy)(**{name: value for name, value in least.items() if name in known})

    return of


@pytest.fixture(scope="session")
def factories(review_texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Factory]:
    """Family -> a function from a seed to a model that is ready for use."""
    encoder = tmp_path_factory.mktemp("sentences")
    write_packaged(encoder)
    convert("universal_sentence_encoder", encoder)

    def recurrent(seed: int) -> Model:
        settings = {"width": 12, "embedding_width": 8, "epochs": 1, "batch_size": 4, "sequence_length": 16}
        return catalog.find("models", "recurrent")(**settings).fit(review_texts, seed)

    def causal_transformer(seed: int) -> Model:
        settings = {"layers": 2, "heads": 2, "width": 16, "max_length": 32, "epochs": 1, "batch_size": 4}
        words = catalog.find("tokenizers", "word")()
        return catalog.find("models", "causal_transformer")(tokenizer=words, **settings).fit(review_texts, seed)

    def masked_transformer(seed: int) -> Model:
        settings = {"layers": 2, "heads": 2, "width": 16, "max_length": 32, "epochs": 1, "batch_size": 4}
        words = catalog.find("tokenizers", "word")()
        return catalog.find("models", "masked_transformer")(tokenizer=words, **settings).fit(review_texts, seed)

    def arpa(_: int) -> Model:
        place = tmp_path_factory.mktemp("arpa") / "model.arpa.gz"
        counted("kneser_ney")(0).export(place)  # type: ignore[attr-defined]
        made: Model = catalog.find("models", "arpa").read_file(place)  # type: ignore[attr-defined]
        return made

    def compact(_: int) -> Model:
        from transferlm.lifecycle import compress

        return compress(counted("kneser_ney")(0), bits=3)

    def compiled(seed: int) -> Model:
        made: Model = catalog.find("models", "compiled").of(masked_transformer(seed), int8=True)  # type: ignore[attr-defined]
        return made

    def counted(family: str) -> Factory:
        return lambda seed: catalog.find("models", family)(order=3).fit(review_texts, seed)

    def mixture(seed: int) -> Model:
        parts = [catalog.find("models", name)(order=2) for name in ("kneser_ney", "witten_bell")]
        return catalog.find("models", "mixture").of(parts).fit(review_texts, seed)  # type: ignore[attr-defined]

    def cached(seed: int) -> Model:
        made: Model = catalog.find("models", "cached").of(counted("kneser_ney")(seed))  # type: ignore[attr-defined]
        return made

    def dynamic(seed: int) -> Model:
        made: Model = catalog.find("models", "dynamic").of(recurrent(seed))  # type: ignore[attr-defined]
        return made

    def neural_cache(seed: int) -> Model:
        made: Model = catalog.find("models", "neural_cache").of(recurrent(seed))  # type: ignore[attr-defined]
        return made

    def posterior_average(seed: int) -> Model:
        method = catalog.find("updates", "online_bayes")(steps=2, information_tokens=50)  # type: ignore[attr-defined]
        updated = method.update(recurrent(seed), review_texts)
        made: Model = catalog.find("models", "posterior_average").of(updated, draws=2)  # type: ignore[attr-defined]
        return made

    def class_counts(seed: int) -> Model:
        targets = np.arange(len(review_texts)) % 2
        general = counted("kneser_ney")(seed)
        made: Model = catalog.find("models", "class_counts").of(general, review_texts, targets, 2)  # type: ignore[attr-defined]
        return made

    def label_likelihood(seed: int) -> Model:
        made: Model = catalog.find("models", "label_likelihood").of(recurrent(seed), ("good", "bad"))  # type: ignore[attr-defined]
        return made

    def vectors(family: str, **settings: Any) -> Factory:
        small = {"width": 8, "minimum_count": 1, "epochs": 2, **settings}
        return lambda seed: catalog.find("models", family)(**small).fit(review_texts, seed)

    def word_vectors(_: int) -> Model:
        place = tmp_path_factory.mktemp("vectors") / "vectors.vec"
        words = sorted({word for text in review_texts for word in text.split()})
        numbers = np.random.default_rng(0).normal(size=(len(words), 8))
        rows = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, numbers, strict=True))
        place.write_text(f"{len(words)} 8\n{rows}", encoding="utf-8")
        made: Model = catalog.find("models", "word_vectors").read_file(place)  # type: ignore[attr-defined]
        return made

    def mapped(seed: int) -> Model:
        directions = np.linalg.qr(np.random.default_rng(seed).normal(size=(36, 2)))[0]
        made: Model = catalog.find("models", "mapped").of(recurrent(seed), directions, np.array([2.0, 0.5]))  # type: ignore[attr-defined]
        return made

    return {
        "arpa": arpa,
        "cached": cached,
        "causal_transformer": causal_transformer,
        "class_counts": class_counts,
        "compact": compact,
        "compiled": compiled,
        "dynamic": dynamic,
        "fasttext": vectors("fasttext", buckets=500),
        "glove": vectors("glove", x_max=10.0),
        "good_turing": counted("good_turing"),
        "hierarchical_dirichlet": counted("hierarchical_dirichlet"),
        "kneser_ney": counted("kneser_ney"),
        "label_likelihood": label_likelihood,
        "mapped": mapped,
        "maximum_likelihood": counted("maximum_likelihood"),
        "mixture": mixture,
        "neural_cache": neural_cache,
        "posterior_average": posterior_average,
        "witten_bell": counted("witten_bell"),
        "word2vec": vectors("word2vec"),
        "word_vectors": word_vectors,
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
