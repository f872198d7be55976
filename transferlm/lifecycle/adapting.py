"""Models that read otherwise: with a cache, with weights that move or are averaged over, without adapters, compiled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, overload

from transferlm import catalog
from transferlm.measure.language import Context
from transferlm.models._caches import cache_of
from transferlm.models.base import Model
from transferlm.task_model import TaskModel, body_of
from transferlm.text.corpus import Corpus

__all__ = ["compiled", "with_cache", "with_dynamic_evaluation", "with_posterior", "without_adapters"]


def compiled(model: Model | TaskModel, int8: bool = False) -> Model | TaskModel:
    """The model as ONNX files, for prediction by ONNX Runtime without torch; the model given is left as it was.

    What it predicts is what the model predicts in fp32. What updates left with the model for later ones, examples among
    it, stays behind, as it learns no more. Its folder holds `model.onnx`, which other programs run too: it
    leads from token ids to states, a text's vector and, of a task model, scores.

    Args:
        model: A Transformer of BERT's kind, or a task model around one, of texts or of tokens.
        int8: Write its matrices as 8-bit integers too, in a second file: a precision that `TaskModel.quicken` tries.

    Raises:
        UnsupportedError: The model is of another kind, or has layers that are no plain matrices.
        SettingError: The extra `onnx` is missing.
    """
    body, head = body_of(model), None
    if isinstance(model, TaskModel) and not model.apart:
        head = (model.weights, model.bias, model.task.output(model.labels).per)
    made: Model = catalog.find("models", "compiled").of(body, int8, head)
    method = {"name": made.family, "hyper_parameters": {**made.hyper_parameters(), "int8": int8}}
    made.lineage = body.origin.child("compile", method=method)
    if not isinstance(model, TaskModel):
        return made
    lineage = model.lineage.child("compile", method=method)
    return replace(model, model=made, precision=None, rounding={}, kept={}, lineage=lineage)


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


def with_posterior(
    model: Model | TaskModel, tuning: Corpus | Iterable[str] | None = None, context: Context = "stream"
) -> Model:
    """The model with predictions averaged over the posterior of its weights; the model given is left as it was.

    Args:
        model: A causal model that was updated by `online_bayes`.
        tuning: Texts it was not trained on, to fit the posterior's width to; without them it is a tenth of what Bayes'
            rule has.
        context: Whether that is fitted to texts on their own or to a stream of them.

    Raises:
        UnsupportedError: The model is not causal, not trained by gradients, or keeps no posterior.
        DataError: There is no text to tune on.
    """
    family: Any = catalog.find("models", "posterior_average")
    averaged = family.of(body_of(model))
    data, scores = [], {}
    if tuning is not None:
        corpus = Corpus.of(tuning)
        scores[f"tuning_loss_{context}"] = averaged.tune(corpus, context)
        data.append({"name": corpus.name, "hash": corpus.hash, "texts": corpus.survey().texts})
    method = {"name": averaged.family, "hyper_parameters": averaged.hyper_parameters()}
    averaged.lineage = body_of(model).origin.child("average", method=method, data=data, scores=scores)
    made: Model = averaged
    return made


@overload
def without_adapters(model: Model) -> Model: ...


@overload
def without_adapters(model: TaskModel) -> Model | TaskModel: ...


def without_adapters(model: Model | TaskModel) -> Model | TaskModel:
    """The model as it was before its last updates by `low_rank` that kept what they added, to the rounding of fp32.

    Updates of another kind in between can't be taken off, so that what `low_rank` added before them stays.

    A task model that was so updated with labelled examples is one again; of any other it is the body.

    Raises:
        UnsupportedError: Nothing is kept with the model, or its weights have moved since.
    """
    from transferlm.models._added import Added  # torch is not loaded before it is used

    if isinstance(model, TaskModel) and "adapter" in model.kept:
        from transferlm.labelled.learner import Learner

        learner = Learner.of(model).copy()
        Added.taken_off(learner)
        learner.lineage = model.lineage.child("without adapters", method={"name": "low_rank"})
        return learner.task_model()
    made = body_of(model).copy()
    Added.taken_off(made)
    made.lineage = body_of(model).origin.child("without adapters", method={"name": "low_rank"})
    return made
