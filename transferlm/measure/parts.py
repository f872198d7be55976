"""What an update is measured on: parts kept aside, what is measured of a model there, and how that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from transferlm.models.base import Model
from transferlm.text.corpus import Corpus

__all__ = ["Changed", "Measured", "Part"]


class Measured(Protocol):
    """What was measured of a model on a part."""

    @property
    def known(self) -> bool:
        """Whether a change from it can be told as a share."""

    def figures(self) -> Mapping[str, float | None]:
        """Name -> figure for a lineage, the loss among them; None where infinite or not there."""


class Changed(Protocol):
    """What was measured before and after."""

    @property
    def before(self) -> Any:
        """What was measured before."""

    @property
    def after(self) -> Any:
        """What was measured after."""

    @property
    def rise(self) -> float:
        """By which share the model became worse: 0.02 is 2%; negative where it became better."""

    @property
    def gain(self) -> float | None:
        """How much better it became, in the figure's own units; None where that is not known."""

    def told(self) -> str:
        """The relative change in a few signs."""

    def worse(self) -> str:
        """How much worse it became, as a refusal says it."""

    def as_json(self) -> dict[str, Any]:
        """`before` and `after`."""


class Part(Protocol):
    """Texts or examples of which some are kept aside, to be measured on and never trained on."""

    @property
    def kind(self) -> str:
        """`text` or `examples`."""

    @property
    def train(self) -> Corpus | None:
        """The rest, for training; None where there is none."""

    @property
    def held(self) -> bool:
        """Whether anything could be kept aside."""

    def measured(self, model: Model) -> Measured | None:
        """What the model does on it; None where that can't be measured."""

    def change(self, before: Any, after: Any) -> Changed | str:
        """What changed, or why that can't be told."""

    def unmeasured(self) -> str:
        """Why nothing could be measured."""

    def unknown(self) -> str:
        """Why what was measured can't be compared with."""

    def described(self) -> dict[str, Any]:
        """For a lineage."""
