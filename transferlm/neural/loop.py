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
from transferlm.neural.run_state import put_back, taken
from transferlm.neural.schedules import factor, on_plateau
from transferlm.neural.settings import Settings
from transferlm.neural.training_log import History, Mean, TrainingLog
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
        penalty: Added to every step's loss (distance to a start, a Fisher-weighted one), or None.
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
    run.evaluate, run.checkpoint = evaluate, checkpoint
    run.log = None if checkpoint is None or not run.processes.main else TrainingLog(checkpoint.folder)
    run.unit, run.size, run.pace = ("tokens", tokens, pace) if tokens else ("batches", lambda _: 1, pace)
    with Progress(description, run.total(), run.unit) as progress, run.working.lent():
        run.resume(progress)
        run.resumed = time.perf_counter()
        with tensorboard.opened(description, run.history.steps) as run.board:
            while not run.over:
                run.step(progress)
    run.finish()
    return run.history


class _Run(Generic[B]):
    """One training run: where it stands, and how it moves on."""

    evaluate: Callable[[], float] | None
    checkpoint: Checkpoint | None
    log: TrainingLog | None
    board: tensorboard.Board | None
    unit: str
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
        self.history, self.mean = History(), Mean(self.device)
        self.best: list[torch.Tensor] | None = None
        self.epoch, self.place = 0, 0
        self.todo = batches(0)
        self.steps_an_epoch = math.ceil(len(self.todo) / settings.accumulate)
        self.steps = settings.steps or self.steps_an_epoch * settings.epochs
        self.over, self.due, self.rate = False, False, 0.0
        self.started = self.resumed = time.perf_counter()
        self.done = 0

    def total(self) -> float:
        """What the whole run counts on the progress line; asked while the first epoch's batches lie ready."""
        return sum(self.size(batch) for batch in self.todo) * self.steps / self.steps_an_epoch

    def step(self, progress: Progress) -> None:
        """One optimizer step, and whatever is due after it."""
        self.module.train()
        part = self.todo[self.place : self.place + self.settings.accumulate]
        self._set_rates(part)
        self._gradients(part, progress)
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.averages.add()
        self.working.refresh()
        self.history.steps += 1
        self.place += len(part)
        self._after_step(progress)

    def _gradients(self, part: Sequence[B], progress: Progress) -> None:
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
            self.done += size
            progress.advance(size)
        self.due = self.checkpoint is not None and self.processes.main and self.checkpoint.due
        if self.processes.count > 1:
            told = torch.stack([mean, mean.new_tensor(float(self.due))])
            mean, due = self.processes.mean_gradients(self.parameters, told)
            self.due = bool(due)
        self.mean.add(mean, whole)

    def _set_rates(self, part: Sequence[B]) -> None:
        share = factor(self.history.steps, self.steps, self.settings.schedule, self.settings.warmup)
        if self.settings.schedule == "reduce_on_plateau":
            share *= on_plateau(self.history.evaluations)
        if self.pace is not None:
            share *= sum(map(self.pace, part)) / len(part)
        self.rate = self.settings.learning_rate * share
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
        elif steps % _LINE_EVERY == 0:
            self._tell(progress)
        if self.due and not self.over:
            self._save()

    def _judge(self, progress: Progress) -> None:
        """Note the loss, evaluate, keep the weights if they are the best so far, and see whether patience lasts."""
        speed, line = self._speed(), self.mean.of_line()
        loss = self.mean.of_all()
        self._refuse_broken("loss", loss)
        self.history.losses.append(loss)
        value = None
        if self.evaluate is not None:
            with self.averages.shown():
                value = self._evaluated(self.evaluate)
            self.averages.judge(self.history.evaluations)
            waited = len(self.history.evaluations) - 1 - self.history.best
            self.over |= self.settings.patience is not None and waited >= self.settings.patience
        self._tell(progress, (line, speed), value)
        self.resumed, self.done = time.perf_counter(), 0

    def _refuse_broken(self, kind: str, value: float) -> None:
        if not math.isfinite(value):
            raise TransferLMError(
                f"the {kind} is {value} after step {self.history.steps}: lower the learning rate (it is"
                f" {self.settings.learning_rate:g}) or look for broken texts with `transferlm check`"
            )

    def _speed(self) -> float:
        return self.done / max(time.perf_counter() - self.resumed, 1e-9)

    def _tell(
        self, progress: Progress, measured: tuple[float, float] | None = None, held_out: float | None = None
    ) -> None:
        """A note on the progress line, and a line in the log."""
        loss, speed = measured or (self.mean.of_line(), self._speed())
        note = f"loss {loss / math.log(2):.3f} bits"
        if held_out is not None:
            note += f", held out {held_out / math.log(2):.3f} bits"
        progress.advance(0, note=note)
        self.resumed, self.done = time.perf_counter(), 0
        steps = self.history.steps
        line = {"step": steps, "epoch": round(steps / self.steps_an_epoch, 4), "loss": loss}
        if held_out is not None:
            line["held_out"] = held_out
        line |= {"learning_rate": self.rate, f"{self.unit}_a_second": round(speed, 3)}
        line["seconds"] = round(self.history.seconds + time.perf_counter() - self.started, 3)
        for listener in (self.log, self.board):
            if listener is not None:
                listener.add(line)

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
        state = taken(self, self.checkpoint.carried)
        if state is not None:
            self.checkpoint.save(*state)

    def resume(self, progress: Progress) -> None:
        """Go on from the checkpoint's state, if there is one of this very run."""
        if self.checkpoint is None:
            return
        found = self.processes.told(self.checkpoint.load() if self.processes.main else None)
        if self.log is not None:
            self.log.forget(after=0 if found is None else int(found[1]["history"]["steps"]))
        if found is None:
            return
        put_back(self, self.checkpoint.carried, *found)
        progress.advance((progress.total or 0) * self.history.steps / self.steps, note="resumed")
