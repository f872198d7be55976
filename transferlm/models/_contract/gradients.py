"""Models whose weights a training loop moves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from transferlm.models._contract.causal import HiddenStates
from transferlm.models._contract.encoding import TokenEncoder

if TYPE_CHECKING:
    import torch

    from transferlm.neural.batching import Batch
    from transferlm.neural.part_way import PartWay
    from transferlm.neural.readout import Readout
    from transferlm.text.corpus import Corpus
    from transferlm.text.framing import Window
    from transferlm.text.tokenizers.base import Tokens

__all__ = [
    "GradientTrained",
    "GrowingTokens",
    "LinearLayers",
    "Objective",
    "ReadOn",
    "ReadsOn",
    "SelfSupervised",
]


class GradientTrained(TokenEncoder):
    """A model whose weights a training loop can move: its module, its batches, its layers."""

    module: torch.nn.Module

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids and character offsets, cut at the maximum length (`Tokens.cut` says where)."""

    def encode_rows(self, rows: Sequence[Window], width: int) -> np.ndarray:
        """`text_states` of rows, without gradients."""
        from transferlm.models._gradient_trained import encode_windows

        return encode_windows(self, rows, width)

    def score_rows(self, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """A linear function of `token_states`, without gradients."""
        from transferlm.models._gradient_trained import score_windows

        return score_windows(self, rows, weights, bias)

    @abstractmethod
    def text_states(self, batch: Batch) -> torch.Tensor:
        """One vector a text, with gradients: shape (texts, width). `encode` is this without them."""

    @abstractmethod
    def token_states(self, batch: Batch) -> torch.Tensor:
        """One vector a token, with gradients: shape (texts, tokens, token width).

        In a model that reads from left to right a token's vector knows nothing of what follows it.
        """

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

    @abstractmethod
    def part_way(self) -> PartWay:
        """The layers that `layer_groups` names after the embeddings, as passes that begin at one of them want them."""


class LinearLayers(GradientTrained):
    """A model whose layers multiply states by matrices, each a module of its own: what adapters attach to."""

    @abstractmethod
    def linear_layers(self) -> dict[str, torch.nn.Module]:
        """The linear modules of its layers by their names in `module`: `nn.Linear` and GPT-2's turned ones."""


class ReadOn(NamedTuple):
    """What a model read.

    Attributes:
        log_probs: Log-probabilities of the token after each, with gradients where they are asked for: shape (tokens,
            vocabulary).
        hidden: The states that they follow from, without gradients: shape (tokens, width).
        state: What to go on from, without gradients.
    """

    log_probs: torch.Tensor
    hidden: torch.Tensor
    state: tuple[torch.Tensor, ...]


class ReadsOn(HiddenStates, GradientTrained):
    """A causal model trained by gradients that reads on from where it stopped: what dynamic evaluation needs."""

    step_sizes: ClassVar[Mapping[str, float]]
    """Step sizes of dynamic evaluation that suit the family, by rule: `sgd` and `rms`."""

    @abstractmethod
    def read_on(self, ids: np.ndarray, state: tuple[torch.Tensor, ...] | None = None) -> ReadOn:
        """Read tokens, nothing dropped, in fp32.

        Args:
            ids: Token ids, shape (tokens,), one or more; the first of all are those that open a text: the tokenizer's
                prefix, or the end token where it has none.
            state: What the tokens before left; None where there are none.
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
        """Tokens that a batch reads, for progress."""

    def predictions(self, batch: Any) -> int:
        """Tokens that a batch predicts: what its mean loss is a mean of."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Mean nats a token that is predicted."""

    def readout(self, batch: Any) -> Readout:
        """What the loss is made from: states, the layer above them, and the tokens that are predicted."""

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


class GrowingTokens(SelfSupervised):
    """A gradient-trained model whose vocabulary can take in tokens: rows are added to its input and its output."""

    @abstractmethod
    def grow_tokens(self, most: int, worth: int, corpus: Corpus) -> int:
        """Take in tokens that pay their way in the corpus, in place; what was there keeps its weights.

        A new token's row is the mean of those of the pieces that wrote it before (Hewitt 2021); where the output has a
        bias, it is lowered to the share of the pieces' use that is now the token's.

        Args:
            most: New tokens, at the most.
            worth: How often one has to stand in the corpus.
            corpus: What they are looked for in.

        Returns:
            How many there are.

        Raises:
            UnsupportedError: The tokenizer's vocabulary is not made by counting words or pairs.
        """

    @abstractmethod
    def token_tables(self) -> list[torch.nn.Parameter]:
        """The parameters that have a row for each token, each once: input, output, the output's bias."""
