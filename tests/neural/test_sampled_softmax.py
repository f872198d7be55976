"""The cross entropy over a sample against torch's own over the whole vocabulary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from transferlm.neural import sampled_softmax
from transferlm.neural.sampled_softmax import SampledLoss, inclusion

TOKENS, WIDTH, VOCABULARY = 37, 8, 50
COUNTS = np.arange(VOCABULARY)[::-1] ** 2


@pytest.fixture(params=[4, 1000], ids=lambda rows: f"{rows} rows a block")
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_softmax, "rows_of_block", lambda like, tokens: request.param)


@pytest.fixture(params=[True, False], ids=["bias", "no bias"])
def layer(request: pytest.FixtureRequest) -> Iterator[nn.Linear]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield nn.Linear(WIDTH, VOCABULARY, bias=request.param)


def given() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    states = torch.randn(TOKENS, WIDTH, generator=draw)
    return states.requires_grad_(), torch.randint(0, VOCABULARY, (TOKENS,), generator=draw)


def gradients(loss: torch.Tensor, layer: nn.Linear, states: torch.Tensor) -> list[torch.Tensor]:
    found = torch.autograd.grad(loss, [states, *layer.parameters()])
    return [gradient.to_dense() if gradient.is_sparse else gradient for gradient in found]


def test_all_words_sampled_it_is_torchs_cross_entropy(rows: None, layer: nn.Linear) -> None:
    states, targets = given()
    ours = SampledLoss(COUNTS, VOCABULARY, 0)(states, layer.weight, layer.bias, targets)
    theirs = functional.cross_entropy(layer(states), targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for mine, its in zip(gradients(3 * ours, layer, states), gradients(3 * theirs, layer, states), strict=True):
        assert torch.allclose(mine, its, rtol=1e-5, atol=1e-7)


def test_over_a_sample_it_is_what_the_formula_says(rows: None, layer: nn.Linear) -> None:
    """Worked out word by word: a target's score as it is, others' over their chance, the target itself not twice."""
    loss, (states, targets) = SampledLoss(COUNTS, 20, 3), given()
    chances = torch.from_numpy(inclusion(COUNTS, 20)).float()
    sample = loss.sample(0)
    assert any(target in sample for target in targets)
    scores, nats = layer(states), []
    for row, target in enumerate(targets.tolist()):
        others = [scores[row, word] - chances[word].log() for word in sample.tolist() if word != target]
        nats.append(torch.logsumexp(torch.stack([scores[row, target], *others]), 0) - scores[row, target])
    wanted = torch.stack(nats).mean()
    found = loss(states, layer.weight, layer.bias, targets)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    for mine, its in zip(gradients(found, layer, states), gradients(wanted, layer, states), strict=True):
        assert torch.allclose(mine, its, rtol=1e-4, atol=1e-6)


def test_the_estimated_sum_over_the_vocabulary_is_right_on_average(layer: nn.Linear) -> None:
    """One token's exp(loss) is that sum over its own term: its mean over samples is the exact one."""
    states, targets = given()
    for row in range(3):
        state, target = states[row : row + 1], targets[row : row + 1]
        loss, draws = SampledLoss(COUNTS, 15, row), 1000
        with torch.no_grad():
            wanted = functional.cross_entropy(layer(state), target).exp().item()
            found = np.array([loss(state, layer.weight, layer.bias, target).exp().item() for _ in range(draws)])
        error = found.std() / draws**0.5
        assert abs(found.mean() - wanted) < 4 * error
        assert error < 0.05 * wanted, "or the line above says nothing"


def test_the_mean_gradient_nears_the_whole_vocabularys_as_samples_grow(layer: nn.Linear) -> None:
    """A share of two estimates is a little off on average, by less the larger the sample (Bengio & Senécal 2008)."""
    states, targets = given()
    wanted = torch.cat(
        [g.flatten() for g in gradients(functional.cross_entropy(layer(states), targets), layer, states)]
    )

    def distance(samples: int) -> float:
        loss, draws, mean = SampledLoss(COUNTS, samples, 0, power=0.5), 500, torch.zeros_like(wanted)
        for _ in range(draws):
            found = gradients(loss(states, layer.weight, layer.bias, targets), layer, states)
            mean += torch.cat([g.flatten() for g in found]) / draws
        return float((mean - wanted).norm() / wanted.norm())

    few, some, many = (distance(samples) for samples in (5, 15, 45))
    assert many < some < few, (few, some, many)
    assert many < 0.03


def test_gradients_are_rows_of_sample_and_targets_alone() -> None:
    torch.manual_seed(0)
    layer, loss, (states, targets) = nn.Linear(WIDTH, VOCABULARY), SampledLoss(COUNTS, 10, 0), given()
    (gradient,) = torch.autograd.grad(loss(states, layer.weight, layer.bias, targets), [layer.weight])
    assert gradient.is_sparse
    touched = set(gradient.coalesce().indices()[0].tolist())
    assert touched == set(loss.sample(0).tolist()) | set(targets.tolist())
    assert len(touched) < VOCABULARY


def test_within_autocast_it_is_near_the_exact_one(layer: nn.Linear) -> None:
    states, targets = given()
    exact = SampledLoss(COUNTS, 30, 0)(states, layer.weight, layer.bias, targets)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = SampledLoss(COUNTS, 30, 0)(states, layer.weight, layer.bias, targets)
    assert rounded.item() == pytest.approx(exact.item(), abs=0.02)
    assert rounded.item() != exact.item()
    for mine, its in zip(gradients(rounded, layer, states), gradients(exact, layer, states), strict=True):
        assert mine.dtype == torch.float32
        assert float((mine - its).norm() / its.norm()) < 0.02


def test_lent_bfloat16_weights_get_bfloat16_gradients() -> None:
    torch.manual_seed(0)
    states, targets = given()
    weight = torch.randn(VOCABULARY, WIDTH).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        SampledLoss(COUNTS, 10, 0)(states, weight, None, targets).backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.bfloat16


def test_tokens_are_in_a_sample_as_often_as_was_said() -> None:
    loss, chances = SampledLoss(COUNTS, 20, 5), inclusion(COUNTS, 20)
    drawn = np.zeros(VOCABULARY)
    for number in range(4000):
        sample = loss.sample(number).numpy()
        assert len(set(sample)) == len(sample)
        drawn[sample] += 1
    assert np.abs(drawn / 4000 - chances).max() < 0.04
    assert np.all(drawn[chances == 1] == 4000)


def test_chances_sum_to_the_sample_and_rise_with_counts() -> None:
    for samples in (1, 7, 49):
        for power in (0.0, 0.5, 1.0):
            found = inclusion(COUNTS, samples, power)
            assert found.sum() == pytest.approx(samples)
            assert found.min() > 0
            assert found.max() <= 1
            assert np.all(np.diff(found) <= 1e-12)
    assert np.all(inclusion(COUNTS, VOCABULARY) == 1)
    assert np.allclose(inclusion(COUNTS, 10, 0.0), 0.2)


def test_a_sample_follows_from_seed_and_number_alone() -> None:
    one, other = SampledLoss(COUNTS, 20, 0), SampledLoss(COUNTS, 20, 0)
    torch.manual_seed(3)
    np.random.default_rng(0).random(3)
    assert torch.equal(one.sample(4), other.sample(4))
    assert not torch.equal(one.sample(4), one.sample(5))
    assert not torch.equal(one.sample(4), SampledLoss(COUNTS, 20, 1).sample(4))


def test_what_is_carried_goes_on_with_the_next_sample(layer: nn.Linear) -> None:
    states, targets = given()
    one, other = SampledLoss(COUNTS, 20, 0), SampledLoss(COUNTS, 20, 0)
    losses = [one(states, layer.weight, layer.bias, targets).item() for _ in range(3)]
    other(states, layer.weight, layer.bias, targets)
    state = other.carried()
    fresh = SampledLoss(COUNTS, 20, 0)
    fresh.carry(state)
    assert [fresh(states, layer.weight, layer.bias, targets).item() for _ in range(2)] == losses[1:]


def test_a_sample_of_nothing_but_the_target_is_certain_of_it() -> None:
    loss = SampledLoss(np.array([10**12, 0, 0]), 1, 0)
    assert loss.sample(0).tolist() == [0]
    states = torch.ones(1, 2, requires_grad=True)
    found = loss(states, torch.zeros(3, 2, requires_grad=True), None, torch.tensor([0]))
    found.backward()
    assert found.item() == 0
    assert states.grad is not None
    assert torch.all(states.grad == 0)
