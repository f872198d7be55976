"""The life of a language model: opened, pretrained, updated, transferred, combined, compressed, evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transferlm import catalog, sources, storage
from transferlm.combinations.base import Combination
from transferlm.errors import SettingError, TransferLMError, UnsupportedError
from transferlm.measure.forgetting import Gate, Report
from transferlm.measure.language import Context, LanguageScores, finite, score
from transferlm.measure.word_vectors import Analogies, Similarity, WordScores
from transferlm.models._caches import cache_of
from transferlm.models._opening import open_model, open_vectors
from transferlm.models.base import (
    Causal,
    CountBased,
    Exportable,
    FromScratch,
    GradientTrained,
    Model,
    Trainable,
    WordVectors,
    require,
)
from transferlm.progress import say
from transferlm.strategies.base import Strategy
from transferlm.task_model import Scores, TaskModel, body_of
from transferlm.tasks.base import Examples, Task
from transferlm.text.corpus import Corpus
from transferlm.text.files import refuse_half_characters
from transferlm.text.tokenizers.base import Tokenizer
from transferlm.updates.base import Update
from transferlm.vectors.files import ENDINGS, is_vector_file, write_vectors

__all__ = [
    "Report",
    "Updated",
    "combine",
    "compress",
    "evaluate",
    "generate",
    "generate_pieces",
    "load",
    "pretrain",
    "read",
    "sources_of",
    "task_model",
    "transfer",
    "untrained",
    "update",
    "with_cache",
    "with_dynamic_evaluation",
    "word_vectors",
]


_ARPA = (".arpa", ".arpa.gz")


def load(source: str | Path, **hyper_parameters: Any) -> Model | TaskModel:
    """Open a model.

    Args:
        source: A model folder of ours, a Hugging Face folder or hub name (`organisation/model`), a fetched name
            (`minilm`), an ARPA file (`.arpa`), word vectors (`.bin`, `.vec`, `.txt`), each `.gz` too, or the name of a
            family that needs no weights (`tfidf`). Of a family and a fetched source of one name (`glove`) the source is
            meant.
        hyper_parameters: Settings that replace the saved ones where weights don't depend on them (`max_length=128`);
            for a file of word vectors `encoding` too.

    Raises:
        SourceError: Nothing is found there; a known name that is not fetched yet says how to fetch it.
        ModelFolderError: The folder is damaged, unsafe, or of a family that is unknown.
        DataError: The file is damaged, or plain text; the message names the line.
    """
    name = str(source)
    if name in catalog.entries("models") and name not in sources.SOURCES and not Path(name).exists():
        return empty(name, **hyper_parameters)
    if name.lower().endswith(_ARPA) and Path(name).is_file():
        unit = hyper_parameters.pop("unit", None)
        imported: Model = catalog.find("models", "arpa").read_file(Path(name), unit)  # type: ignore[attr-defined]
        imported.adjust(**hyper_parameters)
        return imported
    place = sources.locate(source)
    vectors = open_vectors(place, hyper_parameters.get("encoding", "utf-8"))
    if vectors is not None:
        hyper_parameters.pop("encoding", None)
        vectors.adjust(**hyper_parameters)
        return vectors
    folder = storage.open_folder(place)
    model = open_model(folder)
    model.adjust(**hyper_parameters)
    return TaskModel.read(folder, model) if "task" in folder.manifest else model


def empty(family: str, tokenizer: Tokenizer | None = None, preset: str | None = None, **hyper_parameters: Any) -> Model:
    """A model of a family before any data.

    Args:
        family: Its name (`transferlm list models`).
        tokenizer: How text is cut into tokens, for families that take one.
        preset: Settings that belong together, by name (`awd_lstm` of `recurrent`).
        hyper_parameters: Its settings; the rest are the preset's, or the family's defaults.

    Raises:
        SettingError: A setting is unknown or out of its range, or the family has no such preset.
        UnsupportedError: The family takes no tokenizer.
    """
    for setting in hyper_parameters:
        catalog.entry("models", family).hyper_parameter(setting)
    cls: Any = catalog.find("models", family)
    if preset is not None and not issubclass(cls, Trainable):
        raise SettingError(f"{family} is not trained from scratch and has no presets: leave it out")
    made: Model = cls(**hyper_parameters) if preset is None else cls.preset(preset, **hyper_parameters)
    if tokenizer is not None:
        if isinstance(made, CountBased) or not isinstance(made, Causal):
            raise UnsupportedError(f"{family} takes no tokenizer: leave it out")
        made.tokenizer = tokenizer
    return made


def read(source: Any, task: Task) -> Examples:
    """Read labelled examples for a task from a file, a frame or a dataset (see `Task.read`)."""
    return task.read(source)


def pretrain(
    model: Model, corpus: Corpus | Iterable[str], seed: int = 0, checkpoints: str | Path | None = None
) -> Model:
    """A new model with the same hyper-parameters, trained on text from scratch.

    Args:
        model: Its family, hyper-parameters and tokenizer are kept.
        corpus: Texts.
        seed: Decides every random choice.
        checkpoints: Folder for the state of the training: an interrupted one goes on from there, to the same bits.

    Raises:
        UnsupportedError: The family can't be trained on text.
        DataError: The corpus is empty or unreadable.
    """
    require(model, (Trainable,), "pretrain")
    corpus = Corpus.of(corpus)
    fresh = model.untrained(seed)  # type: ignore[attr-defined]
    trained: Model = fresh.fit(corpus, seed, _path(checkpoints))
    trained.lineage = storage.Lineage().child(
        "pretrain",
        method={"name": model.family, "hyper_parameters": model.hyper_parameters()},
        data=[{"name": corpus.name, "hash": corpus.hash}],
        seed=seed,
        notes=trained.notes() if isinstance(trained, CountBased) else [],
    )
    for note in trained.lineage.notes:
        say(note)
    return trained


class Updated(NamedTuple):
    """An updated model and what the update did."""

    model: Model
    report: Report


def update(
    model: Model | TaskModel,
    new: Corpus | Iterable[str],
    method: Update,
    old: Corpus | Iterable[str] | None = None,
    max_forgetting: float | None = None,
    seed: int = 0,
    checkpoints: str | Path | None = None,
) -> Updated:
    """A model that has learnt from new text without labels; the model given is left as it was.

    A part of the new text, and of the old where it is given, is scored before and after and not trained on until it has
    been. A method that is exact (`count_merging`) adds it once the figures are known; all others leave it out.

    Args:
        model: What is updated; of a task model its body.
        new: Texts to learn from.
        method: How.
        old: Texts of the kind that the model knew before. Without them forgetting is not measured.
        max_forgetting: Largest relative rise of the loss on the old text: 0.02 is 2%.
        seed: Decides every random choice.
        checkpoints: Folder for the state of the training: an interrupted one goes on from there, to the same bits.

    Raises:
        ForgettingError: The loss on the old text rose by more than that.
        UnsupportedError: The method does not suit the model, or forgetting is limited and can't be measured.
        SettingError: Forgetting is limited and no old text is given.
    """
    body = body_of(model)
    require(body, method.requires, catalog.name_of(method))
    new, old = Corpus.of(new), None if old is None else Corpus.of(old)
    gate, state = Gate(new, old, max_forgetting, seed), _path(checkpoints)
    part = new if method.unlearns else gate.new.train
    made = method.update(body, part, gate.rehearsed, seed, state, measure=gate.measure)
    report = gate.judge()
    if method.exact and part is not new:
        made = method.update(body, new, gate.rehearsed, seed, state)
    gate.tell(made.lineage, report)
    return Updated(made, report)


def generate(model: Model | TaskModel, prompt: str = "", count: int = 1, **settings: Any) -> list[str]:
    """Draw texts from a causal language model, or search its most probable ones (`Causal.sample` tells its settings).

    Raises:
        UnsupportedError: The model gives no probabilities to next tokens.
        SettingError: A setting is out of its range.
        DataError: The prompt is no UTF-8.
    """
    body = body_of(model)
    require(body, (Causal,), "generate")
    refuse_half_characters(prompt)
    texts: list[str] = body.sample(prompt, count, **settings)  # type: ignore[attr-defined]
    return texts


def generate_pieces(model: Model | TaskModel, prompt: str = "", **settings: Any) -> Iterator[str]:
    """One text of a causal language model in pieces, as they are drawn (`Causal.sample_pieces` tells its settings).

    Raises:
        UnsupportedError: The model gives no probabilities to next tokens.
        SettingError: A setting is out of its range.
    """
    body = body_of(model)
    require(body, (Causal,), "generate")
    pieces: Iterator[str] = body.sample_pieces(prompt, **settings)  # type: ignore[attr-defined]
    return pieces


def compress(model: Model | TaskModel, bits: int | None = 8, test: Corpus | Iterable[str] | None = None) -> Model:
    """A count-based model (or one from an ARPA file) made small, for shipping; no text can be added to it any more.

    Raw counts are dropped, n-grams packed, log-probabilities and back-off weights put into codes. Its story tells bytes
    before and after (as folders, of an ARPA file too) and, with a test text, the perplexity before and after and by
    which share it rose; what is infinite is a note instead.

    Args:
        model: What is compressed; it is left as it was.
        bits: Width of a code, 2 to 16; none keeps every probability to the bit. On the Penn Treebank 8 bits cost less
            than 0.01% of perplexity, 6 bits 0.1%, 4 bits 1.2% (`benchmarks/counts.py`).
        test: Texts to measure perplexity on.

    Raises:
        UnsupportedError: The model is not scored by a back-off automaton, or is compressed already.
        SettingError: `bits` is out of its range.
        DataError: It has seen no text yet, or the test text is empty.
    """
    body = body_of(model)
    made, notes = catalog.find("models", "compact").compressed(body, bits)  # type: ignore[attr-defined]
    scores = {"bytes before": body.weight_bytes, "bytes after": made.weight_bytes}  # type: ignore[attr-defined]
    data = []
    if test is not None:
        test = Corpus.of(test)
        before, after = (finite(score(each, test).perplexity) for each in (body, made))  # type: ignore[arg-type]
        rise = None if before is None or after is None else after / before - 1
        told = {"perplexity before": before, "perplexity after": after, "rise": rise}
        scores |= {name: figure for name, figure in told.items() if figure is not None}
        infinite = [name for name in ("before", "after") if told[f"perplexity {name}"] is None]
        notes += [f"perplexity {name}: infinite, some token of {test.name} has probability 0" for name in infinite]
        data = [{"name": f"{test.name} (measured on)", "hash": test.hash}]
    method = {"name": made.family, "hyper_parameters": {"bits": made.bits}}
    made.lineage = body.origin.child("compress", method=method, data=data, scores=scores, notes=notes)
    compressed: Model = made
    return compressed


def export(model: Model | TaskModel, path: str | Path) -> None:
    """Write a count-based or compact model as an ARPA file (`.arpa`), or word vectors as `.bin`, `.vec` or `.txt`.

    Each may be packed (`.gz`). A `.txt` has no header line, as GloVe's files, the others have one, as word2vec's.

    Raises:
        UnsupportedError: The model is neither made of n-grams nor of word vectors.
        SettingError: The name ends otherwise, or its folder is not there.
    """
    body = body_of(model)
    vectors = isinstance(body, WordVectors)
    if not vectors:
        require(body, (Exportable,), "export")
    if not (is_vector_file(str(path)) if vectors else str(path).lower().endswith(_ARPA)):
        raise SettingError(f"{path}: give a name that ends in {' or '.join(ENDINGS if vectors else _ARPA)}")
    if not Path(path).absolute().parent.is_dir():
        raise SettingError(f"{Path(path).absolute().parent} is no folder: make it first")
    if isinstance(body, WordVectors):
        write_vectors(body.table, Path(path), header=".txt" not in Path(path).suffixes[-2:])
    else:
        body.export(Path(path))  # type: ignore[attr-defined]


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else Path(folder)


def transfer(
    model: Model | TaskModel,
    examples: Examples,
    strategy: Strategy,
    seed: int = 0,
    checkpoints: str | Path | None = None,
) -> TaskModel:
    """A task model from a source and labelled examples; the source is left as it was.

    Args:
        model: The source; of a task model its body is used (source task to target task).
        examples: Labelled texts.
        strategy: How.
        seed: Decides every random choice.
        checkpoints: Folder for the state of the training: an interrupted one goes on from there, to the same bits.
    """
    return strategy.transfer(body_of(model), examples, seed, _path(checkpoints))


def combine(
    models: Sequence[Model | TaskModel], method: Combination, tuning: Corpus | Iterable[str] | None = None
) -> Model:
    """One model that speaks for several; the models given are left as they were.

    Args:
        models: Two or more; of task models their bodies.
        method: How.
        tuning: Texts that none of them was trained on, for methods that fit something.

    Raises:
        UnsupportedError: The method does not suit a model, or they do not go together.
    """
    return method.combine([body_of(model) for model in models], tuning)


def with_cache(
    model: Model | TaskModel,
    tuning: Corpus | Iterable[str] | None = None,
    context: Context = "text",
    kind: str | None = None,
) -> Model:
    """The model with a cache of what it just read; the model given is left as it was.

    Args:
        model: Any causal model.
        tuning: Texts it was not trained on, to fit the cache to; without them it is as it was fitted to the Treebank.
        context: Whether the cache is fitted to texts on their own or to a stream of them.
        kind: `states`, which neural models have, or `counts`; none takes what suits the model best.

    Raises:
        UnsupportedError: The model is not causal, or tells no states where those are asked for.
        SettingError: There is no such kind.
    """
    body = body_of(model)
    cached = cache_of(body, kind)
    data, scores = [], {}
    if tuning is not None:
        corpus = Corpus.of(tuning)
        scores[f"tuning_loss_{context}"] = cached.tune(corpus, context)
        data.append({"name": corpus.name, "hash": corpus.hash, "texts": corpus.survey().texts})
    method = {"name": cached.family, "hyper_parameters": cached.hyper_parameters()}
    cached.lineage = body.origin.child("cache", method=method, data=data, scores=scores)
    return cached


def with_dynamic_evaluation(
    model: Model | TaskModel, tuning: Corpus | Iterable[str] | None = None, context: Context = "stream"
) -> Model:
    """The model with weights that follow the text it reads; the model given is left as it was.

    Args:
        model: A causal model trained by gradients.
        tuning: Texts it was not trained on: their first half to measure gradients on (rule `rms`), the other to fit
            step sizes to, since on the same text steps look better than they are. Without them steps are plain gradient
            steps of a size that suited a small LSTM.
        context: Whether step sizes are fitted to texts on their own or to a stream of them.

    Raises:
        UnsupportedError: The model is not causal, or not trained by gradients.
        DataError: There are fewer than two texts to tune on.
    """
    family: Any = catalog.find("models", "dynamic")
    data, scores = [], {}
    if tuning is None:
        dynamic = family.of(body_of(model))
    else:
        corpus = Corpus.of(tuning)
        measured, fitted = corpus.at_end(0.5)
        dynamic = family.of(body_of(model), measured, rule="rms")
        scores[f"tuning_loss_{context}"] = dynamic.tune(fitted, context)
        data.append({"name": corpus.name, "hash": corpus.hash, "texts": corpus.survey().texts})
    method = {"name": dynamic.family, "hyper_parameters": dynamic.hyper_parameters()}
    dynamic.lineage = body_of(model).origin.child("dynamic evaluation", method=method, data=data, scores=scores)
    made: Model = dynamic
    return made


def evaluate(
    model: Model | TaskModel,
    data: Examples | Corpus | Iterable[str] | Similarity | Analogies,
    context: Context = "text",
) -> Scores | LanguageScores | WordScores:
    """How good a model is: a task model on labelled examples, a language model on text, word vectors on word pairs.

    Args:
        model: A task model, any causal language model, or word vectors.
        data: Labelled examples for the first, texts for the second, judged pairs or analogies for the third.
        context: For a language model: `text` scores each text on its own, `stream` after all texts before it.

    Raises:
        UnsupportedError: The model predicts no task and gives no probabilities to texts, or the data is not of its
            kind.
        DataError: There is nothing to score.
    """
    if isinstance(model, TaskModel):
        if not isinstance(data, Examples):
            raise UnsupportedError("a task model is scored on labelled examples: read them with `read(path, task)`")
        return model.score(data)
    if isinstance(data, Similarity | Analogies):
        require(model, (WordVectors,), "similarity and analogies")
        return data.score(model.table)  # type: ignore[attr-defined]
    if isinstance(data, Examples) or not isinstance(model, Causal):
        able = "" if isinstance(model, Causal) else ", and it gives no probabilities to plain text"
        raise UnsupportedError(f"a {model.family} model predicts no task yet: transfer it first{able}")
    return score(model, data, context)


def sources_of(given: Sequence[str | Path | Model], **hyper_parameters: Any) -> dict[str, Model]:
    """Sources by a short name each, opened where a name or path is given.

    Args:
        given: Names, paths or models.
        hyper_parameters: Settings for those opened here that have them (`max_length=128`).

    Raises:
        TransferLMError: Two sources would have the same name in tables.
    """
    named: dict[str, Model] = {}
    for source in given:
        name = source.family if isinstance(source, Model) else Path(str(source)).name
        if name in named:
            raise TransferLMError(
                f"two sources are called {name!r}: rename a folder so that tables can tell them apart"
            )
        model = source if isinstance(source, Model) else load(source)
        body = body_of(model)
        if body is not source:
            body.adjust(**{name: value for name, value in hyper_parameters.items() if name in body.adjustable})
        named[name] = body
    return named


def untrained(model: Model | TaskModel, seed: int = 0) -> Model:
    """The same architecture and tokenizer before any data: what "from scratch" starts from.

    Raises:
        UnsupportedError: The family is not trainable, so it has no such state.
    """
    body = body_of(model)
    require(body, (FromScratch,), "training from scratch")
    fresh: Model = body.untrained(seed)  # type: ignore[attr-defined]
    return fresh


def task_model(folder: str | Path) -> TaskModel:
    """Open a folder that must hold a task model.

    Raises:
        UnsupportedError: It holds a language model without a task.
    """
    model = load(folder)
    if not isinstance(model, TaskModel):
        raise UnsupportedError(f"{folder} holds a {model.family} model that predicts no task yet: transfer it first")
    return model


def word_vectors(source: str | Path, **hyper_parameters: Any) -> WordVectors:
    """Open a source that must be word vectors, as `load` does; of a task model its body.

    Raises:
        UnsupportedError: It is a model of another kind; the message names the families that are.
    """
    body = body_of(load(source, **hyper_parameters))
    require(body, (WordVectors,), "nearest")
    assert isinstance(body, WordVectors)
    return body


def reading_of(source: str | Path, max_length: int | None = None) -> tuple[Tokenizer, int]:
    """The tokenizer of a source and how many tokens of a text it reads.

    Raises:
        UnsupportedError: The source has no tokenizer of its own (tfidf).
    """
    model = load(source)
    body = body_of(model)
    if not isinstance(body, GradientTrained):
        raise UnsupportedError(f"{source} reads texts whole: it has no tokens to count")
    if getattr(body, "tokenizer", None) is None or not body.tokenizer.trained:
        raise UnsupportedError(f"{source} has no tokenizer yet: give a model that has seen text")
    return body.tokenizer, max_length or body.max_length
