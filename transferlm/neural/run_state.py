"""Everything that decides how a training run goes on: weights, averages, best weights, randomness, place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import nn

from transferlm.neural.averaging import Averages
from transferlm.neural.checkpoint import Carried
from transferlm.neural.processes import Processes
from transferlm.neural.training_log import History, Mean
from transferlm.neural.working_weights import WorkingWeights

__all__ = ["put_back", "taken"]

_CARRIED = "carried."
_OPTIMIZER = ("step", "exp_avg", "exp_avg_sq")


class _Run(Protocol):
    """What of a run is looked at (`neural/loop.py`)."""

    processes: Processes
    device: torch.device
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    averages: Averages
    working: WorkingWeights
    best: list[torch.Tensor] | None
    history: History
    epoch: int
    place: int
    todo: Sequence[Any]

    @property
    def batches(self) -> Any: ...


def taken(run: _Run, mean: Mean, carried: Carried) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The run's tensors by name and its facts, in the main process; in the others None, their part went there."""
    parts = run.processes.gathered(_own(run.device, carried))
    if not run.processes.main:
        return None
    tensors: dict[str, torch.Tensor] = {f"weights.{i}": p for i, p in enumerate(run.parameters)}
    for i, parameter in enumerate(run.parameters):
        for name, value in run.optimizer.state[parameter].items():
            tensors[f"optimizer.{i}.{name}"] = value
    tensors |= _named("best", run.best or ()) | _named("means", run.averages.means or ())
    tensors |= {f"{process}.{name}": tensor for process, part in enumerate(parts) for name, tensor in part.items()}
    tensors["total"] = mean.total
    facts = {"history": asdict(run.history), "epoch": run.epoch, "place": run.place, "averaged": run.averages.count}
    facts["mean"] = [mean.weight, mean.before, mean.weight_before]
    return tensors, facts


def put_back(run: _Run, mean: Mean, carried: Carried, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Go on from what was `taken`."""
    run.history = History(**facts["history"])
    run.epoch, run.place = facts["epoch"], facts["place"]
    run.todo = run.batches(run.epoch)
    mean.total = tensors["total"].to(run.device)
    mean.weight, mean.before, mean.weight_before = facts["mean"]
    with torch.no_grad():
        for i, parameter in enumerate(run.parameters):
            parameter.copy_(tensors[f"weights.{i}"])
            # The state is taken as a loaded one would be: moments beside their weights, counters where they were.
            for name in _OPTIMIZER:
                if f"optimizer.{i}.{name}" in tensors:
                    run.optimizer.state[parameter][name] = tensors[f"optimizer.{i}.{name}"].to(run.device)
    run.best = _kept("best", run, tensors)
    run.averages.resume(_kept("means", run, tensors), facts["averaged"])
    run.working.refresh()
    mine = f"{run.processes.process}."
    own = {name.removeprefix(mine): tensor for name, tensor in tensors.items() if name.startswith(mine)}
    carried.carry({n.removeprefix(_CARRIED): t.to(run.device) for n, t in own.items() if n.startswith(_CARRIED)})
    torch.set_rng_state(own["random"])
    if "random.cuda" in own:
        torch.cuda.set_rng_state(own["random.cuda"], run.device)


def _own(device: torch.device, carried: Carried) -> dict[str, torch.Tensor]:
    """What each process has for itself: its randomness, and what its share of a batch leaves to the next."""
    own = {f"{_CARRIED}{name}": value.detach().cpu() for name, value in carried.carried().items()}
    own["random"] = torch.get_rng_state()
    if device.type == "cuda":
        own["random.cuda"] = torch.cuda.get_rng_state(device)
    return own


def _named(name: str, tensors: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{name}.{i}": tensor for i, tensor in enumerate(tensors)}


def _kept(name: str, run: _Run, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor] | None:
    if f"{name}.0" not in tensors:
        return None
    return [tensors[f"{name}.{i}"].to(run.device) for i in range(len(run.parameters))]
