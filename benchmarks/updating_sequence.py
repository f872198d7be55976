"""A sequence of updates: what is left of the first texts, and how far the probabilities can be taken at their word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import Record
from shifts import SHIFTS, cut, drawn
from updating_cells import Setup, in_blocks, made

from transferlm.measure.calibration import expected_calibration_error
from transferlm.measure.intervals import paired_gain
from transferlm.models.posterior_average import PosteriorAverage

__all__ = ["sequence"]

FIRST = "news to encyclopedia"
THEN = (FIRST, "addresses", "headlines")
METHODS = ("continued_pretraining", "elastic_weight_consolidation", "online_bayes")
AVERAGED = "online_bayes, averaged"


def sequence(data: Path, record: Record, setup: Setup, seeds: Sequence[int]) -> None:
    """News, then Wikipedia, addresses and headlines, a third of the tokens each; prints what is left of each at the
    end, and the calibration error of next tokens over all four.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (*METHODS, AVERAGED)}
    for seed in seeds:
        for method in METHODS:
            key = f"sequence | {method} | seed {seed}"
            found = record.cell(key, partial(measure, data, setup, method, seed))
            for name, row in found.items():
                rows[name].append(row)
    print(f"\nnews, then {', '.join(THEN)}: after the last update, {len(seeds)} seed(s)")
    print(f"{'':30}{'rise of the first three':>26}{'all four, bits/byte':>24}{'calibration error':>20}")
    for name, own in rows.items():
        rise = paired_gain(np.array([row["after"] for row in own]), np.array([row["best"] for row in own]))
        told = f"{rise.mean:+.3f} [{rise.low:+.3f}, {rise.high:+.3f}]"
        bits, errors = (np.array([row[figure] for row in own]) for figure in ("bits", "error"))
        print(f"{name:30}{told:>26}{bits.mean():>24.3f}{errors.mean():>13.4f} +- {errors.std(ddof=1):.4f}")


def measure(data: Path, setup: Setup, method: str, seed: int) -> dict[str, dict[str, Any]]:
    """Three updates by one method; for online Bayes with averaged predictions as well.

    Of the test texts the odd ones fit the spread of the average, the even ones are scored.
    """
    shifts = [SHIFTS[name](data) for name in THEN]
    old_tested, new_tested = setup.tested
    texts = [shifts[0].old_test[:old_tested], *(shift.new_test[0][:new_tested] for shift in shifts)]
    scored, fitted = [part[::2] for part in texts], [text for part in texts for text in part[1::2][:40]]
    old = shifts[0].old[: setup.pretrained_on]
    model = setup.model(old)
    way = made(method, setup.course, old, model)
    known = drawn(old, setup.known, model.tokenizer)
    best = [in_blocks(model, scored[0])]
    for place, shift in enumerate(shifts):
        part = cut([text for month in shift.new for text in month], setup.tokens // 3, model.tokenizer)
        model = way.update(model, part, known, seed)
        best.append(in_blocks(model, scored[place + 1]))
    found = {method: judged(model, [model], scored, best)}
    if method == "online_bayes":
        averaged = PosteriorAverage.of(model)
        averaged.tune(fitted, "text")
        found[AVERAGED] = {**judged(averaged, averaged.drawn(), scored, best), "spread": averaged.spread}
    return found


def judged(
    model: Any, members: Sequence[Any], texts: Sequence[list[str]], best: Sequence[list[float]]
) -> dict[str, Any]:
    """Bits per byte now and when each text had just been learnt, and the calibration error over all."""
    now = [in_blocks(model, part) for part in texts]
    tables = [distributions(members, text) for part in texts for text in part[:20]]
    told, true = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    error = expected_calibration_error(told, true)
    return {
        "after": [bits for part in now[:-1] for bits in part],
        "best": [bits for part in best[:-1] for bits in part],
        "bits": float(np.mean([np.mean(part) for part in now])),
        "error": error,
    }


def distributions(members: Sequence[Any], text: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each next token, float64 (tokens, vocabulary), as the models have them on average; and which
    came.
    """
    tokenizer = members[0].tokenizer
    (tokens,) = tokenizer.encode_bare([text])
    ids = np.array([tokenizer.end_id, *tokens.ids, tokenizer.end_id])
    each = [model.read_on(ids[:-1]).log_probs.detach().exp().double().numpy() for model in members]
    return np.mean(each, axis=0), ids[1:]
