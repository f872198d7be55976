"""The Transformer's part of `training_speed.py`: tokens a second, and the share of what the processor can multiply.

A GPT-2 of width 384 (6 layers, 6 heads, 8,000 tokens of byte-pair encoding, dropout 0.1) reads 16 windows of 256
tokens a step. The textbook is `transformers`' GPT2LMHeadModel with AdamW in fp32, and its better setting the same under
bfloat16 autocast; all begin with the same weights, read the same windows in the same order, and are judged by the same
held-out text after equally many tokens.

**Operations.** Two a multiply-add of every product forward, and twice as many backward (Kaplan et al. 2020, section
2.1; Chowdhery et al. 2022, PaLM, appendix B). A token takes, with L layers of width d, an inner width of f, windows of
T tokens and V tokens in the vocabulary,

    3 x 2 x (L (4 d^2 + 2 d f) + V d)    queries, keys, values and their projection; the two layers within; the output
    3 x 2 x 2 L T d                      queries by keys, weights by values

Embeddings are looked up and count nothing; nor do norms, activations, softmax, dropout and the optimizer. As in PaLM
every token attends to all T; a causal mask leaves (T + 1) / 2 of them, and the share is told with that count too.

**Peak.** The most operations a second of `torch.mm` in bfloat16 over square and the model's own sizes, with as many
threads, measured before and after each round of training. On one thread both are timed by the processor's clock, else
by the wall's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from record import Record
from torch import nn

from transferlm.models.causal_transformer import CausalTransformer
from transferlm.neural.loop import Settings, fit
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.byte_pair import BytePair

SHARE, TOLERANCE = 0.4, 0.01
LAYERS, HEADS, WIDTH, LENGTH, WINDOWS, VOCABULARY = 6, 6, 384, 256, 16, 8_000
RATE, CLIP = 1e-3, 1.0
STEPS, ROUNDS = 40, 3
QUICK_STEPS, QUICK_ROUNDS = 1, 1
TEXTBOOK, CAST, OURS = "transformers, fp32", "transformers, bf16", "transferlm"
SQUARES, REPEATS = (512, 1024, 2048), 5


def operations(length: float) -> float:
    """What training takes a token that attends to `length` tokens."""
    layers = LAYERS * (4 * WIDTH**2 + 2 * WIDTH * 4 * WIDTH) + VOCABULARY * WIDTH
    return 3 * (2 * layers + 4 * LAYERS * length * WIDTH)


def clock() -> float:
    """Seconds of the processor on one thread, of the wall on several."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = clock()
    work()
    return clock() - started


def peak() -> float:
    """Operations a second of the quickest product in bfloat16."""
    rows = WINDOWS * LENGTH
    sizes = [(side, side, side) for side in SQUARES]
    sizes += [(rows, WIDTH, 4 * WIDTH), (rows, 4 * WIDTH, WIDTH), (rows, WIDTH, 3 * WIDTH), (rows, WIDTH, VOCABULARY)]
    best = 0.0
    for count, inner, columns in sizes:
        left, right = (torch.randn(side, inner).to(torch.bfloat16) for side in (count, columns))
        out = torch.empty(count, columns, dtype=torch.bfloat16)
        seconds = min(timed(partial(torch.mm, left, right.t(), out=out)) for _ in range(REPEATS))
        best = max(best, 2 * count * inner * columns / seconds)
    return best


def textbook(model: CausalTransformer, reader: Any, steps: int, autocast: bool) -> float:
    """Train a copy in the plain loop, put what it learnt into `model`, and tell the seconds."""
    from transformers import GPT2Config, GPT2LMHeadModel

    assert model.tokenizer is not None
    end = model.tokenizer.end_id
    sizes: Any = {"vocab_size": VOCABULARY, "n_positions": LENGTH, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS}
    config = GPT2Config(**sizes, pad_token_id=end, bos_token_id=end, eos_token_id=end)
    network = GPT2LMHeadModel(config)
    network.load_state_dict(model.module.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0)
    batches = [np.stack([reader.stream[s : s + LENGTH + 1] for s in b.rows]) for b in reader.batches(0)[:steps]]
    network.train()
    started = clock()
    for batch in batches:
        ids = torch.from_numpy(batch.astype(np.int64))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            logits = network(input_ids=ids[:, :-1]).logits
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
    seconds = clock() - started
    model.module.load_state_dict(network.state_dict())
    return seconds


def ours(model: CausalTransformer, reader: Any, steps: int) -> float:
    """Train with the library's loop, and tell the seconds."""
    settings = Settings(1, RATE, 0.0, 0.0, "constant", CLIP, steps=steps)
    return timed(partial(fit, model.module, reader.batches, reader.loss, settings, tokens=reader.tokens))


def measure(
    name: str, start: CausalTransformer, parts: tuple[Corpus, Corpus], steps: int, seed: int
) -> dict[str, float]:
    """One loop in one round: tokens a second, the processor's peak beside it, and the loss on held-out text."""
    model = start.copy()
    reader = model.objective(parts[0], seed)
    before = peak()
    torch.manual_seed(seed)
    seconds = ours(model, reader, steps) if name == OURS else textbook(model, reader, steps, name == CAST)
    model.module.eval()
    with torch.inference_mode():
        loss = model.objective(parts[1]).mean_loss()
    speed = steps * WINDOWS * LENGTH / seconds
    return {"tokens a second": speed, "peak": max(before, peak()), "loss": loss}


def run(record: Record, parts: tuple[Corpus, Corpus], quick: bool) -> bool:
    """Print the table and the headline; whether the target was met."""
    steps, rounds = (QUICK_STEPS, QUICK_ROUNDS) if quick else (STEPS, ROUNDS)
    threads = torch.get_num_threads()
    tokenizer = BytePair(vocabulary_size=VOCABULARY)
    tokenizer.fit(parts[0])
    sizes: dict[str, Any] = {"layers": LAYERS, "heads": HEADS, "width": WIDTH, "max_length": LENGTH}
    start = CausalTransformer(**sizes, batch_size=WINDOWS, tokenizer=tokenizer).untrained(0)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (TEXTBOOK, CAST, OURS)}
    for turn in range(rounds):
        for name, cells in found.items():
            key = f"Transformer, {name}, {threads} threads, {steps} steps, round {turn + 1}"
            cells.append(record.cell(key, partial(measure, name, start, parts, steps, turn)))
    best = max(cell["peak"] for cells in found.values() for cell in cells)
    print(f"\nTransformer: {steps} steps of {WINDOWS} x {LENGTH} tokens, {rounds} rounds, {threads} threads")
    print(f"{'':24}{'tokens/s':>10}{'times':>8}{'of the peak':>13}{'held-out nats':>16}")
    speed = {name: statistics.median(cell["tokens a second"] for cell in cells) for name, cells in found.items()}
    loss = {name: statistics.mean(cell["loss"] for cell in cells) for name, cells in found.items()}
    for name in found:
        share = speed[name] * operations(LENGTH) / best
        print(f"{name:24}{speed[name]:>10,.0f}{speed[name] / speed[TEXTBOOK]:>8.2f}{share:>13.1%}{loss[name]:>16.4f}")
    share, rise = speed[OURS] * operations(LENGTH) / best, loss[OURS] / loss[TEXTBOOK] - 1
    masked = speed[OURS] * operations((LENGTH + 1) / 2) / best
    met = share >= SHARE and rise <= TOLERANCE
    print(
        f"{share:.1%} of the peak of {best / 1e9:,.0f} billion operations a second (target {SHARE:.0%}; {masked:.1%} if"
        " attention counts what the mask leaves), held-out loss"
        f" {rise:+.2%} after equal tokens (target at most {TOLERANCE:+.0%}): "
        + ("quick run, no result" if quick else "met" if met else "missed")
    )
    return met
