"""Where to compute and in what precision: a GPU if there is one, bfloat16 wherever the hardware has it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal

import torch

from transferlm.errors import SettingError
from transferlm.neural.processes import processes

__all__ = ["Precision", "autocast", "best_device", "has_bfloat16", "in_bfloat16"]

Precision = Literal["auto", "bf16", "fp32"]


@cache
def best_device() -> torch.device:
    """The first GPU that `CUDA_VISIBLE_DEVICES` shows, else the processor; of several processes, each has its own."""
    return processes().device or torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def has_bfloat16(device_type: str) -> bool:
    """Whether the device multiplies bfloat16 natively; elsewhere it would be emulated, slower than fp32."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(flag, False) for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(device: torch.device, precision: Precision = "auto") -> AbstractContextManager[object]:
    """The context to run forward passes in.

    Args:
        device: Where the module lies.
        precision: `auto` is bfloat16 where the hardware multiplies it natively, else fp32; master weights and the
            optimizer's state stay fp32 either way (Micikevicius et al. 2018; Kalamkar et al. 2019 for bfloat16).

    Raises:
        SettingError: `precision` is none of the three.
    """
    rounds = in_bfloat16(device, precision)
    return torch.autocast(device.type, dtype=torch.bfloat16) if rounds else nullcontext()


def in_bfloat16(device: torch.device, precision: Precision = "auto") -> bool:
    """Whether `autocast` multiplies in bfloat16 there.

    Raises:
        SettingError: `precision` is none of the three.
    """
    if precision not in ("auto", "bf16", "fp32"):
        raise SettingError(f"precision {precision!r}: choose auto, bf16 or fp32")
    return precision == "bf16" or (precision == "auto" and has_bfloat16(device.type))
