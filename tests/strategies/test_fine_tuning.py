"""Fine-tuning: it learns, it keeps the best, it leaves its input alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from masked_folders import write_llama

import transferlm as tl
from transferlm.errors import SettingError, TransferLMError, UnsupportedError
from transferlm.models.masked_transformer import MaskedTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.models.tfidf import TfIdf
from transferlm.strategies.fine_tuning import FineTuning
from transferlm.tasks.base import Examples
from transferlm.tasks.classification import Classification

Maker = Callable[..., Examples]
QUICK: dict[str, Any] = {"epochs": 1, "minimum_steps": 4, "precision": "fp32"}


@pytest.fixture(params=["masked_transformer", "recurrent"])
def model(request: pytest.FixtureRequest, bert_folder: Path, recurrent: Recurrent) -> Any:
    return recurrent if request.param == "recurrent" else tl.load(bert_folder)


def test_it_learns(model: Any, make_examples: Maker) -> None:
    made = FineTuning(learning_rate=3e-3, minimum_steps=60, precision="fp32").transfer(model, make_examples(80))
    assert made.score(make_examples(60, seed=4)).metrics["accuracy"] > 0.9


def test_the_model_given_stays_as_it_was(model: Any, make_examples: Maker) -> None:
    before = model.fingerprint
    made = FineTuning(**QUICK).transfer(model, make_examples(20))
    assert model.fingerprint == before != made.model.fingerprint
    assert not model.module.training


def test_the_same_seed_gives_the_same_weights(model: Any, make_examples: Maker) -> None:
    def made(seed: int) -> str:
        torch.rand(3)  # whatever was drawn before must not matter
        np.random.rand(3)  # noqa: NPY002
        result = FineTuning(**QUICK).transfer(model, make_examples(24), seed)
        return result.model.fingerprint + result.weights.tobytes().hex()

    assert made(1) == made(1) != made(2)


def test_embedding_rows_that_no_example_uses_stay(model: Any, make_examples: Maker) -> None:
    examples = make_examples(16)
    made = FineTuning(**QUICK).transfer(model, examples)
    assert isinstance(made.model, MaskedTransformer | Recurrent)
    used = {int(i) for tokens in model.tokenize(examples.texts) for i in tokens.ids} | {model.pad_id}
    unused = sorted(set(range(model.embedding.num_embeddings)) - used)
    assert unused
    assert torch.equal(made.model.embedding.weight[unused], model.embedding.weight[unused])
    assert made.model.embedding.weight.shape == model.embedding.weight.shape


def test_without_a_held_out_part_the_last_weights_are_kept(recurrent: Recurrent, make_examples: Maker) -> None:
    made = FineTuning(held_out=0, **QUICK).transfer(recurrent, make_examples(20))
    assert "held_out_loss" not in made.lineage.scores
    assert made.lineage.scores["train_loss"] > 0


def test_the_held_out_part_chooses(recurrent: Recurrent, make_examples: Maker) -> None:
    made = FineTuning(held_out=0.2, learning_rate=3e-3, epochs=10, minimum_steps=1).transfer(
        recurrent, make_examples(40)
    )
    assert 0 < made.lineage.scores["held_out_loss"] < 0.7


@pytest.mark.parametrize("rows", [2, 3, 4, 5])
def test_very_few_rows_work(recurrent: Recurrent, rows: int, make_examples: Maker) -> None:
    made = FineTuning(**QUICK).transfer(recurrent, make_examples(rows))
    assert made.predict_proba(["the film"]).shape == (1, 2)


def test_every_class_is_trained_on_and_held_out(recurrent: Recurrent, make_examples: Maker) -> None:
    examples = make_examples(20)
    train, held = examples.hold_out(0.1, 0)
    assert set(examples.targets[train]) == set(examples.targets[held]) == {0, 1}
    assert sorted([*train, *held]) == list(range(20))


def test_few_labels_get_more_epochs() -> None:
    strategy = FineTuning(epochs=3, minimum_steps=200, batch_size=16)
    assert strategy.settings(16).epochs == 200
    assert strategy.settings(160).epochs == 20
    assert strategy.settings(16_000).epochs == 3


def test_class_weights_matter(recurrent: Recurrent, make_examples: Maker) -> None:
    shares = []
    for weight in (0.05, 20.0):
        task = Classification(class_weights={"positive": weight})
        plain = make_examples(40)
        examples = Examples(task, plain.texts, plain.targets, plain.labels)
        made = FineTuning(minimum_steps=20, learning_rate=1e-3).transfer(recurrent, examples)
        shares.append(made.predict_proba(plain.texts)[:, 1].mean())
    assert shares[0] + 0.1 < shares[1]


def test_accumulated_batches_are_counted_as_one_step() -> None:
    assert FineTuning(batch_size=8, accumulate=2, epochs=1, minimum_steps=10).settings(64).epochs == 3


def test_a_learning_rate_that_breaks_the_model_is_one_clear_error(recurrent: Recurrent, make_examples: Maker) -> None:
    with torch.no_grad():
        recurrent.embedding.weight.fill_(float("nan"))
    with pytest.raises(TransferLMError, match=r"the loss is nan .* lower the learning rate"):
        FineTuning(**QUICK).transfer(recurrent, make_examples(20))


def test_what_was_cut_is_told(recurrent: Recurrent, make_examples: Maker) -> None:
    recurrent.max_length = 4
    made = FineTuning(**QUICK).transfer(recurrent, make_examples(20))
    assert 0 < made.lineage.scores["train_share_read"] < 0.5
    assert made.model.hyper_parameters()["max_length"] == 4


def test_a_model_without_gradients_is_refused_with_alternatives(make_examples: Maker) -> None:
    with pytest.raises(UnsupportedError, match=r"fine_tuning needs .*, which tfidf is not; it works with: .*recurrent"):
        FineTuning().transfer(TfIdf(), make_examples(4))


def test_bf16_learns_too(recurrent: Recurrent, make_examples: Maker) -> None:
    strategy = FineTuning(learning_rate=3e-3, minimum_steps=100, precision="bf16")
    made = strategy.transfer(recurrent, make_examples(60))
    assert made.score(make_examples(40, seed=4)).metrics["accuracy"] > 0.85
    assert made.weights.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("held_out", 1.0),
        ("held_out", -0.1),
        ("epochs", 0),
        ("batch_size", 0),
        ("accumulate", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -1.0),
        ("warmup", 1.5),
        ("dropout", 1.5),
        ("clip", -1.0),
        ("patience", 0),
        ("schedule", "square"),
        ("precision", "fp16"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_any_work(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        FineTuning(**{name: value})


def test_padding_may_be_a_token_that_no_text_holds(make_examples: Maker, tmp_path: Path) -> None:
    write_llama(tmp_path / "m")
    made = FineTuning(**QUICK).transfer(tl.load(tmp_path / "m"), make_examples(20))
    assert np.isfinite(made.predict_proba(["the film was good", "bad"])).all()
