"""Seeds: repeatable, told apart by name, and set in every library that is loaded."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np

from transferlm.seeding import derive, seed_everything


def test_derived_seeds_repeat_and_differ() -> None:
    assert derive(3, "draw", 8) == derive(3, "draw", 8)
    drawn = {derive(seed, name, size) for seed in range(50) for name in ("draw", "head") for size in (8, 64)}
    assert len(drawn) == 200
    assert all(0 <= seed < 2**31 for seed in drawn)


def test_names_do_not_run_together() -> None:
    assert derive(0, "ab", "c") != derive(0, "a", "bc")
    assert derive(0, 1) != derive(0, "1")


def test_derived_seeds_do_not_depend_on_the_process() -> None:
    code = "from transferlm.seeding import derive; print(derive(7, 'order', 2))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) == derive(7, "order", 2)


def test_every_generator_starts_anew() -> None:
    import torch

    def drawn() -> tuple[float, float, float]:
        seed_everything(2**33 + 1)
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    assert drawn() == drawn()


def test_torch_is_never_imported_by_seeding() -> None:
    code = (
        "import sys; from transferlm.seeding import seed_everything; seed_everything(0); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
