"""Updates: a model learns from new text, or a task model from new labelled examples, and what it forgot is measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar, overload

from transferlm import catalog
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.measure.cost import Meter
from transferlm.measure.forgetting import Gate, Report, check_limit
from transferlm.measure.step import Step, step_between
from transferlm.models.base import Model, require
from transferlm.task_model import TaskModel, body_of
from transferlm.task_models import TaskModels
from transferlm.tasks.base import Examples
from transferlm.text.corpus import Corpus
from transferlm.updates.base import Update

__all__ = ["Updated", "several_refused", "update"]

M = TypeVar("M", Model, TaskModel)
Share = float | Literal["fit"] | None


class Updated(NamedTuple, Generic[M]):
    """An updated model and what the update did."""

    model: M
    report: Report


@overload
def update(
    model: TaskModel,
    new: Examples,
    method: Update,
    old: Examples | None = None,
    max_forgetting: float | None = None,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    step_share: Share = None,
) -> Updated[TaskModel]: ...


@overload
def update(
    model: Model | TaskModel,
    new: Corpus | Iterable[str],
    method: Update,
    old: Corpus | Iterable[str] | None = None,
    max_forgetting: float | None = None,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    step_share: Share = None,
) -> Updated[Model]: ...


def update(
    model: Model | TaskModel,
    new: Corpus | Iterable[str] | Examples,
    method: Update,
    old: Corpus | Iterable[str] | Examples | None = None,
    max_forgetting: float | None = None,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    step_share: Share = None,
) -> Updated[Model] | Updated[TaskModel]:
    """A model that has learnt from new text, or a task model from labelled examples; what is given is left as it was.

    A part of what is new, and of what is old where it is given, is scored before and after and not trained on until it
    has been. A method that is exact (`count_merging`) adds it once the figures are known; all others leave it out.

    Text is judged by the model's own loss. Labelled examples are judged by the task's metric (macro-F1 of a
    classification, `Task.judged_by`), with its loss beside it; a fifth of them is kept aside, and all of the old ones
    where the method does not learn from them (`Update.uses_old`).

    Args:
        model: What is updated; of a task model its body, unless `new` are labelled examples.
        new: Texts to learn from, or labelled examples of the model's task; they may lack some of its labels.
        method: How.
        old: Texts or examples of the kind that the model knew before. Without them forgetting is not measured.
        max_forgetting: By which share the loss on old text may rise, or the score on old examples fall: 0.02 is 2%.
        seed: Decides every random choice.
        checkpoints: Folder for the state of the training: an interrupted one goes on from there, to the same bits.
        step_share: How much of the update's step is taken, above 0 and 1 at the most: weights (or counts) go back
            towards those of `model`. `fit` takes the largest share found that `max_forgetting` lets pass.

    Raises:
        ForgettingError: The model forgot more than that; the message says which share of the step would have passed.
        UnsupportedError: The method does not suit the model, forgetting is limited and can't be measured, or the step
            can't be divided.
        SettingError: Forgetting is limited and nothing old is given, or a share is fitted and forgetting not limited.
        DataError: New are texts and old are labelled examples or the other way round, or a label is unknown.
    """
    if isinstance(new, Examples) or isinstance(old, Examples):
        return _taught(model, new, method, old, _Wishes(max_forgetting, seed, checkpoints, step_share))
    body = body_of(model)
    require(body, method.requires, catalog.name_of(method))
    new, old = Corpus.of(new), None if old is None else Corpus.of(old)
    gate = Gate.of_texts(new, old, max_forgetting, seed)
    return _updated(body, new, method, gate, _Wishes(max_forgetting, seed, checkpoints, step_share))


class _Wishes(NamedTuple):
    """What a person said of an update beside model, data and method."""

    limit: float | None
    seed: int
    checkpoints: str | Path | None
    share: Share

    @property
    def state(self) -> Path | None:
        return None if self.checkpoints is None else Path(self.checkpoints)

    def check(self) -> None:
        share: Any = self.share
        if share == "fit":
            if self.limit is None:
                raise SettingError("step_share fit looks for the largest share that passes: give max_forgetting too")
        elif share is not None and (isinstance(share, str) or not 0 < share <= 1):
            raise SettingError(f"step_share {share!r}: give a number above 0 and at most 1, or fit")


def _taught(
    model: Model | TaskModel | TaskModels,
    new: Corpus | Iterable[str] | Examples,
    method: Update,
    old: Corpus | Iterable[str] | Examples | None,
    wishes: _Wishes,
) -> Updated[TaskModel]:
    """The update of a task model with labelled examples: the same methods on a model that reads examples."""
    if not isinstance(new, Examples) or not isinstance(old, Examples | None):
        raise DataError("labelled examples and text are given: new and old have to be both of one kind")
    if isinstance(model, TaskModels):
        raise several_refused("this model", model)
    if not isinstance(model, TaskModel):
        raise UnsupportedError(f"a {model.family} model without a task learns from text alone: transfer it to the task")
    from transferlm.labelled.held_out import all_held_out, held_out_examples  # torch is not loaded before it is used
    from transferlm.labelled.learner import Learner, check_learner

    check_learner(model)
    _check_method(method)
    check_limit(wishes.limit, old is not None, "examples")

    kept, train = held_out_examples(new.under(model.task, model.labels), wishes.seed)
    past, known = None, train
    if old is not None:
        old = old.under(model.task, model.labels)
        past, known = held_out_examples(old, wishes.seed) if method.uses_old else (all_held_out(old), old)
        past = past.without(train)
        kept = kept.without(known) if method.uses_old else kept
    learner = Learner.of(model, known)
    assert kept.train is not None
    made, report = _updated(learner, kept.train, method, Gate(kept, past, wishes.limit), wishes)
    assert isinstance(made, Learner)
    made.lineage.data[0] = {**train.described(), "task": catalog.name_of(model.task)}
    made.lineage.notes[:0] = [*new.notes, *(() if old is None else old.notes)]
    if model.precision is not None:
        made.lineage.notes.append(f"precision {model.precision} was chosen for the model before: quicken it anew")
    task_model = made.task_model()
    task_model.model.lineage = made.lineage  # the body has learnt from the examples: a later task's story names them
    return Updated(task_model, report)


def several_refused(model: str, tasks: Iterable[str]) -> UnsupportedError:
    """Why one of several tasks is not updated by itself."""
    return UnsupportedError(
        f"{model} holds several tasks around one body ({', '.join(tasks)}): learning one moves the body under the"
        " others; transfer them together again"
    )


def _check_method(method: Update) -> None:
    if method.labelled:
        return
    able = [name for name in catalog.entries("updates") if catalog.find("updates", name).labelled]
    raise UnsupportedError(
        f"{catalog.name_of(method)} learns from text alone, not from labelled examples; what can: {', '.join(able)}"
    )


def _updated(model: Model, new: Corpus, method: Update, gate: Gate, wishes: _Wishes) -> Updated[Model]:
    """The model that the method makes, past the gate; `new` whole, as the gate's part of it is trained on."""
    wishes.check()
    seed, state, meter = wishes.seed, wishes.state, Meter()
    part = new if method.unlearns or gate.new.train is None else gate.new.train
    with meter:
        made = method.update(model, part, gate.rehearsed, seed, state, measure=meter.around(gate.measure))
    made, report = _passed(gate, model, made, wishes.share)
    if method.exact and part is not new:
        with meter:
            whole = method.update(model, new, gate.rehearsed, seed, state)
        made = whole if report.share == 1 else _divided(model, whole).at(report.share)
    if report.share < 1:
        made.lineage.scores["share of the step"] = report.share
    gate.tell(made.lineage, report)
    return Updated(made, replace(report, cost=meter.cost(model, made)))


def _passed(gate: Gate, before: Model, made: Model, share: Share) -> tuple[Model, Report]:
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
