"""The training loop: batches in, moved weights out. It knows neither the model's family nor the task."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from transferlm.errors import SettingError, TransferLMError
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.precision import Precision, autocast, in_bfloat16
from transferlm.neural.schedules import Schedule, factor
from transferlm.neural.working_weights import WorkingWeights
from transferlm.progress import Progress

__all__ = ["Group", "History", "Settings", "fit"]

B = TypeVar("B")
_CARRIED = "carried."


@dataclass(frozen=True)
class Settings:
    """How to train, whatever is trained.

    Attributes:
        epochs: Passes over the data.
        learning_rate: Peak step size of AdamW (Loshchilov & Hutter 2019).
        weight_decay: Shrinkage of weight matrices; never of biases, norms and embeddings.
        warmup: Share of the steps over which the learning rate rises.
        schedule: How it falls afterwards.
        clip: Largest global gradient norm, or None; 1.0 is the field's default.
        accumulate: Batches whose gradients are added before a step.
        patience: Evaluations without a better one before stopping, or None to run to the end.
        precision: See `neural/precision.py`.
        betas: Decay rates of AdamW's two averages.
        steps: Optimizer steps to take, however many epochs that is; None takes `epochs`.
        evaluate_every: Optimizer steps between evaluations; None evaluates after each epoch.
    """

    epochs: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: Schedule = "linear"
    clip: float | None = 1.0
    accumulate: int = 1
    patience: int | None = None
    precision: Precision = "auto"
    betas: tuple[float, float] = (0.9, 0.999)
    steps: int | None = None
    evaluate_every: int | None = None

    @classmethod
    def of(cls, plug_in: object, **changes: Any) -> Settings:
        """A plug-in's hyper-parameters of the same names; `changes` adds the others and replaces some."""
        own = {f.name: getattr(plug_in, f.name) for f in fields(cls) if hasattr(plug_in, f.name)}
        return cls(**{**own, **changes})

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "steps", "evaluate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"{name} {value}: give 1 or more")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise SettingError(f"learning_rate {self.learning_rate}: give a number above 0")
        if self.weight_decay < 0:
            raise SettingError(f"weight_decay {self.weight_decay}: give 0 or more")
        if self.clip is not None and not self.clip > 0:
            raise SettingError(f"clip {self.clip}: give a number above 0")
        if self.patience is not None and self.patience < 1:
            raise SettingError(f"patience {self.patience}: give 1 or more, or none")
        autocast(torch.device("cpu"), self.precision)
        factor(0, 1, self.schedule, self.warmup)


@dataclass(frozen=True)
class Group:
    """Parameters that share a learning rate, given as a factor on the peak."""

    parameters: Sequence[nn.Parameter]
    factor: float = 1.0


@dataclass
class History:
    """What happened.

    Attributes:
        losses: Mean training loss since the evaluation (or epoch) before, nats.
        evaluations: What `evaluate` returned each time; lower is better.
        best: Index into `evaluations` of the weights that were kept.
        steps: Optimizer steps taken.
        seconds: Wall time, over all runs where it was interrupted.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[float] = field(default_factory=list)
    best: int = 0
    steps: int = 0
    seconds: float = 0.0


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
        description: What the progress line says.

    Raises:
        TransferLMError: The loss is no longer finite.
    """
    groups = groups or [Group([p for p in module.parameters() if p.requires_grad])]
    run = _Run(module, batches, loss, settings, groups, penalty)
    run.evaluate, run.checkpoint, run.size = evaluate, checkpoint, tokens or (lambda _: 1)
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
    size: Callable[[B], int]

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
        self.optimizer = _optimizer(module, groups, settings, self.device)
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
        peak = factor(self.history.steps, self.steps, self.settings.schedule, self.settings.warmup)
        for group, rate in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = rate * peak
        part = self.todo[self.place : self.place + self.settings.accumulate]
        for batch in part:
            with autocast(self.device, self.settings.precision):
                value = self.loss(batch)
            whole = value + self.penalty() if self.penalty is not None else value
            (whole / len(part)).backward()  # type: ignore[no-untyped-call]
            self.sum += value.detach()
            self.count += 1
            progress.advance(self.size(batch))
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.working.refresh()
        self.history.steps += 1
        self.place += len(part)
        self._after_step(progress)

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
            self.module.eval()
            with torch.inference_mode(), self.working.withdrawn():
                value = self.evaluate()
            note += f", held out {value / math.log(2):.3f} bits"
            if not self.history.evaluations or value < min(self.history.evaluations):
                self.best = [p.detach().clone() for p in self.parameters]
                self.history.best = len(self.history.evaluations)
            self.history.evaluations.append(value)
            waited = len(self.history.evaluations) - 1 - self.history.best
            self.over |= self.settings.patience is not None and waited >= self.settings.patience
        progress.advance(0, note=note)
        if self.checkpoint is not None:
            self._log()

    def finish(self) -> None:
        """Leave the best weights in the module, ready to predict."""
        if self.best is not None:
            with torch.no_grad():
                for parameter, kept in zip(self.parameters, self.best, strict=True):
                    parameter.copy_(kept)
        self.module.eval()
        self.history.seconds += time.perf_counter() - self.started

    def _log(self) -> None:
        """One line of JSON an evaluation, to follow a long run from another terminal."""
        assert self.checkpoint is not None
        self.checkpoint.folder.mkdir(parents=True, exist_ok=True)
        line: dict[str, Any] = {"step": self.history.steps, "epoch": self.epoch, "loss": self.history.losses[-1]}
        if self.history.evaluations:
            line["held_out"] = self.history.evaluations[-1]
        line["seconds"] = round(self.history.seconds + time.perf_counter() - self.started, 3)
        with Path(self.checkpoint.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _forget_log(self, after: int) -> None:
        """Drop lines that an interrupted run wrote about steps that will be taken again."""
        assert self.checkpoint is not None
        log = Path(self.checkpoint.folder / "log.jsonl")
        if log.is_file():
            lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= after]
            log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def _save(self) -> None:
        """Everything that decides how the run goes on: weights, averages, best, randomness, place."""
        assert self.checkpoint is not None
        tensors: dict[str, torch.Tensor] = {f"weights.{i}": p for i, p in enumerate(self.parameters)}
        for i, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{i}.{name}"] = value
        for i, kept in enumerate(self.best or ()):
            tensors[f"best.{i}"] = kept
        tensors |= {f"{_CARRIED}{name}": value for name, value in self.checkpoint.carried.carried().items()}
        tensors["random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        tensors["sum"] = self.sum
        now = time.perf_counter()
        self.history.seconds += now - self.started
        self.started = now
        facts = {"history": asdict(self.history), "epoch": self.epoch, "place": self.place, "count": self.count}
        self.checkpoint.save(tensors, facts)

    def resume(self, progress: Progress) -> None:
        """Go on from the checkpoint's state, if there is one of this very run."""
        if self.checkpoint is None:
            return
        found = self.checkpoint.load()
        self._forget_log(after=0 if found is None else int(found[1]["history"]["steps"]))
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
        if "best.0" in tensors:
            self.best = [tensors[f"best.{i}"].to(self.device) for i in range(len(self.parameters))]
        state = {n.removeprefix(_CARRIED): t.to(self.device) for n, t in tensors.items() if n.startswith(_CARRIED)}
        self.working.refresh()
        self.checkpoint.carried.carry(state)
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        progress.advance((progress.total or 0) * self.history.steps / self.steps, note="resumed")


def _optimizer(
    module: nn.Module, groups: Sequence[Group], settings: Settings, device: torch.device
) -> torch.optim.Optimizer:
    undecayed = {id(p) for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)}
    options: list[dict[str, Any]] = []
    for group in groups:
        rate = settings.learning_rate * group.factor
        decayed = [p for p in group.parameters if p.ndim > 1 and id(p) not in undecayed]
        rest = [p for p in group.parameters if p.ndim <= 1 or id(p) in undecayed]
        options.append({"params": decayed, "lr": rate, "weight_decay": settings.weight_decay})
        options.append({"params": rest, "lr": rate, "weight_decay": 0.0})
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW([o for o in options if o["params"]], betas=settings.betas, fused=fused)
