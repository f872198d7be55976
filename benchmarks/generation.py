"""Speed of a causal Transformer's texts and scores, beside `transformers`' own `generate` and a plain scoring loop.

    python benchmarks/generation.py [--quick]

Two Llama shapes with random weights, in fp32 and on one thread, timed by the processor's clock: a small one (4 layers
of width 256, 8,000 tokens in the vocabulary) and one of SmolLM2-135M's sizes (30 layers of width 576, 9 heads that
share 3 keys, 49,152 tokens). Eight texts of 128 tokens follow one prompt, each token the most probable one; the texts
of both have to be the same. Scores are those of 32 texts of 20 to 200 characters: the plain loop reads them one by
one, and its better setting is batches of 8 of like length, padded. Rounds alternate. Exit code 1 when ours takes longer
than `generate` or than the better loop, or when they differ.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from record import Record

from transferlm.models.causal_transformer import CausalTransformer
from transferlm.text.tokenizers.byte_pair import BytePair

TEXTS, LENGTH, ROUNDS = 8, 128, 5
QUICK_LENGTH, QUICK_ROUNDS = 4, 1
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 4, "heads": 4, "width": 256, "vocabulary": 8_000, "inner": 688, "keys": 4},
    "as SmolLM2-135M": {"layers": 30, "heads": 9, "width": 576, "vocabulary": 49_152, "inner": 1536, "keys": 3},
}
PROMPT = "a word of one and a word of two"
SCORED, SHORTEST, LONGEST, BATCH = 32, 20, 200, 8
TOLERANCE = 1e-4
"""Nats by which two scores of a token may differ."""


def made(layers: int, heads: int, width: int, vocabulary: int, inner: int, keys: int) -> CausalTransformer:
    """A model with random weights; most rows of its output stand for no token of its small tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = BytePair(vocabulary_size=300)
    tokenizer.fit([PROMPT] * 20)
    model = CausalTransformer(shape="llama", layers=layers, heads=heads, width=width, max_length=512)
    model.tokenizer = tokenizer
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model.module = LlamaForCausalLM(config)
    return model


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long the processor works on it, and what it gives."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def generated(model: CausalTransformer, length: int) -> list[list[int]]:
    """Token ids of the texts by `generate`, with the same tokens barred as ours."""
    start = model._texts(PROMPT, 1)
    given = torch.tensor(start.ids * TEXTS)
    options = {"max_new_tokens": length, "do_sample": False, "pad_token_id": model.pad_id, "eos_token_id": model.pad_id}
    made = model.module.generate(
        given, attention_mask=torch.ones_like(given), suppress_tokens=start.barred.tolist(), **options
    )
    found: list[list[int]] = made[:, given.shape[1] :].tolist()
    return found


def drawing(model: CausalTransformer, length: int, rounds: int) -> dict[str, float]:
    """Median seconds of both, whether the texts are the same, and how many tokens a text has."""
    times: dict[str, list[float]] = {"ours": [], "transformers": []}
    for _ in range(rounds):
        spent, texts = seconds(partial(model.sample, PROMPT, TEXTS, temperature=0, length=length))
        times["ours"].append(spent)
        spent, ids = seconds(partial(generated, model, length))
        times["transformers"].append(spent)
    tokenizer, start = model._reader(), model._texts(PROMPT, 1).ids[0]
    wanted = [PROMPT + tokenizer.decode([*start, *row])[len(tokenizer.decode(start)) :] for row in ids]
    found = {name: statistics.median(spent) for name, spent in times.items()}
    return {**found, "same": float(texts == wanted), "tokens": float(len(ids[0]))}


@torch.inference_mode()
def looped(model: CausalTransformer, rows: list[list[int]], batch: int) -> np.ndarray:
    """Each text's log-probability by `transformers` alone: in batches of like length, padded on the right."""
    totals = np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    for some in (order[first : first + batch] for first in range(0, len(rows), batch)):
        longest = max(len(rows[row]) for row in some)
        ids = torch.tensor([rows[row] + [model.pad_id] * (longest - len(rows[row])) for row in some])
        inside = torch.tensor([[place < len(rows[row]) - 1 for place in range(longest - 1)] for row in some])
        logits = model.module(input_ids=ids, attention_mask=(torch.arange(longest) < inside.sum(1)[:, None] + 1).long())
        logs = logits.logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        totals[some] = (logs * inside).sum(1).numpy()
    return totals


def scoring(model: CausalTransformer, count: int, rounds: int) -> dict[str, float]:
    """Median seconds of all three, and the largest difference between scores in nats a token."""
    draw, tokenizer = np.random.default_rng(0), model._reader()
    texts = ["".join(draw.choice(list("abcdefgh "), draw.integers(SHORTEST, LONGEST))).strip() for _ in range(count)]
    opening = model._opening().tolist()
    rows = [[*opening, *t.ids.tolist(), tokenizer.end_id] for t in map(tokenizer.bare, tokenizer.encode(texts))]
    ways = {
        "ours": partial(model.log_probs, texts),
        "one by one": partial(looped, model, rows, 1),
        "batches": partial(looped, model, rows, BATCH),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    scores: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            spent, scores[name] = seconds(way)
            times[name].append(spent)
    lengths = np.array([len(row) - 1 for row in rows])
    apart = max(float((np.abs(scores[name] - scores["ours"]) / lengths).max()) for name in ways)
    return {
        **{name: statistics.median(spent) for name, spent in times.items()},
        "apart": apart,
        "tokens": float(lengths.sum()),
    }


def main() -> int:
    """Print the tables and the headline; the exit code says whether ours is as quick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few tokens in one round: the same code, no result")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    length, rounds, scored = (QUICK_LENGTH, QUICK_ROUNDS, BATCH) if quick else (LENGTH, ROUNDS, SCORED)
    record, ratios, right = Record("generation", quick), [], True
    print(f"{record.facts['machine']}, one thread")
    for name, sizes in SHAPES.items():
        model = made(**sizes)
        text = record.cell(f"{name}, {TEXTS} x {length} tokens", partial(drawing, model, length, rounds))
        score = record.cell(f"{name}, {scored} scores", partial(scoring, model, scored, rounds))
        print(f"\n{name}: {TEXTS} texts of {text['tokens']:.0f} tokens, then scores of {score['tokens']:,.0f} tokens")
        for way in ("ours", "transformers"):
            print(f"  {'text, ' + way:24}{TEXTS * text['tokens'] / text[way]:>10,.0f} tokens/s")
        for way in ("ours", "one by one", "batches"):
            print(f"  {'scores, ' + way:24}{score['tokens'] / score[way]:>10,.0f} tokens/s")
        ratios += [text["transformers"] / text["ours"], min(score["one by one"], score["batches"]) / score["ours"]]
        right &= text["same"] == 1 and score["apart"] < TOLERANCE
    met = min(ratios) >= 1 and right
    told = "quick run, no result" if quick else "met" if met else "missed"
    print(
        f"\ntext {ratios[0]:.2f} and {ratios[2]:.2f} times as fast as `generate`, scores {ratios[1]:.2f} and"
        f" {ratios[3]:.2f} times as the better loop (target 1); texts {'' if right else 'not '}the same: {told}"
    )
    return 0 if met or quick else 1


if __name__ == "__main__":
    sys.exit(main())
