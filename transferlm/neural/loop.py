"""The training loop: batches in, moved weights out. It knows neither the model's family nor the task."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import nn

from transferlm.errors import SettingError, TransferLMError
from transferlm.neural.precision import Precision, autocast
from transferlm.neural.schedules import Schedule, factor
from transferlm.progress import Progress

__all__ = ["Group", "History", "Settings", "fit"]

B = TypeVar("B")


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
        patience: Epochs without a better evaluation before stopping, or None to run them all.
        precision: See `neural/precision.py`.
        betas: Decay rates of AdamW's two averages.
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

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("accumulate", 1)):
            if getattr(self, name) < least:
                raise SettingError(f"{name} {getattr(self, name)}: give {least} or more")
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
    """What happened, one entry an epoch.

    Attributes:
        losses: Mean training loss, nats.
        evaluations: What `evaluate` returned; lower is better.
        best_epoch: 0-based epoch whose weights were kept.
        steps: Optimizer steps taken.
        seconds: Wall time.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[float] = field(default_factory=list)
    best_epoch: int = 0
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
    description: str = "training",
) -> History:
    """Move the module's weights to lower `loss`, and leave the best ones in it.

    Args:
        module: What is trained, on the device where it shall be trained.
        batches: Epoch number -> that epoch's batches, every epoch equally many.
        loss: Mean loss of a batch, run under the settings' precision.
        settings: How to train.
        groups: Parameters and their learning-rate factors; default all that require gradients, at factor 1.
        penalty: Added to every step's loss (distance to a start, a Fisher-weighted one), or None.
        evaluate: Called after each epoch in evaluation mode; the weights with the lowest value are kept. Without it
            the last weights are.
        description: What the progress line says.

    Raises:
        TransferLMError: The loss is no longer finite.
    """
    groups = groups or [Group([p for p in module.parameters() if p.requires_grad])]
    parameters = [p for group in groups for p in group.parameters]
    device = parameters[0].device
    optimizer = _optimizer(module, groups, settings, device)
    first = batches(0)
    steps = math.ceil(len(first) / settings.accumulate) * settings.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: factor(min(step, steps - 1), steps, settings.schedule, settings.warmup)
    )
    history, best, started = History(), _Best(module, parameters), time.perf_counter()
    with Progress(description, len(first) * settings.epochs, "batches") as progress:
        for epoch in range(settings.epochs):
            module.train()
            todo = first if epoch == 0 else batches(epoch)
            total = torch.zeros((), device=device, dtype=torch.float64)
            for number, batch in enumerate(todo, start=1):
                with autocast(device, settings.precision):
                    value = loss(batch)
                objective = value + penalty() if penalty is not None else value
                (objective / settings.accumulate).backward()  # type: ignore[no-untyped-call]
                total += value.detach()
                if number % settings.accumulate == 0 or number == len(todo):
                    if settings.clip is not None:
                        nn.utils.clip_grad_norm_(parameters, settings.clip)
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad(set_to_none=True)
                    history.steps += 1
                progress.advance()
            history.losses.append(_finite(float(total) / len(todo), history.steps, settings))
            progress.advance(0, note=f"loss {history.losses[-1] / math.log(2):.3f} bits")
            if evaluate is not None and not _keep_going(evaluate, module, best, history, settings):
                break
    if evaluate is not None:
        best.restore()
    module.eval()
    history.seconds = time.perf_counter() - started
    return history


def _optimizer(
    module: nn.Module, groups: Sequence[Group], settings: Settings, device: torch.device
) -> torch.optim.Optimizer:
    undecayed = {id(p) for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)}
    options: list[dict[str, object]] = []
    for group in groups:
        rate = settings.learning_rate * group.factor
        decayed = [p for p in group.parameters if p.ndim > 1 and id(p) not in undecayed]
        rest = [p for p in group.parameters if p.ndim <= 1 or id(p) in undecayed]
        options.append({"params": decayed, "lr": rate, "weight_decay": settings.weight_decay})
        options.append({"params": rest, "lr": rate, "weight_decay": 0.0})
    return torch.optim.AdamW(
        [o for o in options if o["params"]], betas=settings.betas, fused=device.type in ("cpu", "cuda")
    )


def _finite(loss: float, step: int, settings: Settings) -> float:
    if not math.isfinite(loss):
        raise TransferLMError(
            f"the loss is {loss} after step {step}: lower the learning rate (it is {settings.learning_rate:g})"
            " or look for broken texts with `transferlm check`"
        )
    return loss


class _Best:
    """A copy of the trained weights at the best evaluation so far."""

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter]) -> None:
        self.module, self.parameters = module, parameters
        self.copies: list[torch.Tensor] | None = None

    def keep(self) -> None:
        self.copies = [p.detach().clone() for p in self.parameters]

    def restore(self) -> None:
        if self.copies is not None:
            with torch.no_grad():
                for parameter, copy in zip(self.parameters, self.copies, strict=True):
                    parameter.copy_(copy)


def _keep_going(
    evaluate: Callable[[], float], module: nn.Module, best: _Best, history: History, settings: Settings
) -> bool:
    """Evaluate, keep the weights if they are the best so far, and say whether patience lasts."""
    module.eval()
    with torch.inference_mode():
        value = evaluate()
    if not history.evaluations or value < min(history.evaluations):
        best.keep()
        history.best_epoch = len(history.evaluations)
    history.evaluations.append(value)
    waited = len(history.evaluations) - 1 - history.best_epoch
    return settings.patience is None or waited < settings.patience
