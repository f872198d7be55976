"""No interruption loses anything: stopped at any step and run again, training ends in the same bits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import transferlm as tl
from transferlm import catalog
from transferlm.models.causal_transformer import CausalTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.neural.checkpoint import Checkpoint


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@contextmanager
def killed_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within the block a state is saved at each step, and the run dies right after the given one was written."""
    real, count = Checkpoint.save, 0

    def save(self: Checkpoint, tensors: Any, facts: Any) -> None:
        nonlocal count
        real(self, tensors, facts)
        count += 1
        if count == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", True)
        patch.setattr(Checkpoint, "save", save)
        yield


Work = Callable[[Path | None], str]


@pytest.fixture(
    params=[
        "pretrain",
        "pretrain awd_lstm",
        "pretrain reduce_on_plateau",
        "pretrain causal_transformer",
        "pretrain recurrent sampled",
        "pretrain causal_transformer sampled",
        "fine_tuning",
        "gradual_unfreezing",
        "low_rank",
        "prior_from_source",
        "probe_then_fine_tuning",
        "continued_pretraining recurrent",
        "continued_pretraining masked_transformer",
        "contrastive_pretraining",
        "denoising",
        "distillation",
        "dynamic_evaluation",
        "elastic_weight_consolidation",
        "experience_replay",
    ]
)
def work(
    request: pytest.FixtureRequest,
    recurrent: Recurrent,
    bert_folder: Path,
    review_texts: list[str],
    make_examples: Callable[..., Any],
) -> Work:
    """Training of one kind: a function from the state's folder to the fingerprint of what came out."""
    kind = request.param
    bert: Any = tl.load(bert_folder)
    if kind == "pretrain":
        empty = Recurrent(width=8, embedding_width=8, epochs=2, batch_size=2, sequence_length=64, held_out=0.1)
        return lambda state: tl.pretrain(empty, review_texts, 1, state).fingerprint
    if kind == "pretrain awd_lstm":
        sizes = {"width": 8, "embedding_width": 6, "epochs": 3, "batch_size": 2, "sequence_length": 64}
        awd: Any = Recurrent.preset(
            "awd_lstm", **sizes, held_out=0.1, evaluate_every=1, non_monotone=1, learning_rate=9
        )
        return lambda state: tl.pretrain(awd, review_texts, 1, state).fingerprint
    if kind == "pretrain reduce_on_plateau":
        sizes = {"width": 8, "embedding_width": 8, "epochs": 3, "batch_size": 2, "sequence_length": 64}
        rule: Any = {"schedule": "reduce_on_plateau", "optimizer": "averaged_sgd", "evaluate_every": 1, "held_out": 0.1}
        halved = Recurrent(**sizes, **rule, learning_rate=500.0, patience=None, clip=9.0)
        return lambda state: tl.pretrain(halved, review_texts, 1, state).fingerprint
    if kind == "pretrain recurrent sampled":
        sizes = {"width": 8, "embedding_width": 8, "epochs": 2, "batch_size": 2, "sequence_length": 64}
        sampled = Recurrent(**sizes, held_out=0.1, softmax="sampled", samples=30)  # type: ignore[arg-type]
        return lambda state: tl.pretrain(sampled, review_texts, 1, state).fingerprint
    if kind.startswith("pretrain causal_transformer"):
        sizes: dict[str, Any] = {
            "layers": 1,
            "heads": 2,
            "width": 8,
            "max_length": 16,
            "batch_size": 4,
            "epochs": 1,
            "held_out": 0.1,
        }
        if kind.endswith("sampled"):
            sizes |= {"softmax": "sampled", "samples": 60}
        causal = CausalTransformer(tokenizer=tl.tokenizers.BytePair(vocabulary_size=300), **sizes)  # type: ignore[arg-type]
        return lambda state: tl.pretrain(causal, review_texts, 1, state).fingerprint
    if kind in catalog.entries("strategies"):
        strategy = catalog.find("strategies", kind)(epochs=4, minimum_steps=10, batch_size=8)
        examples = make_examples(40)

        def tuned(state: Path | None) -> str:
            made = tl.transfer(bert, examples, strategy, 1, state)
            return made.model.fingerprint + made.weights.tobytes().hex()

        return tuned
    update = {
        "continued_pretraining recurrent": (tl.updates.ContinuedPretraining(steps=8), recurrent),
        "continued_pretraining masked_transformer": (tl.updates.ContinuedPretraining(steps=5, head_steps=4), bert),
        "contrastive_pretraining": (tl.updates.ContrastivePretraining(steps=8, batch_size=8), bert),
        "distillation": (tl.updates.Distillation(steps=8), recurrent),
        "elastic_weight_consolidation": (
            tl.updates.ElasticWeightConsolidation(steps=8, information_tokens=500),
            recurrent,
        ),
        "experience_replay": (tl.updates.ExperienceReplay(steps=8, written=4), recurrent),
        "dynamic_evaluation": (tl.updates.DynamicEvaluation(rule="sgd", learning_rate=0.3), recurrent),
        "denoising": (tl.updates.Denoising(steps=8, batch_size=8), bert),
    }
    method, model = update[kind]
    return lambda state: tl.update(model, review_texts, method, seed=1, checkpoints=state).model.fingerprint


def test_killed_and_run_again_it_ends_in_the_same_bits(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = work(None)
    assert work(tmp_path / "calm") == whole, "keeping states changes nothing"
    for saves in (1, 2, 5, 7):
        state = tmp_path / f"after {saves}"
        with killed_after(saves, monkeypatch), pytest.raises(Killed):
            work(state)
        assert list(state.rglob("state.safetensors"))
        assert work(state) == whole, f"killed after {saves} steps"


def test_killed_again_and_again(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, deaths = work(None), 0
    for _ in range(4):
        try:
            with killed_after(2, monkeypatch):
                work(tmp_path / "state")
            break
        except Killed:
            deaths += 1
    assert deaths >= 3
    assert work(tmp_path / "state") == whole


def test_a_run_with_other_settings_starts_anew(
    recurrent: Recurrent, review_texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def made(rate: float, state: Path | None) -> str:
        method = tl.updates.ContinuedPretraining(steps=6, learning_rate=rate)
        return tl.update(recurrent, review_texts, method, checkpoints=state).model.fingerprint

    with killed_after(3, monkeypatch), pytest.raises(Killed):
        made(1e-3, tmp_path / "state")
    assert made(1e-2, tmp_path / "state") == made(1e-2, None)
    assert "belongs to a run with other settings" in capsys.readouterr().err


def test_the_log_tells_each_step_once(review_texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Recurrent(width=8, embedding_width=8, epochs=3, batch_size=2, sequence_length=64, evaluate_every=1)

    def steps(folder: str) -> list[int]:
        return [json.loads(line)["step"] for line in (tmp_path / folder / "log.jsonl").read_text().splitlines()]

    tl.pretrain(empty, review_texts, 1, tmp_path / "whole")
    real = Checkpoint.save
    saved = 0

    def first_only(self: Checkpoint, tensors: Any, facts: Any) -> None:
        nonlocal saved
        saved += 1
        if saved == 2:
            real(self, tensors, facts)
        if saved == 6:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", True)
        patch.setattr(Checkpoint, "save", first_only)
        with pytest.raises(Killed):
            tl.pretrain(empty, review_texts, 1, tmp_path / "killed")
    assert len(steps("killed")) == 6
    tl.pretrain(empty, review_texts, 1, tmp_path / "killed")
    assert steps("killed") == steps("whole") == list(range(1, len(steps("whole")) + 1))
