"""A missing capability is told with the families that have it."""

from __future__ import annotations

import pytest

from transferlm import catalog
from transferlm.errors import UnsupportedError
from transferlm.models.base import Causal, Encoder, GradientTrained, Trainable, require
from transferlm.models.tfidf import TfIdf


def test_what_is_there_passes() -> None:
    require(TfIdf(), (Encoder, Trainable), "anything")


def test_the_message_names_method_family_and_alternatives() -> None:
    with pytest.raises(UnsupportedError) as error:
        require(TfIdf(), (Encoder, GradientTrained), "fine_tuning")
    able, told = str(error.value).rsplit(": ", 1)[1].split(", "), str(error.value)
    assert "fine_tuning needs a model that is trained by gradients, which tfidf is not" in told
    assert set(able) == {
        name for name in catalog.entries("models") if issubclass(catalog.find("models", name), GradientTrained)
    }


def test_several_missing_capabilities_are_all_told() -> None:
    with pytest.raises(UnsupportedError, match="a causal language model and trained by gradients"):
        require(TfIdf(), (Causal, GradientTrained), "generate")
