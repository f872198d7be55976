"""What makes a new model of an old one: pretraining, updates, transfer, combination, compression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from transferlm import catalog, storage
from transferlm.combinations.base import Combination
from transferlm.errors import SettingError, UnsupportedError
from transferlm.launched import alone
from transferlm.measure.cost import Meter
from transferlm.measure.forgetting import Gate, Report
from transferlm.measure.language import finite, score
from transferlm.measure.step import Step, step_between
from transferlm.models.base import CountBased, Model, SelfSupervised, Trainable, able, require
from transferlm.progress import say
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel, body_of
from transferlm.task_models import TaskModels
from transferlm.tasks.base import Examples, Task
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update

__all__ = ["Updated", "combine", "compress", "pretrain", "read", "transfer", "update"]


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
    step_share: float | Literal["fit"] | None = None,
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
        step_share: How much of the update's step is taken, above 0 and 1 at the most: weights (or counts) go back
            towards those of `model`. `fit` takes the largest share found that `max_forgetting` lets pass.

    Raises:
        ForgettingError: The loss on the old text rose by more than that; the message says which share of the step would
            have passed.
        UnsupportedError: The method does not suit the model, forgetting is limited and can't be measured, or the step
            can't be divided.
        SettingError: Forgetting is limited and no old text is given, or a share is fitted and forgetting not limited.
    """
    body = body_of(model)
    require(body, method.requires, catalog.name_of(method))
    new, old = Corpus.of(new), None if old is None else Corpus.of(old)
    gate, state, meter = Gate(new, old, max_forgetting, seed), _path(checkpoints), Meter()
    _check_share(step_share, gate)
    part = new if method.unlearns else gate.new.train
    with meter:
        made = method.update(body, part, gate.rehearsed, seed, state, measure=meter.around(gate.measure))
    made, report = _passed(gate, body, made, step_share)
    if method.exact and part is not new:
        with meter:
            whole = method.update(body, new, gate.rehearsed, seed, state)
        made = whole if report.share == 1 else _divided(body, whole).at(report.share)
    if report.share < 1:
        made.lineage.scores["share of the step"] = report.share
    gate.tell(made.lineage, report)
    return Updated(made, replace(report, cost=meter.cost(body, made)))


def _check_share(share: float | Literal["fit"] | None, gate: Gate) -> None:
    if share == "fit":
        if gate.limit is None:
            raise SettingError("step_share fit looks for the largest share that passes: give max_forgetting too")
    elif share is not None and not 0 < share <= 1:
        raise SettingError(f"step_share {share}: give a number above 0 and at most 1, or fit")


def _passed(gate: Gate, before: Model, made: Model, share: float | Literal["fit"] | None) -> tuple[Model, Report]:
    """The model that passes the gate, and its report; or the refusal."""
    report = gate.judge()
    if isinstance(share, float | int) and share < 1:
        made = _divided(before, made).at(share)
        report = gate.judge_again(made, share)
    if report.accepted:
        return made, report
    step = step_between(before, made)
    passing = None if step is None else gate.largest_share(step)
    if share == "fit" and passing is not None:
        return passing
    if passing is not None and report.share < 1:
        passing = passing[0], replace(passing[1], share=passing[1].share * report.share)
    raise gate.refusal(report, None if passing is None else passing[1], step is not None)


def _divided(before: Model, after: Model) -> Step:
    step = step_between(before, after)
    if step is None:
        raise UnsupportedError(
            f"no share of this update can be taken: there are no models between a {before.family} model and what it"
            " became; leave step_share out"
        )
    return step


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
