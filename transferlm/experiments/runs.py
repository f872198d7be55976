"""The cells of one pairing: transferred, tested and kept, with encodings shared where they stay the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from transferlm import catalog, storage
from transferlm.experiments.cell_store import CellStore, key_of
from transferlm.experiments.cells import Cell
from transferlm.experiments.pairings import Pairing
from transferlm.experiments.remembered import Remembered
from transferlm.measure.peak_memory import PeakMemory
from transferlm.models.base import Encoder, FromScratch, GradientTrained, Model, Trainable
from transferlm.tasks.base import Examples
from transferlm.text.framing import Text, strings_of

__all__ = ["run"]


def run(
    arm: Pairing, pool: Examples, test: Examples, draws: Mapping[tuple[int, int], np.ndarray], store: CellStore
) -> Iterator[Cell]:
    """The pairing's cells, finished ones from the store; encodings are shared where the strategy freezes the model."""
    fingerprint = arm.model.fingerprint
    keys = {cell: _key(arm, fingerprint, pool, test, draws[cell], cell[1]) for cell in draws}
    found = {cell: store.get(key) for cell, key in keys.items()}
    shared: dict[int | None, Model] = {}
    for (size, seed), key in keys.items():
        cell = found[size, seed]
        if cell is None:
            group = seed if arm.from_scratch else None
            if group not in shared:
                shared.clear()
                drawn = [rows for place, rows in draws.items() if group in (None, place[1])]
                texts = [pool.texts[row] for rows in drawn for row in rows]
                shared[group] = _prepared(arm, [*texts, *test.texts], seed, pool.task.reads_whole)
            cell = _cell(arm, shared[group], pool.subset(draws[size, seed]), test, (size, seed))
            store.put(key, cell)
        yield cell


def _prepared(arm: Pairing, texts: Sequence[Text], seed: int, whole: bool) -> Model:
    """The model that cells start from: drawn anew for from scratch, remembering its encodings when frozen."""
    model = arm.model.untrained(seed) if arm.from_scratch and isinstance(arm.model, FromScratch) else arm.model
    learns = isinstance(model, Trainable) and not isinstance(model, GradientTrained)
    if arm.strategy.frozen and isinstance(model, Encoder) and not learns:
        return Remembered(model, [part for text in texts for part in strings_of(text)], whole)
    return model


def _cell(arm: Pairing, model: Model, examples: Examples, test: Examples, place: tuple[int, int]) -> Cell:
    size, seed = place
    before = model.seconds_saved if isinstance(model, Remembered) else 0.0
    started = time.perf_counter()
    with PeakMemory() as memory:
        made = arm.strategy.transfer(model, examples, seed)
        trained = time.perf_counter()
        scores = made.score(test)
    shared = model.seconds_saved - before if isinstance(model, Remembered) else 0.0
    finished = time.perf_counter()
    return Cell(
        source=arm.source,
        strategy=arm.name,
        labels=size,
        seed=seed,
        scores=scores.metrics,
        seconds=finished - started + shared,
        peak_bytes=memory.bytes,
        targets=test.hash,
        contributions=made.task.contributions(test.targets, scores.predictions, test.labels),
        per_class=test.strata is not None,
        extras={
            "share_read": scores.share_read,
            "training_rows": len(examples),
            "training_hash": examples.hash,
            "training_seconds": trained - started,
        },
    )


def _key(arm: Pairing, fingerprint: str, pool: Examples, test: Examples, rows: np.ndarray, seed: int) -> str:
    return key_of(
        source=arm.source,
        model=fingerprint,
        from_scratch=arm.from_scratch,
        strategy=arm.name,
        method=catalog.name_of(arm.strategy),
        hyper_parameters=arm.strategy.hyper_parameters(),
        task=repr(pool.task),
        train=pool.subset(rows).hash,
        labels=list(pool.labels),
        test=test.hash,
        seed=seed,
        versions=storage.versions(),
    )
