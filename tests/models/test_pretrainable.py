"""What holds for every family that is pretrained on text: without weights it says so, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import transferlm as tl
from transferlm.errors import DataError


@pytest.mark.parametrize("family", [tl.models.Recurrent, tl.models.CausalTransformer, tl.models.MaskedTransformer])
@pytest.mark.parametrize(
    "asked",
    [
        lambda model: model.encode(["a film"]),
        lambda model: model.layer_groups(),
        lambda model: model.embedding,
        lambda model: model.objective(tl.Corpus(["a film"])),
        lambda model: model.vocabulary,
    ],
)
def test_a_tokenizer_alone_is_no_model(family: Callable[..., Any], asked: Callable[[Any], Any]) -> None:
    model = family(tokenizer=tl.tokenizers.Word().fit(["a film", "a room"]))
    with pytest.raises(DataError, match="has seen no text yet"):
        asked(model)
