"""Where to compute and in what precision."""

from __future__ import annotations

import pytest
import torch

from transferlm.errors import SettingError
from transferlm.neural import precision
from transferlm.neural.precision import Precision, autocast

CPU = torch.device("cpu")


def kind_of_product(wanted: Precision) -> torch.dtype:
    with autocast(CPU, wanted):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_precision_is_what_was_asked_for() -> None:
    assert kind_of_product("bf16") == torch.bfloat16
    assert kind_of_product("fp32") == torch.float32


@pytest.mark.parametrize(("has", "found"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_follows_the_hardware(has: bool, found: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device_type: has)
    assert kind_of_product("auto") == found


def test_another_word_is_refused() -> None:
    with pytest.raises(SettingError, match="precision 'fp16': choose auto, bf16 or fp32"):
        autocast(CPU, "fp16")  # type: ignore[arg-type]


def test_the_answer_about_this_processor_is_a_plain_one() -> None:
    assert precision.has_bfloat16("cpu") in (True, False)
