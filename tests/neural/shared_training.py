"""What the tests of several processes run in each of them: `python shared_training.py FOLDER BERT`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import transferlm as tl
from transferlm import launched
from transferlm.errors import TransferLMError
from transferlm.models._training import Training
from transferlm.models.causal_transformer import CausalTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.neural import loop, precision
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.loop import Settings
from transferlm.neural.processes import processes

TEXTS = [f"the {noun} was {word} and the {noun} is {word}" for noun in "abcdefg" for word in ("good", "bad", "odd")]

SAMPLED: dict[str, Any] = {"softmax": "sampled", "samples": 6}


def recurrent(**changes: Any) -> Recurrent:
    """Three lanes, so that two processes have unequal shares; penalties, random lengths, clipping, averaging."""
    sizes: Any = {"width": 8, "embedding_width": 6, "layers": 2, "epochs": 3, "batch_size": 3, "sequence_length": 8}
    rules: Any = {"optimizer": "nt_averaged_sgd", "learning_rate": 5.0, "schedule": "constant", "weight_decay": 1e-3}
    steps: Any = {"random_lengths": True, "evaluate_every": 2, "non_monotone": 1, "held_out": 0.2, "patience": None}
    penalties: Any = {"activation_penalty": 0.5, "slowness_penalty": 0.5, "clip": 0.5, "dropout": 0.0}
    return Recurrent(**{**sizes, **rules, **steps, **penalties, **changes})


def causal(**changes: Any) -> CausalTransformer:
    """Three windows a step, and a smaller last step."""
    sizes: Any = {"layers": 1, "heads": 2, "width": 8, "max_length": 16, "batch_size": 3, "epochs": 2, "dropout": 0.0}
    return CausalTransformer(tokenizer=tl.tokenizers.BytePair(vocabulary_size=280), held_out=0.2, **sizes, **changes)


def masked(model: Any, state: Path | None = None) -> Any:
    """A masked model's own pretraining goes on: its texts are shared, and the tokens hidden in them."""
    method = tl.updates.ContinuedPretraining(steps=4, head_steps=2, batch_size=3, precision="fp32", learning_rate=1e-3)
    return tl.update(model, TEXTS, method, seed=1, checkpoints=state).model


def weights(model: Any) -> dict[str, list[float]]:
    return {name: p.detach().flatten().tolist() for name, p in model.module.named_parameters()}


def told(model: Any, state: Path) -> dict[str, Any]:
    log = [file.read_text() for file in sorted(state.rglob("log.jsonl"))]
    lines = [json.loads(line) for part in log for line in part.splitlines()]
    figures = ("step", "epoch", "loss", "held_out", "learning_rate")
    return {
        "weights": weights(model),
        "log": [{name: line[name] for name in figures if name in line} for line in lines],
    }


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def resumed(work: Callable[[], Any], saves: int) -> Any:
    """Run it, a state saved at each step, until so many are there; then again to the end."""
    real, count = loop._Run._save, 0  # type: ignore[attr-defined]

    def save(run: Any) -> None:
        nonlocal count
        real(run)
        count += 1
        if count == saves:
            raise Killed

    loop._Run._save, due = save, Checkpoint.due  # type: ignore[attr-defined, method-assign]
    Checkpoint.due = True  # type: ignore[assignment, method-assign]
    try:
        work()
        raise AssertionError("it was to be killed")
    except Killed:
        pass
    finally:
        loop._Run._save, Checkpoint.due = real, due  # type: ignore[attr-defined, method-assign]
    return work()


class Noise:
    """An objective that notes what dropout would draw."""

    def __init__(self) -> None:
        self.module, self.learning_rate = nn.Linear(1, 1), 1e-3
        self.draws: list[float] = []

    def batches(self, epoch: int) -> list[int]:
        return [epoch]

    def tokens(self, _: int) -> int:
        return 1

    def share(self, process: int, count: int) -> None:
        """Nothing to share."""

    def loss(self, _: int) -> torch.Tensor:
        self.draws.append(float(torch.rand(())))
        return self.module.weight.sum()

    def mean_loss(self) -> float:
        return 0.0

    def carried(self) -> dict[str, torch.Tensor]:
        return {}

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Nothing to go on from."""


def touched() -> list[int]:
    """Rows that a step moves where each process has a sparse gradient of its own, of zeros in the first row."""
    together = processes()
    table = nn.Parameter(torch.zeros(5, 2))
    rows = torch.tensor([[0, 1 + together.process]])
    values = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    table.grad = torch.sparse_coo_tensor(rows, values, table.shape, check_invariants=True)
    together.mean_gradients([table], torch.zeros(1))
    assert table.grad.is_sparse
    found: list[int] = table.grad.coalesce().indices()[0].tolist()
    return found


def draws() -> list[list[float]]:
    """What each process draws while it trains."""
    noise = Noise()
    Training(noise, Settings(2, 0.1)).run(3, None, "")
    return processes().gathered(noise.draws)


def refusal(work: Callable[[], Any]) -> str:
    try:
        work()
    except TransferLMError as error:
        return str(error)
    return "none"


def figures(folder: Path, bert: Path) -> dict[str, Any]:
    """Everything that the tests compare."""
    opened: Any = tl.load(bert)
    for layer in opened.module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    made = {
        "recurrent": lambda state: tl.pretrain(recurrent(), TEXTS, 1, state),
        "causal": lambda state: tl.pretrain(causal(), TEXTS, 1, state),
        "recurrent sampled": lambda state: tl.pretrain(recurrent(**SAMPLED), TEXTS, 1, state),
        "causal sampled": lambda state: tl.pretrain(causal(**SAMPLED), TEXTS, 1, state),
        "masked": lambda state: masked(opened, state),
    }
    found: dict[str, Any] = {name: told(work(folder / name), folder / name) for name, work in made.items()}
    dropping: Any = {"dropout": 0.3, "weight_drop": 0.3}
    gone_on: dict[str, Callable[[], Any]] = {
        "recurrent": lambda: recurrent(**dropping),
        "recurrent sampled": lambda: recurrent(**dropping, **SAMPLED),
        "causal sampled": lambda: causal(**SAMPLED),
    }
    for name, make in gone_on.items():
        whole = tl.pretrain(make(), TEXTS, 1)
        again = resumed(partial(tl.pretrain, make(), TEXTS, 1, folder / "resumed" / name), 4)
        found[f"{name} resumed"] = {"whole": weights(whole), "again": weights(again)}
    found["touched"] = touched()
    found["draws"] = draws()
    denoising = tl.updates.Denoising(steps=2, batch_size=8)
    found["refused"] = [
        refusal(lambda: tl.pretrain(recurrent(batch_size=1), TEXTS)),
        refusal(lambda: tl.update(opened, TEXTS, denoising)),
        refusal(lambda: tl.pretrain(tl.models.KneserNey(), TEXTS)),
    ]
    whole.save(folder / "saved")
    return found


if __name__ == "__main__":
    precision.has_bfloat16 = lambda _: False  # type: ignore[assignment]
    place = Path(sys.argv[1])
    result = figures(place, Path(sys.argv[2]))
    if launched.main_process():
        (place / "figures.json").write_text(json.dumps(result))
