"""The training loop: batches in, moved weights out. It knows neither the model's family nor the task."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Generic, TypeVar

import torch
from torch import nn

from transferlm.errors import SettingError, TransferLMError
from transferlm.neural.averaging import Averages
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.optimizers import Group, optimizer
from transferlm.neural.precision import autocast, in_bfloat16
from transferlm.neural.row_gradients import clip_gradients
from transferlm.neural.schedules import factor, on_plateau
from transferlm.neural.settings import Settings
from transferlm.neural.training_log import History, TrainingLog
from transferlm.neural.working_weights import WorkingWeights
from transferlm.progress import Progress

__all__ = ["Group", "History", "Settings", "fit"]

B = TypeVar("B")
_CARRIED = "carried."


def fit(
    module: nn.Module,
    batches: Callable[[int], Sequence[B]],
    loss: Callable[[B], torch.Tensor],
    settings: Settings,
    *,
    groups: Sequence[Group] | None = None,
    penalty: Callable[[], torch.Tensor] | None = None,
    evaluate: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
    tokens: Callable[[B], int] | None = None,
    pace: Callable[[B], float] | None = None,
    description: str = "training",
) -> History:
    """Move the module's weights to lower `loss`, and leave the best ones in it.

    Args:
        module: What is trained, on the device where it shall be trained.
        batches: Epoch number -> that epoch's batches, every epoch equally many, the same ones whenever asked.
        loss: Mean loss of a batch, run under the settings' precision.
        settings: How to train.
        groups: Parameters and their learning-rate factors; default all that require gradients, at factor 1.
        penalty: Added to every step's loss (distance to a start, a Fisher-weighted one), or None.
        evaluate: Called now and then in evaluation mode; the weights with the lowest value are kept. Without it the
            last weights are.
        checkpoint: Where the state is kept; a run that was interrupted goes on from there and ends in the same bits.
        tokens: A batch's tokens, for a progress line that counts them; without it batches are counted.
        pace: A batch's factor on the learning rate (of several in a step their mean), or None for 1.
        description: What the progress line says.

    Raises:
        TransferLMError: The loss is no longer finite.
        SettingError: The settings look at evaluations and there is no `evaluate`.
    """
    if settings.judged and evaluate is None:
        raise SettingError(
            f"optimizer {settings.optimizer} and schedule {settings.schedule} look at the loss on held-out text: keep"
            " some aside, or choose others"
        )
    groups = groups or [Group([p for p in module.parameters() if p.requires_grad])]
    run = _Run(module, batches, loss, settings, groups, penalty)
    run.evaluate, run.checkpoint = evaluate, checkpoint
    run.log = None if checkpoint is None else TrainingLog(checkpoint.folder)
    run.size, run.pace = tokens or (lambda _: 1), pace
    with Progress(description, run.total(), "tokens" if tokens else "batches") as progress, run.working.lent():
        run.resume(progress)
        while not run.over:
            run.step(progress)
    run.finish()
    return run.history


class _Run(Generic[B]):
    """One training run: where it stands, and how it moves on."""

    evaluate: Callable[[], float] | None
    checkpoint: Checkpoint | None
    log: TrainingLog | None
    size: Callable[[B], int]
    pace: Callable[[B], float] | None

    def __init__(
        self,
        module: nn.Module,
        batches: Callable[[int], Sequence[B]],
        loss: Callable[[B], torch.Tensor],
        settings: Settings,
        groups: Sequence[Group],
        penalty: Callable[[], torch.Tensor] | None,
    ) -> None:
        self.module, self.batches, self.loss, self.settings, self.penalty = module, batches, loss, settings, penalty
        trained = [p for group in groups for p in group.parameters]
        self.device = trained[0].device
        # A penalty is a function of the weights themselves, not of rounded ones.
        lend = penalty is None and in_bfloat16(self.device, settings.precision)
        self.working = WorkingWeights(module, trained, lend)
        groups = [Group([self.working.master(p) for p in group.parameters], group.factor) for group in groups]
        self.parameters = [p for group in groups for p in group.parameters]
        self.optimizer = optimizer(module, groups, settings, self.device)
        self.averages = Averages(self.parameters, settings)
        self.peaks = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.history = History()
        self.best: list[torch.Tensor] | None = None
        self.epoch, self.place = 0, 0
        self.sum, self.count = torch.zeros((), device=self.device, dtype=torch.float64), 0
        self.todo = batches(0)
        self.steps_an_epoch = math.ceil(len(self.todo) / settings.accumulate)
        self.steps = settings.steps or self.steps_an_epoch * settings.epochs
        self.over = False
        self.started = time.perf_counter()

    def total(self) -> float:
        """What the whole run counts on the progress line; asked while the first epoch's batches lie ready."""
        return sum(self.size(batch) for batch in self.todo) * self.steps / self.steps_an_epoch

    def step(self, progress: Progress) -> None:
        """One optimizer step, and whatever is due after it."""
        self.module.train()
        part = self.todo[self.place : self.place + self.settings.accumulate]
        self._set_rates(part)
        for batch in part:
            with autocast(self.device, self.settings.precision):
                value = self.loss(batch)
            whole = value + self.penalty() if self.penalty is not None else value
            (whole / len(part)).backward()  # type: ignore[no-untyped-call]
            self.sum += value.detach()
            self.count += 1
            progress.advance(self.size(batch))
        if self.settings.clip is not None:
            clip_gradients(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.averages.add()
        self.working.refresh()
        self.history.steps += 1
        self.place += len(part)
        self._after_step(progress)

    def _set_rates(self, part: Sequence[B]) -> None:
        share = factor(self.history.steps, self.steps, self.settings.schedule, self.settings.warmup)
        if self.settings.schedule == "reduce_on_plateau":
            share *= on_plateau(self.history.evaluations)
        if self.pace is not None:
            share *= sum(map(self.pace, part)) / len(part)
        for group, rate in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = rate * share

    def _after_step(self, progress: Progress) -> None:
        steps, every = self.history.steps, self.settings.evaluate_every or self.steps_an_epoch
        self.over = steps >= self.steps
        if self.place >= len(self.todo) and not self.over:
            self.epoch, self.place = self.epoch + 1, 0
            self.todo = self.batches(self.epoch)
        if steps % every == 0 or self.over:
            self._judge(progress)
        elif steps % 50 == 0:
            progress.advance(0, note=f"loss {float(self.sum) / self.count / math.log(2):.3f} bits")
        if self.checkpoint is not None and self.checkpoint.due and not self.over:
            self._save()

    def _judge(self, progress: Progress) -> None:
        """Note the loss, evaluate, keep the weights if they are the best so far, and see whether patience lasts."""
        loss = float(self.sum) / self.count
        if not math.isfinite(loss):
            raise TransferLMError(
                f"the loss is {loss} after step {self.history.steps}: lower the learning rate (it is"
                f" {self.settings.learning_rate:g}) or look for broken texts with `transferlm check`"
            )
        self.history.losses.append(loss)
        self.sum.zero_()
        self.count = 0
        note = f"loss {loss / math.log(2):.3f} bits"
        if self.evaluate is not None:
            with self.averages.shown():
                value = self._evaluated(self.evaluate)
            note += f", held out {value / math.log(2):.3f} bits"
            self.averages.judge(self.history.evaluations)
            waited = len(self.history.evaluations) - 1 - self.history.best
            self.over |= self.settings.patience is not None and waited >= self.settings.patience
        progress.advance(0, note=note)
        if self.log is not None:
            self.log.add(self.history, self.epoch, time.perf_counter() - self.started)

    def _evaluated(self, evaluate: Callable[[], float]) -> float:
        """Evaluate the weights as they are, and keep them if they are the best so far."""
        self.module.eval()
        with torch.inference_mode(), self.working.withdrawn():
            value = evaluate()
        if not self.history.evaluations or value < min(self.history.evaluations):
            self.best = [p.detach().clone() for p in self.parameters]
            self.history.best = len(self.history.evaluations)
        self.history.evaluations.append(value)
        return value

    def finish(self) -> None:
        """Leave the best weights in the module, ready to predict."""
        if self.best is None:
            self.averages.settle()
        else:
            with torch.no_grad():
                for parameter, kept in zip(self.parameters, self.best, strict=True):
                    parameter.copy_(kept)
        self.module.eval()
        self.history.seconds += time.perf_counter() - self.started

    def _save(self) -> None:
        """Everything that decides how the run goes on: weights, averages, best, randomness, place."""
        assert self.checkpoint is not None
        tensors: dict[str, torch.Tensor] = {f"weights.{i}": p for i, p in enumerate(self.parameters)}
        for i, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{i}.{name}"] = value
        tensors |= _named("best", self.best or ()) | _named("means", self.averages.means or ())
        tensors |= {f"{_CARRIED}{name}": value for name, value in self.checkpoint.carried.carried().items()}
        tensors["random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        tensors["sum"] = self.sum
        now = time.perf_counter()
        self.history.seconds += now - self.started
        self.started = now
        facts = {"history": asdict(self.history), "epoch": self.epoch, "place": self.place, "count": self.count}
        facts["averaged"] = self.averages.count
        self.checkpoint.save(tensors, facts)

    def resume(self, progress: Progress) -> None:
        """Go on from the checkpoint's state, if there is one of this very run."""
        if self.checkpoint is None:
            return
        found = self.checkpoint.load()
        assert self.log is not None
        self.log.forget(after=0 if found is None else int(found[1]["history"]["steps"]))
        if found is None:
            return
        tensors, facts = found
        self.history = History(**facts["history"])
        self.epoch, self.place, self.count = facts["epoch"], facts["place"], facts["count"]
        self.todo = self.batches(self.epoch)
        self.sum = tensors["sum"].to(self.device)
        with torch.no_grad():
            for i, parameter in enumerate(self.parameters):
                parameter.copy_(tensors[f"weights.{i}"])
                # The state is taken as a loaded one would be: moments beside their weights, counters where they were.
                for name in ("step", "exp_avg", "exp_avg_sq"):
                    if f"optimizer.{i}.{name}" in tensors:
                        self.optimizer.state[parameter][name] = tensors[f"optimizer.{i}.{name}"].to(self.device)
        self.best = self._kept("best", tensors)
        self.averages.resume(self._kept("means", tensors), facts["averaged"])
        state = {n.removeprefix(_CARRIED): t.to(self.device) for n, t in tensors.items() if n.startswith(_CARRIED)}
        self.working.refresh()
        self.checkpoint.carried.carry(state)
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        progress.advance((progress.total or 0) * self.history.steps / self.steps, note="resumed")

    def _kept(self, name: str, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor] | None:
        if f"{name}.0" not in tensors:
            return None
        return [tensors[f"{name}.{i}"].to(self.device) for i in range(len(self.parameters))]


def _named(name: str, tensors: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{name}.{i}": tensor for i, tensor in enumerate(tensors)}
