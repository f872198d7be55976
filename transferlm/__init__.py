"""Transfer learning with language models, in the order that data flows.

`text` reads corpora and labelled examples and cuts them into tokens; `sources` fetches pretrained weights; `storage`
opens and writes model folders. `models` holds the language models and `tasks` what is predicted; `updates` teach a
model new text (or a task model new labels), `strategies` turn a model and labelled examples into a `TaskModel`, both by
the rows and losses of `labelled`, and `combinations` make one model of several. `measure` scores models and gives
intervals, `lifecycle` tells the story from `load` to `evaluate`, `experiments` compares many such lives side by side,
and `cli` is the command line over all of it.

Verbs are functions, kinds are packages in the plural:

    import transferlm as tl

    reviews = tl.read("reviews.csv", tl.tasks.Classification())
    train, test = reviews.split(test=0.2, seed=0)
    model = tl.transfer(tl.load("minilm"), train, tl.strategies.FineTuning())
    print(model.score(test))

Nothing heavy is imported before it is used: `import transferlm` loads no torch.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transferlm import combinations, models, strategies, tasks, updates
    from transferlm.experiments.compare import Comparison, Plan, compare
    from transferlm.experiments.stream import stream
    from transferlm.experiments.stream_result import Stream
    from transferlm.lifecycle import (
        combine,
        compiled,
        compress,
        evaluate,
        find_learning_rate,
        load,
        load_tasks,
        pretrain,
        read,
        rollback,
        transfer,
        untrained,
        update,
        versions_of,
        with_cache,
        with_dynamic_evaluation,
        with_posterior,
        without_adapters,
    )
    from transferlm.models.base import Model
    from transferlm.neural.tensorboard import tensorboard
    from transferlm.sources import fetch
    from transferlm.task_model import TaskModel
    from transferlm.task_models import TaskModels
    from transferlm.tasks.base import Examples
    from transferlm.text import tokenizers
    from transferlm.text.corpus import Corpus
    from transferlm.text.dated import Period, read_periods

__version__ = "0.1.0"

# torch's threads spin while they wait for one another: the fastest way on an idle machine, and twenty times slower than
# sleeping as soon as another process wants a core. So on a busy machine they sleep. This must be said before torch
# loads its thread pool; a setting of the user's own is left alone.
if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.75 * (os.cpu_count() or 1):
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "Comparison": "experiments.compare",
    "Corpus": "text.corpus",
    "Examples": "tasks.base",
    "Model": "models.base",
    "Period": "text.dated",
    "Plan": "experiments.compare",
    "Stream": "experiments.stream_result",
    "TaskModel": "task_model",
    "TaskModels": "task_models",
    "combine": "lifecycle",
    "compare": "experiments.compare",
    "compiled": "lifecycle",
    "compress": "lifecycle",
    "evaluate": "lifecycle",
    "fetch": "sources",
    "find_learning_rate": "lifecycle",
    "load": "lifecycle",
    "load_tasks": "lifecycle",
    "pretrain": "lifecycle",
    "read": "lifecycle",
    "read_periods": "text.dated",
    "rollback": "lifecycle",
    "stream": "experiments.stream",
    "tensorboard": "neural.tensorboard",
    "transfer": "lifecycle",
    "untrained": "lifecycle",
    "update": "lifecycle",
    "versions_of": "lifecycle",
    "with_cache": "lifecycle",
    "with_dynamic_evaluation": "lifecycle",
    "with_posterior": "lifecycle",
    "without_adapters": "lifecycle",
}
_PACKAGES = {
    "combinations": "combinations",
    "models": "models",
    "strategies": "strategies",
    "tasks": "tasks",
    "tokenizers": "text.tokenizers",
    "updates": "updates",
}

__all__ = [
    "Comparison",
    "Corpus",
    "Examples",
    "Model",
    "Period",
    "Plan",
    "Stream",
    "TaskModel",
    "TaskModels",
    "combinations",
    "combine",
    "compare",
    "compiled",
    "compress",
    "evaluate",
    "fetch",
    "find_learning_rate",
    "load",
    "load_tasks",
    "models",
    "pretrain",
    "read",
    "read_periods",
    "rollback",
    "strategies",
    "stream",
    "tasks",
    "tensorboard",
    "tokenizers",
    "transfer",
    "untrained",
    "update",
    "updates",
    "versions_of",
    "with_cache",
    "with_dynamic_evaluation",
    "with_posterior",
    "without_adapters",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"transferlm.{_PACKAGES[name]}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"transferlm.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'transferlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
