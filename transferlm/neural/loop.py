"""The training loop: batches in, moved weights out. It knows neither the model's family nor the task."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import nn

from transferlm import launched
from transferlm.errors import SettingError, TransferLMError
from transferlm.neural import tensorboard
from transferlm.neural.averaging import Averages
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.optimizers import Group, optimizer
from transferlm.neural.precision import autocast, in_bfloat16
from transferlm.neural.processes import processes
from transferlm.neural.row_gradients import clip_gradients
from transferlm.neural.run_state import put_back, taken
from transferlm.neural.schedules import factor, on_plateau
from transferlm.neural.settings import Settings
from transferlm.neural.telling import Telling
from transferlm.neural.training_log import History, TrainingLog
from transferlm.neural.working_weights import WorkingWeights
from transferlm.progress import Progress

__all__ = ["Group", "History", "Settings", "fit"]

B = TypeVar("B")

_LINE_EVERY = 50
"""Steps between two lines of the log: often enough for a curve, seldom enough to wait for the device."""


def fit(
    module: nn.Module,
    batches: Callable[[int], Sequence[B]],
    loss: Callable[[B], torch.Tensor],
    settings: Settings,
    *,
    groups: Sequence[Group] | None = None,
    penalty: Callable[[], torch.Tensor] | None = None,
    pull: Callable[[Sequence[torch.Tensor]], None] | None = None,
    draw_back: Callable[[Sequence[torch.Tensor], float], None] | None = None,
    evaluate: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
    tokens: Callable[[B], int] | None = None,
    pace: Callable[[B], float] | None = None,
    shared: bool = False,
    description: str = "training",
) -> History:
    """Move the module's weights to lower `loss`, and leave the best ones in it.

    Args:
        module: What is trained, on the device where it shall be trained.
        batches: Epoch number -> that epoch's batches, every epoch equally many, the same ones whenever asked.
        loss: Mean loss of a batch, run under the settings' precision.
        settings: How to train.
        groups: Parameters and their learning-rate factors; default all that require gradients, at factor 1.
        penalty: Added to every step's loss (of states, say), or None.
        pull: Adds a penalty's gradient to the gradients of the weights, given in the order of `groups`, or None: for
            penalties on the weights themselves (`neural/anchor.py`).
        draw_back: Called after each step with the weights, in that order, and the learning rate: for penalties that
            take a step of their own.
        evaluate: Called now and then in evaluation mode; the weights with the lowest value are kept. Without it the
            last weights are.
        checkpoint: Where the state is kept; a run that was interrupted goes on from there and ends in the same bits.
        tokens: A batch's tokens: its weight among the batches of a step, and what progress counts. Without it batches
            are counted, all alike.
        pace: A batch's factor on the learning rate (of several in a step their mean), or None for 1.
        shared: Whether, of several processes that a launcher started, each has its own `loss` and `penalty`: those of a
            share of the batch, scaled so that their mean over the processes is the whole batch's. `evaluate` is asked
            in the main process alone.
        description: What the progress line says.

    Raises:
        TransferLMError: The loss is no longer finite.
        SettingError: The settings look at evaluations and there is no `evaluate`.
        UnsupportedError: There are several processes, and `shared` is false.
    """
    if not shared:
        launched.alone(description)
    if settings.judged and evaluate is None:
        raise SettingError(
            f"optimizer {settings.optimizer} and schedule {settings.schedule} look at the loss on held-out text: keep"
            " some aside, or choose others"
        )
    groups = groups or [Group([p for p in module.parameters() if p.requires_grad])]
    run = _Run(module, batches, loss, settings, groups, penalty)
    run.evaluate, run.checkpoint, run.pace, run.pull, run.draw_back = evaluate, checkpoint, pace, pull, draw_back
    run.size, unit = (tokens, "tokens") if tokens else (lambda _: 1, "batches")
    log = None if checkpoint is None or not run.processes.main else TrainingLog(checkpoint.folder)
    with Progress(description, run.total(), unit) as progress, run.working.lent():
        run.telling = Telling(progress, unit, run.device)
        run.resume(log)
        with tensorboard.opened(description, run.history.steps) as board:
            run.telling.listeners = [listener for listener in (log, board) if listener is not None]
            run.telling.restart()
            while not run.over:
                run.step()
    run.finish()
    return run.history


class _Run(Generic[B]):
    """One training run: where it stands, and how it moves on."""

    evaluate: Callable[[], float] | None
    checkpoint: Checkpoint | None
    telling: Telling
    size: Callable[[B], int]
    pace: Callable[[B], float] | None
    pull: Callable[[Sequence[torch.Tensor]], None] | None
    draw_back: Callable[[Sequence[torch.Tensor], float], None] | None

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
        self.processes = processes()
        trained = [p for group in groups for p in group.parameters]
        self.device = trained[0].device
        self.processes.begin(trained)
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
        self.todo = batches(0)
        self.steps_an_epoch = math.ceil(len(self.todo) / settings.accumulate)
        self.steps = settings.steps or self.steps_an_epoch * settings.epochs
        self.over, self.due, self.rate = False, False, 0.0
        self.started = time.perf_counter()

    def total(self) -> float:
        """What the whole run counts on the progress line; asked while the first epoch's batches lie ready."""
        return sum(self.size(batch) for batch in self.todo) * self.steps / self.steps_an_epoch

    def step(self) -> None:
        """One optimizer step, and whatever is due after it."""
        self.module.train()
        part = self.todo[self.place : self.place + self.settings.accumulate]
        self._set_rates(part)
        self._gradients(part)
        if self.settings.clip is not None:
            clip_gradients(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.draw_back is not None:
            self.draw_back(self.parameters, self.rate)
        self.averages.add()
        self.working.refresh()
        self.history.steps += 1
        self.place += len(part)
        self._after_step()

    def _gradients(self, part: Sequence[B]) -> None:
        """Those of the mean loss of a step's batches, each weighing what its tokens do."""
        sizes = [self.size(batch) for batch in part]
        whole, mean = sum(sizes), torch.zeros((), device=self.device, dtype=torch.float64)
        for batch, size in zip(part, sizes, strict=True):
            with autocast(self.device, self.settings.precision):
                value = self.loss(batch)
            punished = value + self.penalty() if self.penalty is not None else value
            if punished.requires_grad:  # a process may have no share of a small last batch
                (punished * (size / whole)).backward()  # type: ignore[no-untyped-call]
            mean += value.detach().double() * (size / whole)
            self.telling.advance(size)
        self.due = self.checkpoint is not None and self.processes.main and self.checkpoint.due
        if self.processes.count > 1:
            told = torch.stack([mean, mean.new_tensor(float(self.due))])
            mean, due = self.processes.mean_gradients(self.parameters, told)
            self.due = bool(due)
        if self.pull is not None:
            self.pull(self.parameters)
        self.telling.mean.add(mean, whole)

    def _set_rates(self, part: Sequence[B]) -> None:
        share = factor(self.history.steps, self.steps, self.settings.schedule, self.settings.warmup)
        if self.settings.schedule == "reduce_on_plateau":
            share *= on_plateau(self.history.evaluations)
        if self.pace is not None:
            share *= sum(map(self.pace, part)) / len(part)
        self.rate = self.settings.learning_rate * share
        for group, rate in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = rate * share

    def _after_step(self) -> None:
        steps, every = self.history.steps, self.settings.evaluate_every or self.steps_an_epoch
        self.over = steps >= self.steps
        if self.place >= len(self.todo) and not self.over:
            self.epoch, self.place = self.epoch + 1, 0
            self.todo = self.batches(self.epoch)
        if steps % every == 0 or self.over:
            self._judge()
        elif steps % _LINE_EVERY == 0:
            self._tell()
        if self.due and not self.over:
            self._save()

    def _judge(self) -> None:
        """Note the loss, evaluate, keep the weights if they are the best so far, and see whether patience lasts."""
        measured = self.telling.measured()
        loss = self.telling.mean.of_all()
        self._refuse_broken("loss", loss)
        self.history.losses.append(loss)
        value = None
        if self.evaluate is not None:
            with self.averages.shown():
                value = self._evaluated(self.evaluate)
            self.averages.judge(self.history.evaluations)
            waited = len(self.history.evaluations) - 1 - self.history.best
            self.over |= self.settings.patience is not None and waited >= self.settings.patience
        self._tell(measured, value)

    def _refuse_broken(self, kind: str, value: float) -> None:
        if not math.isfinite(value):
            raise TransferLMError(
                f"the {kind} is {value} after step {self.history.steps}: lower the learning rate (it is"
                f" {self.settings.learning_rate:g}) or look for broken texts with `transferlm check`"
            )

    def _tell(self, measured: dict[str, float] | None = None, held_out: float | None = None) -> None:
        steps, now = self.history.steps, time.perf_counter()
        place = {"step": steps, "epoch": round(steps / self.steps_an_epoch, 4), "learning_rate": self.rate}
        place["seconds"] = round(self.history.seconds + now - self.started, 3)
        self.telling.tell(place, measured, held_out)

    def _evaluated(self, evaluate: Callable[[], float]) -> float:
        """Evaluate the weights as they are, and keep them if they are the best so far."""
        value = math.nan
        if self.processes.main:
            self.module.eval()
            with torch.inference_mode(), self.working.withdrawn():
                value = evaluate()
        value = self.processes.told(value)
        self._refuse_broken("held-out loss", value)
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
        """Everything that decides how the run goes on."""
        assert self.checkpoint is not None
        now = time.perf_counter()
        self.history.seconds += now - self.started
        self.started = now
        state = taken(self, self.telling.mean, self.checkpoint.carried)
        if state is not None:
            self.checkpoint.save(*state)

    def resume(self, log: TrainingLog | None) -> None:
        """Go on from the checkpoint's state, if there is one of this very run."""
        if self.checkpoint is None:
            return
        found = self.processes.told(self.checkpoint.load() if self.processes.main else None)
        if log is not None:
            log.forget(after=0 if found is None else int(found[1]["history"]["steps"]))
        if found is None:
            return
        put_back(self, self.telling.mean, self.checkpoint.carried, *found)
        progress = self.telling.progress
        progress.advance((progress.total or 0) * self.history.steps / self.steps, note="resumed")
