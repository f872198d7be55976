"""Small back-off models with random numbers, and what they give to texts by the definition of backing off."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD, UNKNOWN

Gram = tuple[int, ...]
UNLISTED = -9.5
TEXTS = st.lists(st.lists(st.integers(UNKNOWN, FIRST_WORD + 4), max_size=9), min_size=1, max_size=6)


def flat(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    rows = [[BEGIN, *text, END] for text in texts]
    return np.array([symbol for row in rows for symbol in row], np.uint32), np.cumsum(
        [0, *map(len, rows)], dtype=np.int64
    )


def grams_of(texts: list[list[int]], order: int) -> list[list[Gram]]:
    """The n-grams of each order that occur, sorted."""
    rows = [[BEGIN, *text, END] for text in texts]
    return [
        sorted({tuple(row[i : i + k]) for row in rows for i in range(len(row) - k + 1)}) for k in range(1, order + 1)
    ]


def a_model(texts: list[list[int]], order: int, seed: int = 0, proper: bool = False) -> BackOff:
    """A model with random numbers; a proper one has distributions that sum to one."""
    levels, rng = grams_of(texts, order), np.random.default_rng(seed)
    log_probs: list[dict[Gram, float]] = []
    back_offs: list[dict[Gram, float]] = [dict.fromkeys(level, 0.0) for level in levels[:-1]]
    for k, level in enumerate(levels):
        log_probs.append({g: float(np.log(rng.uniform(0.01, 0.9))) for g in level})
        if not k:
            log_probs[0][(BEGIN,)] = -np.inf
        if k and not proper:
            back_offs[k - 1] |= {g[:-1]: float(rng.normal()) for g in level}
    unknown = UNLISTED
    if proper:
        total = sum(np.exp(list(log_probs[0].values()))) + (0 if (UNKNOWN,) in log_probs[0] else np.exp(unknown))
        log_probs[0] = {g: p - np.log(total) for g, p in log_probs[0].items()}
        unknown -= np.log(total)
        for k in range(1, order):
            for context in {g[:-1] for g in levels[k]}:
                children = [g for g in levels[k] if g[:-1] == context]
                kept = rng.dirichlet(np.ones(len(children) + 1))
                log_probs[k] |= dict(zip(children, np.log(kept[1:]).tolist(), strict=True))
                lower = sum(np.exp(expected(log_probs, back_offs, unknown, g[1:-1], g[-1])[0]) for g in children)
                back_offs[k - 1][context] = float(np.log(kept[0] / (1 - lower))) if lower < 1 - 1e-9 else -np.inf
                if lower >= 1 - 1e-9:
                    log_probs[k] |= {g: log_probs[k][g] - float(np.log(1 - kept[0])) for g in children}
    return back_off_of(levels, log_probs, back_offs, unknown)


def back_off_of(
    levels: list[list[Gram]], log_probs: list[dict[Gram, float]], back_offs: list[dict[Gram, float]], unknown: float
) -> BackOff:
    places = [{(): 0}, *({g: i for i, g in enumerate(level)} for level in levels)]
    parents = [np.array([places[k][g[:-1]] for g in level], np.uint32) for k, level in enumerate(levels)]
    return BackOff(
        symbols=[np.array([g[-1] for g in level], np.uint32) for level in levels],
        parents=parents,
        first=[
            np.searchsorted(p, np.arange(len(level) + 1)).astype(np.uint32)
            for level, p in zip(levels, parents[1:], strict=False)
        ],
        suffixes=[np.array([places[k][g[1:]] for g in level], np.uint32) for k, level in enumerate(levels)],
        log_probs=[np.array([p[g] for g in level], np.float32) for level, p in zip(levels, log_probs, strict=True)],
        back_offs=[np.array([b[g] for g in level], np.float32) for level, b in zip(levels, back_offs, strict=False)],
        unknown=unknown,
    )


def tables_of(model: BackOff) -> tuple[list[dict[Gram, float]], list[dict[Gram, float]]]:
    """The model's numbers by n-gram."""
    grams: list[list[Gram]] = [[()]]
    for symbols, parents in zip(model.symbols, model.parents, strict=True):
        grams.append([(*grams[-1][p], s) for p, s in zip(parents.tolist(), symbols.tolist(), strict=True)])
    log_probs = [dict(zip(g, p.tolist(), strict=True)) for g, p in zip(grams[1:], model.log_probs, strict=True)]
    return log_probs, [dict(zip(g, b.tolist(), strict=True)) for g, b in zip(grams[1:], model.back_offs, strict=False)]


def expected(
    log_probs: list[dict[Gram, float]], back_offs: list[dict[Gram, float]], unknown: float, context: Gram, symbol: int
) -> tuple[float, int]:
    """Log-probability and order of match, by the definition of backing off."""
    gram = (*context, symbol)
    if len(gram) <= len(log_probs) and gram in log_probs[len(gram) - 1]:
        return log_probs[len(gram) - 1][gram], len(gram)
    if not context:
        return unknown, 1
    weight = back_offs[len(context) - 1].get(context, 0.0) if len(context) < len(log_probs) else 0.0
    shorter, order = expected(log_probs, back_offs, unknown, context[1:], symbol)
    return weight + shorter, order


def expected_scores(model: BackOff, texts: list[list[int]]) -> tuple[list[float], list[int]]:
    log_probs, back_offs = tables_of(model)
    listed = {g[0] for g in log_probs[0]}
    found = []
    for text in texts:
        row = tuple(s if s in listed else UNKNOWN for s in [BEGIN, *text, END])
        found.append((0.0, 0))
        contexts = [row[max(0, i - model.order + 1) : i] for i in range(1, len(row))]
        found += [expected(log_probs, back_offs, model.unknown, c, s) for c, s in zip(contexts, row[1:], strict=True)]
    return [f[0] for f in found], [f[1] for f in found]
