"""Models whose weights a training loop moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from transferlm.models._contract.causal import Causal

if TYPE_CHECKING:
    import torch

    from transferlm.neural.batching import Batch
    from transferlm.text.corpus import Corpus
    from transferlm.text.tokenizers.base import Tokens

__all__ = ["GradientTrained", "Objective", "ReadsOn", "SelfSupervised"]


class GradientTrained(ABC):
    """A model whose weights a training loop can move: its module, its batches, its layers."""

    module: torch.nn.Module
    tokenizer: Any
    """How texts become tokens (`text/tokenizers/`)."""
    max_length: int
    """Tokens of a text that are read; what is longer is cut, and said."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids and character offsets, cut at the maximum length (`Tokens.cut` says where)."""

    @abstractmethod
    def text_states(self, batch: Batch) -> torch.Tensor:
        """One vector a text, with gradients: shape (texts, width). `encode` is this without them."""

    @property
    @abstractmethod
    def embedding(self) -> torch.nn.Embedding:
        """The table whose rows are the tokens' vectors (so that a loop may move only the rows it uses)."""

    @property
    @abstractmethod
    def pad_id(self) -> int:
        """The token id that fills short rows of a batch."""

    @abstractmethod
    def layer_groups(self) -> list[list[torch.nn.Parameter]]:
        """The parameters that `text_states` uses, from the input up: embeddings first, the top layer last."""


class ReadsOn(Causal, GradientTrained):
    """A causal model trained by gradients that reads on from where it stopped: what dynamic evaluation needs."""

    @abstractmethod
    def read_on(
        self, ids: np.ndarray, state: tuple[torch.Tensor, ...] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Read tokens, nothing dropped, in fp32.

        Args:
            ids: Token ids, shape (tokens,); the first of all is the end token, which opens every text.
            state: What the tokens before left; None where there are none.

        Returns:
            Log-probabilities of the token after each, with gradients where they are asked for: shape (tokens,
            vocabulary); and the state to go on from, without gradients.
        """


class Objective(Protocol):
    """A corpus as the training loop wants it: batches, their loss, and what is carried between them.

    Attributes:
        module: All that the loss trains: the body, and a head where the loss has one.
        learning_rate: A peak step size that suits further training on it.
    """

    module: torch.nn.Module
    learning_rate: float

    def batches(self, epoch: int) -> Sequence[Any]:
        """That epoch's batches: every epoch equally many, the same ones whenever asked."""

    def tokens(self, batch: Any) -> int:
        """Tokens of a batch, for progress."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Mean nats a token that is predicted."""

    def share(self, process: int, processes: int) -> None:
        """From here on `loss` is that of a share of each batch, scaled: its mean over all processes is the batch's.

        Raises:
            SettingError: A batch is too small for each process to have a part of it.
        """

    def mean_loss(self) -> float:
        """Mean nats a token over the whole corpus, the same number whenever the weights are."""

    def carried(self) -> dict[str, torch.Tensor]:
        """State that one batch leaves to the next, for a checkpoint."""

    def carry(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""


class SelfSupervised(GradientTrained):
    """A gradient-trained model that learns from plain text: it has a loss that needs no labels."""

    @abstractmethod
    def objective(self, corpus: Corpus, seed: int = 0, batch_size: int | None = None) -> Objective:
        """The model's own loss over a corpus.

        Args:
            corpus: Texts, tokenised once into the cache folder and never held in memory.
            seed: Decides the order of texts and what is hidden in them.
            batch_size: Texts (or lanes of a stream) a batch; none takes what suits the family.

        Raises:
            UnsupportedError: The head that the loss needs is missing (`lacks_head`).
            DataError: The corpus has no text.
        """

    @property
    def lacks_head(self) -> bool:
        """Whether the weights came without the head that the loss needs, so that there is nothing to measure."""
        return False

    def add_head(self, seed: int = 0) -> Sequence[torch.nn.Parameter]:  # noqa: ARG002
        """Draw the missing head and return its parameters: they say nothing until they are trained."""
        return ()
