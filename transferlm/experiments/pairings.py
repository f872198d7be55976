"""Which sources run under which strategies in a comparison, and what runs beside them as a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transferlm import catalog
from transferlm.errors import SettingError, UnsupportedError
from transferlm.experiments.gains import BASELINE, UNTRAINED
from transferlm.models.base import CountBased, FromScratch, GradientTrained, Model, require
from transferlm.progress import say
from transferlm.strategies.base import Strategy
from transferlm.tasks.base import Examples

__all__ = ["Pairing", "named", "no_baseline", "pairings"]

_LINEAR = "feature_extraction"


@dataclass(frozen=True)
class Pairing:
    """A source under a strategy.

    Attributes:
        source: Its name in tables.
        model: The source.
        name: The strategy's name in tables.
        strategy: The strategy.
        from_scratch: Whether the model is drawn anew for each seed instead.
    """

    source: str
    model: Model
    name: str
    strategy: Strategy
    from_scratch: bool = False


def named(strategies: Sequence[Strategy] | Mapping[str, Strategy]) -> dict[str, Strategy]:
    """Strategies by name.

    Raises:
        SettingError: Two of one name in a plain sequence.
    """
    if isinstance(strategies, Mapping):
        return dict(strategies)
    by_name = {catalog.name_of(strategy): strategy for strategy in strategies}
    if len(by_name) < len(strategies):
        raise SettingError("one strategy stands there twice: give a mapping that names its variants apart")
    return by_name


def pairings(
    examples: Examples, sources: Mapping[str, Model], strategies: Mapping[str, Strategy], baselines: bool
) -> list[Pairing]:
    """Each source under each strategy that suits it and the task, its untrained twin, and the TF-IDF baseline.

    Raises:
        UnsupportedError: A source works with none of the strategies, or none of them can learn the task.
    """
    found = []
    for source, model in sources.items():
        refusals = {name: _refusal(model, strategy, examples) for name, strategy in strategies.items()}
        fitting = [name for name, refusal in refusals.items() if refusal is None]
        if not fitting:
            raise next(refusal for refusal in refusals.values() if refusal is not None)
        for name in [name for name in strategies if name not in fitting]:
            say(f"{source} is left out of {name}: {refusals[name]}")
        found += [Pairing(source, model, name, strategies[name]) for name in fitting]
        twin = isinstance(model, FromScratch) and isinstance(model, GradientTrained | CountBased) and model.trained
        if baselines and twin:
            found += [Pairing(source + UNTRAINED, model, name, strategies[name], from_scratch=True) for name in fitting]
    if baselines and BASELINE not in sources and not no_baseline(examples):
        linear = strategies.get(_LINEAR) or catalog.find("strategies", _LINEAR)()
        found.append(Pairing(BASELINE, catalog.find("models", BASELINE)(), _LINEAR, linear))
    return found


def no_baseline(examples: Examples) -> str:
    """Why the TF-IDF baseline can't run beside the sources, in a sentence; empty where it can."""
    linear: Strategy = catalog.find("strategies", _LINEAR)()
    if _refusal(catalog.find("models", BASELINE)(), linear, examples) is None:
        return ""
    task = catalog.name_of(examples.task)
    return (
        f"{BASELINE} has no states of tokens and can't do {task}: the sources are measured against from scratch alone."
    )


def _refusal(model: Model, strategy: Strategy, examples: Examples) -> UnsupportedError | None:
    """Why a strategy can't transfer this model to this task, if it can't."""
    try:
        require(model, strategy.requires, catalog.name_of(strategy))
        strategy.check_task(examples.task, examples.labels)
    except UnsupportedError as error:
        return error
    return None
