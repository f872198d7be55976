"""Which kind of cache suits a model: chosen by what the model can do, never by its family."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Self

from transferlm import catalog
from transferlm.errors import SettingError, alternatives
from transferlm.models._cache_kinds import COUNTS, STATES
from transferlm.models._causal import Context
from transferlm.models._wrapped import Wrapped
from transferlm.models.base import Causal, HiddenStates, Model, require
from transferlm.text.corpus import Corpus

__all__ = ["Cache", "cache_of"]


class Cache(Wrapped):
    """A model around another one that remembers what it just read, as that is likely to come again."""

    called: ClassVar[str]
    """What a person calls it."""

    @classmethod
    def of(cls, model: Model, **settings: Any) -> Self:
        """The model with a cache; it is kept as it is.

        Raises:
            UnsupportedError: It lacks what such a cache needs.
            SettingError: A setting makes no sense.
        """
        require(model, cls.inside_needs, cls.called)
        made = cls(**settings)
        made._model = model
        return made

    @abstractmethod
    def tune(self, texts: Corpus | Iterable[str], context: Context = "text") -> float:
        """Fit the cache to texts the model was not trained on, in place.

        Args:
            texts: Held-out texts.
            context: As in `token_scores`.

        Returns:
            Mean nats a token of these texts afterwards.

        Raises:
            DataError: There is no text, or nothing can be fitted to it.
        """


class _Kind(NamedTuple):
    needs: type
    family: str


_CACHES = {STATES: _Kind(HiddenStates, "neural_cache"), COUNTS: _Kind(Causal, "cached")}
"""What is remembered, what a model needs for it, and the family; what suits best stands first."""


def cache_of(model: Model, kind: str | None = None) -> Cache:
    """An independent model with a cache around this one; a cache of a cache is none, so one that is there is replaced.

    Args:
        model: A causal model.
        kind: `states` or `counts`; none takes what is there already, else the first that suits the model.

    Raises:
        SettingError: There is no such kind.
        UnsupportedError: It does not suit the model.
    """
    if kind is None and isinstance(model, Cache):
        return model.copy()
    inside = model.model if isinstance(model, Cache) else model
    if kind is None:
        kind = next((name for name, each in _CACHES.items() if isinstance(inside, each.needs)), COUNTS)
    if kind not in _CACHES:
        raise SettingError(f"no cache is called {kind!r}: {alternatives(kind, _CACHES)}")
    family: Any = catalog.find("models", _CACHES[kind].family)
    made: Cache = model.copy() if isinstance(model, family) else family.of(inside)
    return made
