"""What one does with a model: score it, let it write, give it to other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from transferlm.errors import SettingError, UnsupportedError
from transferlm.lifecycle.opening import ARPA
from transferlm.measure.language import Context, LanguageScores, score
from transferlm.measure.pseudo_likelihood import PseudoScores, score_masked
from transferlm.measure.word_vectors import Analogies, Similarity, WordScores
from transferlm.models.base import Causal, Exportable, Masked, Model, WordVectors, able
from transferlm.task_model import Scores, TaskModel, body_of
from transferlm.tasks.base import Examples
from transferlm.text.corpus import Corpus
from transferlm.text.files import refuse_half_characters
from transferlm.vectors.files import ENDINGS, is_vector_file, write_vectors

__all__ = ["evaluate", "export", "generate", "generate_pieces"]


def evaluate(
    model: Model | TaskModel,
    data: Examples | Corpus | Iterable[str] | Similarity | Analogies,
    context: Context = "text",
    whole_words: bool = False,
) -> Scores | LanguageScores | PseudoScores | WordScores:
    """How good a model is: a task model on labelled examples, a language model on text, word vectors on word pairs.

    Args:
        model: A task model, a causal or masked language model, or word vectors.
        data: Labelled examples for the first, texts for the second, judged pairs or analogies for the third.
        context: For a causal model: `text` scores each text on its own, `stream` after all texts before it.
        whole_words: For a masked model: hide with each token the later ones of its word (Kauf & Ivanova 2023).

    Raises:
        UnsupportedError: The model predicts no task and gives no probabilities to texts, or the data is not of its
            kind.
        SettingError: `context` or `whole_words` is given for a model that it means nothing to.
        DataError: There is nothing to score.
    """
    if isinstance(model, TaskModel):
        if not isinstance(data, Examples):
            raise UnsupportedError("a task model is scored on labelled examples: read them with `read(path, task)`")
        return model.score(data)
    if isinstance(data, Similarity | Analogies):
        return data.score(able(model, WordVectors, "similarity and analogies").table)
    if isinstance(data, Examples) or not isinstance(model, Causal | Masked):
        mute = "" if isinstance(model, Causal | Masked) else ", and it gives no probabilities to plain text"
        raise UnsupportedError(f"a {model.family} model predicts no task yet: transfer it first{mute}")
    if isinstance(model, Masked):
        if context != "text":
            raise SettingError(f"a {model.family} model scores each text on its own: leave context {context!r} out")
        return score_masked(model, data, whole_words)
    if whole_words:
        raise SettingError(f"a {model.family} model hides no words: leave whole_words out")
    return score(model, data, context)


def generate(model: Model | TaskModel, prompt: str = "", count: int = 1, **settings: Any) -> list[str]:
    """Draw texts from a causal language model, or search its most probable ones (`Causal.sample` tells its settings).

    Raises:
        UnsupportedError: The model gives no probabilities to next tokens.
        SettingError: A setting is out of its range.
        DataError: The prompt is no UTF-8.
    """
    body = able(body_of(model), Causal, "generate")
    refuse_half_characters(prompt)
    return body.sample(prompt, count, **settings)


def generate_pieces(model: Model | TaskModel, prompt: str = "", **settings: Any) -> Iterator[str]:
    """One text of a causal language model in pieces, as they are drawn (`Causal.sample_pieces` tells its settings).

    Raises:
        UnsupportedError: The model gives no probabilities to next tokens.
        SettingError: A setting is out of its range.
    """
    return able(body_of(model), Causal, "generate").sample_pieces(prompt, **settings)


def export(model: Model | TaskModel, path: str | Path) -> None:
    """Write a count-based or compact model as an ARPA file (`.arpa`), or word vectors as `.bin`, `.vec` or `.txt`.

    Each may be packed (`.gz`). A `.txt` has no header line, as GloVe's files, the others have one, as word2vec's.

    Raises:
        UnsupportedError: The model is neither made of n-grams nor of word vectors.
        SettingError: The name ends otherwise, or its folder is not there.
    """
    body = body_of(model)
    endings = ENDINGS if isinstance(body, WordVectors) else ARPA
    writer = body if isinstance(body, WordVectors) else able(body, Exportable, "export")
    if not (is_vector_file(str(path)) if endings is ENDINGS else str(path).lower().endswith(ARPA)):
        raise SettingError(f"{path}: give a name that ends in {' or '.join(endings)}")
    if not Path(path).absolute().parent.is_dir():
        raise SettingError(f"{Path(path).absolute().parent} is no folder: make it first")
    if isinstance(writer, WordVectors):
        write_vectors(writer.table, Path(path), header=".txt" not in Path(path).suffixes[-2:])
    else:
        writer.export(Path(path))
