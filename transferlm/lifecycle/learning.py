"""What makes a new model of an old one: pretraining, transfer, combination, compression (updates: `updating.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from transferlm import catalog, storage
from transferlm.combinations.base import Combination
from transferlm.launched import alone
from transferlm.measure.language import finite, score
from transferlm.models.base import CountBased, Model, SelfSupervised, Trainable, able
from transferlm.progress import say
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel, body_of
from transferlm.task_models import TaskModels
from transferlm.tasks.base import Examples, Task
from transferlm.text.corpus import Corpus

__all__ = ["combine", "compress", "pretrain", "read", "transfer"]


def read(source: Any, task: Task, labels: Sequence[str] | None = None) -> Examples:
    """Read labelled examples for a task from a file, a frame or a dataset (see `Task.read`).

    Args:
        source: Where they are.
        task: The task; to update or score a task model its own (`model.task`).
        labels: The labels there are, of a model say (`model.labels`): the examples may lack some, and any other is an
            error that names its line. None takes those found.
    """
    return task.read(source, labels=labels)


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
    family = able(model, Trainable, "pretrain")
    if not isinstance(family, SelfSupervised):
        alone(f"the pretraining of {model.family}")
    corpus = Corpus.of(corpus)
    trained: Any = family.untrained(seed).fit(corpus, seed, _path(checkpoints))
    trained.lineage = storage.Lineage().child(
        "pretrain",
        method={"name": model.family, "hyper_parameters": model.hyper_parameters()},
        data=[{"name": corpus.name, "hash": corpus.hash}],
        seed=seed,
        notes=trained.notes() if isinstance(trained, CountBased) else [],
    )
    trained.lineage.parents += [begun.as_json() for begun in trained.begun_from]
    for note in trained.lineage.notes:
        say(note)
    made: Model = trained
    return made


@overload
def transfer(
    model: Model | TaskModel,
    examples: Examples,
    strategy: Strategy,
    seed: int = 0,
    checkpoints: str | Path | None = None,
) -> TaskModel: ...


@overload
def transfer(
    model: Model | TaskModel,
    examples: Mapping[str, Examples],
    strategy: Strategy,
    seed: int = 0,
    checkpoints: str | Path | None = None,
) -> TaskModels: ...


def transfer(
    model: Model | TaskModel,
    examples: Examples | Mapping[str, Examples],
    strategy: Strategy,
    seed: int = 0,
    checkpoints: str | Path | None = None,
) -> TaskModel | TaskModels:
    """A task model from a source and labelled examples, or several around one body; the source is left as it was.

    Args:
        model: The source; of a task model its body is used (source task to target task).
        examples: Labelled texts; for several tasks at once (`multi_task`) a name for each -> its labelled texts.
        strategy: How.
        seed: Decides every random choice.
        checkpoints: Folder for the state of the training: an interrupted one goes on from there, to the same bits.
    """
    if isinstance(examples, Mapping):
        return strategy.transfer_several(body_of(model), examples, seed, _path(checkpoints))
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
    body: Any = body_of(model)
    made, notes = catalog.find("models", "compact").compressed(body, bits)
    scores = {"bytes before": body.weight_bytes, "bytes after": made.weight_bytes}
    data = []
    if test is not None:
        test = Corpus.of(test)
        before, after = (finite(score(each, test).perplexity) for each in (body, made))
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


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else Path(folder)
