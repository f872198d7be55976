"""Transformer bodies of the `transformers` library: opened safely, quietly, and with attention that trains fast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from transferlm import storage
from transferlm.errors import ModelFolderError, TransferLMError
from transferlm.models._foreign_folder import SHARDS, refuse_code, refuse_giants, refuse_leftover_layers
from transferlm.neural.attention import attention

__all__ = [
    "attend_by",
    "configuration",
    "expect_no_mask",
    "first_line",
    "layer_stack",
    "linear_layers",
    "one_kernel_gelu",
    "opened",
    "silent",
]

_ATTENTION = "transferlm"


def configuration(folder: storage.Folder) -> Any:
    """What `config.json` says, as an object of `transformers`.

    Raises:
        ModelFolderError: It is damaged, unknown, or asks to run code of its own.
    """
    from transformers import AutoConfig

    refuse_code(folder.json("config.json"), folder.path)
    with _explained(folder.path):
        return AutoConfig.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    """What a folder makes `transformers` raise, and that may be anything, becomes one error that names the folder."""
    try:
        yield
    except (TransferLMError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the library raises what its parts do
        raise ModelFolderError(f"{place}: {first_line(error)}") from None


def opened(folder: storage.Folder, auto: Any, config: Any, optional: str = "", **settings: Any) -> nn.Module:
    """The architecture that `auto` makes of the configuration, with the folder's weights, in float32.

    Args:
        folder: Holds `model.safetensors`, or its shards and their index.
        auto: A class of `transformers` that opens models (`AutoModel`).
        config: What `configuration` read.
        optional: Tensors with this in their names may be missing.
        settings: For the model's constructor.

    Raises:
        ModelFolderError: The weights are missing, damaged, a pickle, or not those that the configuration describes.
    """
    if not folder.has(SHARDS):
        folder.weights()
    with _explained(folder.path), silent():
        refuse_giants(folder, auto, config, **settings)
        module, report = auto.from_pretrained(
            folder.path,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **settings,
        )
    wrong = sorted(str(key) for key in report.get("mismatched_keys", ()))
    missing = sorted(key for key in map(str, report.get("missing_keys", ())) if not optional or optional not in key)
    if wrong or missing:
        what = f"tensor {wrong[0]} has another shape" if wrong else f"tensor {missing[0]} is missing"
        raise ModelFolderError(f"{folder.path}: {what} than config.json says: the folder is damaged")
    refuse_leftover_layers(map(str, report.get("unexpected_keys", ())), config, folder.path)
    found: nn.Module = module
    return found


def expect_no_mask(module: Any) -> None:
    """Have a causal model take rows without a mask in silence: padded on the right, no token sees the padding."""
    for part in (module, module.base_model):
        part.warn_if_padding_and_no_attention_mask = _unconcerned


def _unconcerned(*_: object) -> None:
    return


def layer_stack(body: nn.Module) -> nn.ModuleList:
    """The layers of a body, from the input up: the longest list of modules in it."""
    return max((part for part in body.modules() if isinstance(part, nn.ModuleList)), key=len)


def linear_layers(module: nn.Module, body: nn.Module) -> dict[str, nn.Module]:
    """The matrices of a body's layers by their names in `module`."""
    inside = {id(part) for part in layer_stack(body).modules()}
    return {
        name: part
        for name, part in module.named_modules()
        if id(part) in inside and (type(part) is nn.Linear or type(part).__name__ == "Conv1D")
    }


def one_kernel_gelu(module: nn.Module) -> None:
    """Compute GPT-2's GELU by tanh as one operation, where `transformers` writes its formula in eight."""
    for name, part in module.named_children():
        if type(part).__name__ == "NewGELUActivation":
            setattr(module, name, nn.GELU(approximate="tanh"))
        else:
            one_kernel_gelu(part)


def attend_by(module: Any) -> None:
    """Have a body that would use torch's attention use ours where training makes torch's slow.

    A body with attention of its own (Falcon's) is left alone: under another's name it would do without a mask.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(
        layer: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor, None]:
        trains = dropout or (query.requires_grad and torch.is_autocast_enabled("cpu"))
        if not trains or query.device.type != "cpu" or others.get("position_bias") is not None:
            return sdpa_attention_forward(
                layer, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
            )
        shared: int = getattr(layer, "num_key_value_groups", 1)
        causal = attention_mask is None and getattr(layer, "is_causal", True)
        key, value = repeat_kv(key, shared), repeat_kv(value, shared)
        return attention(query, key, value, attention_mask, dropout, scaling, causal).transpose(1, 2), None

    if module.config._attn_implementation == "sdpa" and module._supports_attention_backend:
        AttentionInterface.register(_ATTENTION, attend)
        AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
        module.config._attn_implementation = _ATTENTION


@contextmanager
def silent() -> Iterator[None]:
    """Hush `transformers`' bars and reports: what matters in them becomes one line of ours."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """What an error says before it goes into detail: a line that ends with a colon takes the next one with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 1 + lines[0].endswith(":")])
