"""Training by a sampled softmax: what it leaves exact, what it moves, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm.errors import SettingError
from transferlm.models import _sampled
from transferlm.models.causal_transformer import CausalTransformer
from transferlm.models.recurrent import Recurrent
from transferlm.neural.loop import fit
from transferlm.neural.sampled_softmax import SampledLoss, inclusion
from transferlm.neural.settings import Settings
from transferlm.text.corpus import Corpus

Model = Recurrent | CausalTransformer
SAMPLED: dict[str, Any] = {"softmax": "sampled", "samples": 40}


def recurrent(**changes: Any) -> Recurrent:
    sizes = {"width": 16, "embedding_width": 16, "batch_size": 4, "sequence_length": 16, "epochs": 1, "dropout": 0.0}
    return Recurrent(**{**sizes, **changes})


def causal(**changes: Any) -> CausalTransformer:
    sizes = {"layers": 1, "heads": 2, "width": 16, "max_length": 16, "batch_size": 4, "epochs": 1, "dropout": 0.0}
    return CausalTransformer(**{"tokenizer": tl.tokenizers.Word(), **sizes, **changes})


FAMILIES = {
    "recurrent": recurrent,
    "recurrent untied": lambda **changes: recurrent(tied=False, **changes),
    "causal_transformer": causal,
    "causal_transformer llama": lambda **changes: causal(shape="llama", **changes),
}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Any:
    return FAMILIES[request.param]


def table(model: Model) -> torch.Tensor:
    return model.module.get_parameter("output.weight" if isinstance(model, Recurrent) else "lm_head.weight")


def test_the_same_seed_gives_the_same_model_and_another_one_another(family: Any, review_texts: list[str]) -> None:
    one, two, three = (family(**SAMPLED).fit(review_texts, seed) for seed in (1, 1, 2))
    assert one.fingerprint == two.fingerprint != three.fingerprint


def test_scores_and_held_out_losses_are_exact(family: Any, review_texts: list[str]) -> None:
    """The same weights under either setting: the same scores to the bit, whose probabilities sum to 1."""
    model = family(**SAMPLED).fit(review_texts)
    exact = model.copy()
    exact.adjust(softmax="full")
    assert np.array_equal(model.log_probs(review_texts[:5]), exact.log_probs(review_texts[:5]))
    assert np.exp(model.next_log_probs(["the film"])).sum() == pytest.approx(1.0, abs=1e-6)
    losses = []
    for one in (model, exact):
        objective = one.objective(Corpus(review_texts[:20]))
        objective.module.eval()
        with torch.inference_mode():
            losses.append([objective.mean_loss(), objective.mean_loss()])
    assert losses[0] == losses[1] == losses[0][::-1]


def test_a_training_step_is_estimated_anew_each_time(family: Any, review_texts: list[str]) -> None:
    model = family(**SAMPLED).fit(review_texts)
    objective = model.objective(Corpus(review_texts))
    batch = objective.batches(0)[0]
    losses = [objective.loss(batch).item() for _ in range(12)]
    assert len(set(losses)) > 6
    model.adjust(softmax="full")
    whole = model.objective(Corpus(review_texts)).loss(batch).item()
    assert np.mean(losses) == pytest.approx(whole, rel=0.1)


def test_a_step_moves_the_rows_of_sample_inputs_and_targets_alone(
    family: Any, review_texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    real = SampledLoss.sample

    def sample(self: SampledLoss, number: int) -> torch.Tensor:
        found = real(self, number)
        drawn.extend(found.tolist())
        return found

    monkeypatch.setattr(SampledLoss, "sample", sample)
    start = family(samples=5, softmax="sampled", weight_decay=0.1, batch_size=1).fit(review_texts, 0)
    before, read = table(start).detach().clone(), set()
    drawn.clear()
    objective = start.objective(Corpus(review_texts), seed=3, batch_size=1)
    batch = objective.batches(0)[0]
    if isinstance(start, Recurrent):
        read = {*objective.inputs[:, batch].flatten().tolist(), *objective.targets[:, batch].flatten().tolist()}
    else:
        read = set(objective.stream[batch.rows[0] : batch.rows[0] + objective.window + 1].tolist())
    fit(objective.module, lambda _: [batch], objective.loss, Settings(1, 0.01, weight_decay=0.1, warmup=0.0))
    changed = set((table(start) != before).any(dim=1).nonzero()[:, 0].tolist())
    assert changed
    assert changed <= read | set(drawn)
    assert len(changed) < len(before)


@pytest.mark.parametrize("kind", ["recurrent", "causal_transformer"])
def test_it_learns_nine_tenths_of_what_the_full_softmax_learns(kind: str) -> None:
    """A text of 300 words, some far more frequent than others, in which each word tells the next four times in five."""
    draw = np.random.default_rng(0)
    follows, texts = draw.permutation(300), []
    for _ in range(500):
        words = [int(draw.integers(300) ** 2 / 300)]
        for _ in range(20):
            words.append(int(follows[words[-1]]) if draw.random() < 0.8 else int(draw.integers(300) ** 2 / 300))
        texts.append(" ".join(f"w{word}" for word in words))
    seen, unseen = texts[:450], texts[450:]
    words = " ".join(f"{text} end" for text in seen).split()
    unigram = -float(np.mean([np.log(words.count(word) / len(words)) for word in words]))

    def nats(**changes: Any) -> float:
        made = FAMILIES[kind](epochs=4, batch_size=8, learning_rate=2e-2, width=32, **changes).fit(seen)
        return float(-np.mean(made.log_probs(unseen)) / 22)

    full, sampled = nats(), nats(softmax="sampled", samples=60)
    assert full < unigram - 2, "or there was nothing to learn"
    assert unigram - sampled > 0.9 * (unigram - full), (unigram, full, sampled)


def test_a_recurrent_model_begins_at_the_corpuss_frequencies(review_texts: list[str]) -> None:
    """Or rare words outweigh all others while they are too seldom sampled to be moved away."""
    model = recurrent(learning_rate=1e-9, held_out=0, steps=1, epochs=1, **SAMPLED).fit(review_texts)
    assert model.tokenizer is not None
    end = model.tokenizer.end_id
    ids = np.concatenate([[end], *[[*t.ids, end] for t in model.tokenizer.encode(review_texts)]]).astype(np.int64)
    counts = np.bincount(ids, minlength=len(model.tokenizer)) + 1
    bias = model.module.output.bias.detach().numpy()
    assert np.allclose(bias, np.log(counts / counts.sum()), atol=1e-5)
    trained = model.module.output.bias.detach().clone()
    model.learning_rate = 1e-9
    model.fit(review_texts[:5])
    assert torch.allclose(model.module.output.bias, trained, atol=1e-5), "what has learnt goes on from where it is"


def test_frequencies_are_those_of_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sampled, "_AT_ONCE", 3)
    stream = np.array([1, 1, 1, 3, 1, 0, 1, 3], dtype=np.uint16)
    loss = _sampled.sampled_loss(recurrent(softmax="sampled", samples=2), stream, 5, 0)
    assert loss is not None
    wanted = inclusion(np.array([1, 5, 0, 2, 0]), 2)
    assert np.allclose(loss.chances, wanted)


def test_it_is_saved_and_may_be_changed_later(family: Any, review_texts: list[str], tmp_path: Path) -> None:
    family(**SAMPLED).fit(review_texts).save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert (opened.softmax, opened.samples) == ("sampled", 40)
    assert (tl.load(tmp_path / "m", softmax="full").softmax) == "full"  # type: ignore[attr-defined]
    assert opened.untrained().softmax == "sampled"


UPDATES: dict[str, Any] = {
    "continued_pretraining": tl.updates.ContinuedPretraining,
    "distance_to_start": tl.updates.DistanceToStart,
    "distillation": tl.updates.Distillation,
    "elastic_weight_consolidation": tl.updates.ElasticWeightConsolidation,
    "experience_replay": tl.updates.ExperienceReplay,
    "online_bayes": tl.updates.OnlineBayes,
    "weight_interpolation": tl.updates.WeightInterpolation,
}


@pytest.mark.parametrize("method", UPDATES)
@pytest.mark.parametrize(
    ("kind", "precision"), [("recurrent", "fp32"), ("recurrent untied", "bf16"), ("causal_transformer", "fp32")]
)
def test_every_update_by_gradients_goes_on_with_it(method: str, kind: str, precision: str) -> None:
    old = [f"the old {word} was {other}" for word in "abcdefgh" for other in "klmnop"]
    new = [f"{word} is the new {other}" for word in "abcdefgh" for other in "klmnop"]
    start = FAMILIES[kind](softmax="sampled", samples=10).fit(old + new[:4])
    update = UPDATES[method](steps=30, batch_size=2, learning_rate=1e-2, precision=precision)
    made = tl.update(start, new, update, old=old, seed=0)
    assert made.report.new is not None
    assert made.report.new.after.nats < made.report.new.before.nats
    again = tl.update(start, new, update, old=old, seed=0)
    assert made.model.fingerprint == again.model.fingerprint


def test_settings_that_make_no_sense_are_refused(family: Any, review_texts: list[str]) -> None:
    with pytest.raises(SettingError, match="softmax 'adaptive': choose full or sampled"):
        family(softmax="adaptive")
    with pytest.raises(SettingError, match="samples 0: give 1 or more"):
        family(samples=0)
    with pytest.raises(SettingError, match=r"samples 4,096: the vocabulary has \d+ tokens, give fewer or"):
        family(softmax="sampled").fit(review_texts)


def test_scores_that_are_more_than_one_layers_are_refused(review_texts: list[str]) -> None:
    model = causal().fit(review_texts).copy()  # of its module nothing is known yet
    real = model.module.forward

    def capped(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        found.logits = torch.tanh(found.logits)
        return found

    model.module.forward = capped
    model.adjust(**SAMPLED)
    with pytest.raises(SettingError, match="GPT2LMHeadModel does more to its scores"):
        model.objective(Corpus(review_texts))
