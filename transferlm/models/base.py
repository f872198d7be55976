"""What a language model is, and what it can do: everything above asks for these capabilities, never for a family."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from transferlm import catalog, storage
from transferlm.errors import ModelFolderError, SettingError, UnsupportedError, alternatives
from transferlm.models._beams import best_texts
from transferlm.models._sampling import Continuation, Drawing, Reread
from transferlm.seeding import derive

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

    from transferlm.counts.counted_text import CountedText
    from transferlm.neural.batching import Batch
    from transferlm.text.corpus import Corpus
    from transferlm.text.tokenizers.base import Tokens
    from transferlm.vectors.table import Near, WordTable

__all__ = [
    "Causal",
    "CountBased",
    "Encoder",
    "Encoding",
    "Exportable",
    "FromScratch",
    "GradientTrained",
    "GrowingVectors",
    "HiddenStates",
    "Model",
    "Objective",
    "ReadOn",
    "ReadsOn",
    "SelfSupervised",
    "TokenScores",
    "Trainable",
    "Vocabulary",
    "WordVectors",
    "require",
]


class Model(ABC):
    """A language model: a dataclass of hyper-parameters, plus what it learnt, plus where that came from."""

    @property
    def family(self) -> str:
        """The family's name: the file it is written in."""
        return catalog.name_of(self)

    @property
    def lineage(self) -> storage.Lineage:
        """Parents, data, configuration, seeds, versions and time of the step that made this model."""
        lineage: storage.Lineage = self.__dict__.setdefault("_lineage", storage.Lineage())
        return lineage

    @lineage.setter
    def lineage(self, lineage: storage.Lineage) -> None:
        self.__dict__["_lineage"] = lineage

    @property
    def origin(self) -> storage.Lineage:
        """The lineage that a child keeps as its parent: for a model fitted by hand, what little is known."""
        if self.lineage.step:
            return self.lineage
        seen = not isinstance(self, FromScratch) or self.trained
        return storage.Lineage("fitted" if seen else "untrained", method={"name": self.family})

    def hyper_parameters(self) -> dict[str, Any]:
        """Field name -> value, as given to the constructor."""
        return catalog.values_of(self)

    without: ClassVar[Mapping[type, str]] = MappingProxyType({})
    """Capabilities that one could expect of it, and why it hasn't them."""

    adjustable: ClassVar[frozenset[str]] = frozenset()
    """Hyper-parameters that an opened model may be given anew, because its weights don't depend on them."""

    def adjust(self, **settings: Any) -> None:
        """Replace hyper-parameters of an opened model, in place.

        Raises:
            SettingError: One is unknown, out of its range, or one that the weights depend on.
        """
        for name in settings:
            catalog.entry("models", self.family).hyper_parameter(name)
            if name not in self.adjustable:
                free = ", ".join(sorted(self.adjustable)) or "none"
                raise SettingError(f"{name} can't be changed once a {self.family} model is made; what can: {free}")
        type(self)(**{**self.hyper_parameters(), **settings})
        for name, value in settings.items():
            setattr(self, name, value)
        self.check_settings()

    def check_settings(self) -> None:
        """Check hyper-parameters against the weights, once both are there; most families have nothing to check."""
        return

    def copy(self) -> Self:
        """An independent model with the same weights: what a method works on, so that inputs are never mutated."""
        return copy.deepcopy(self)

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer into an existing empty folder (called by `save`)."""

    @classmethod
    @abstractmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there.

        Raises:
            ModelFolderError: A file is missing, damaged, or of the wrong shape.
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, weights and tokenizer: two models with the same one score the same."""

    def manifest(self) -> dict[str, Any]:
        """What `transferlm.json` says of this model."""
        return {
            "format": storage.FORMAT,
            "model": {
                "family": self.family,
                "hyper_parameters": self.hyper_parameters(),
                "trained": not isinstance(self, FromScratch) or self.trained,
            },
        }

    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole or not at all.

        Raises:
            ModelFolderError: Something that is no model stands there already.
        """
        with storage.written_whole(folder) as scratch:
            self.write(scratch)
            storage.write_json(scratch / storage.MANIFEST, self.manifest())
            storage.write_json(scratch / storage.LINEAGE, dataclasses.asdict(self.lineage))
            (scratch / storage.CARD).write_text(card(self.family, self.lineage), encoding="utf-8")


def card(family: str, lineage: storage.Lineage, body: str = "") -> str:
    """The folder's README.md: a YAML head that model hubs read, then what the model is and came from."""
    head = ["---", "library_name: transferlm", f"tags: [transferlm, {family}]", "---", ""]
    lines = [f"# A `{family}` model", "", *([body, ""] if body else [])]
    if lineage.step:
        lines += [f"Made by `{lineage.step}` on {lineage.time or 'an unknown date'}.", ""]
    lines += [
        f"- data: {d.get('name', '?')}" + (f" (SHA-256 {d['hash']})" if "hash" in d else "") for d in lineage.data
    ]
    lines += [f"- {name}: {value:.4g}" for name, value in lineage.scores.items()]
    lines += [f"- {note}" for note in lineage.notes]
    lines += [
        "",
        "Open it with `transferlm.load(folder)`; `transferlm show FOLDER` tells its whole story.",
        "",
    ]
    return "\n".join(head + lines)


class FromScratch(ABC):
    """A model whose state before any data is known, so that "from scratch" is no special case anywhere."""

    @property
    @abstractmethod
    def trained(self) -> bool:
        """Whether it has seen data."""

    @abstractmethod
    def untrained(self, seed: int = 0) -> Self:
        """The same model before any data: hyper-parameters and tokenizer kept, weights drawn anew from `seed`."""


class Trainable(FromScratch):
    """A model that learns from text: hyper-parameters in the constructor, data in `fit`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Hyper-parameters that belong together, by name: those of a paper's model."""

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """An untrained model with the hyper-parameters of a preset.

        A preset is where one begins: what is given beside it replaces its value, and the model made has plain
        hyper-parameters like any other; it does not remember the name.

        Args:
            name: One of `presets`.
            changes: Hyper-parameters that the preset has otherwise, or not at all.

        Raises:
            SettingError: There is no such preset.
        """
        if name not in cls.presets:
            raise SettingError(f"{catalog.name_of(cls)} has no preset {name!r}: {alternatives(name, cls.presets)}")
        return cls(**{**cls.presets[name], **changes})

    @abstractmethod
    def fit(self, corpus: Iterable[str], seed: int = 0, checkpoints: Path | None = None) -> Self:
        """Learn from the texts of `corpus`, in place, and return the model itself (scikit-learn's way).

        Args:
            corpus: The texts.
            seed: Decides every random choice.
            checkpoints: Folder for the state of long training, so that an interrupted one goes on; none keeps none.
        """


@dataclass(frozen=True)
class Vocabulary:
    """What a causal model's probabilities are distributed over.

    Attributes:
        name: For people: "word, 10,000 types, closed".
        size: Number of tokens.
        closed: Some strings can't be written in it, so bits per byte would not be a distribution over strings.
        hash: Perplexities of two models may be compared only when these agree.
    """

    name: str
    size: int
    closed: bool
    hash: str


@dataclass(frozen=True)
class TokenScores:
    """A text's log-probability, token by token.

    Attributes:
        log_probs: Natural logarithms, float64 of shape (tokens,); the last is the end of the text.
        offsets: int32 of shape (tokens, 2): each token's characters in the text; (n, n) for the end.
        ids: int32 of shape (tokens,): the tokens themselves, as the model's tokenizer numbers them.
    """

    log_probs: np.ndarray
    offsets: np.ndarray
    ids: np.ndarray


class Causal(ABC):
    """A model that gives each next token a probability."""

    tokenizer: Any
    """How texts become tokens (`text/tokenizers/`)."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """What the probabilities are distributed over."""

    @abstractmethod
    def token_scores(self, texts: Iterable[str], context: Literal["text", "stream"] = "text") -> Iterator[TokenScores]:
        """Nats a token, one text after the other, in memory that does not grow with their number.

        Args:
            texts: The texts to score, read as they are needed.
            context: `text` scores each on its own; `stream` carries the state from text to text, as the published
                tables of Penn Treebank and WikiText do.

        Returns:
            Scores in the order of the texts.
        """

    @abstractmethod
    def next_log_probs(self, contexts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the next token: float64 of shape (contexts, vocabulary); each row's exp sums to 1."""

    def log_probs(self, texts: Iterable[str]) -> np.ndarray:
        """Log-probability of each whole text with its end, in nats: shape (texts,)."""
        return np.array([scores.log_probs.sum() for scores in self.token_scores(texts)])

    def sample(
        self, prompt: str = "", count: int = 1, *, beams: int | None = None, seed: int = 0, **drawing: Any
    ) -> list[str]:
        """Draw texts that begin with a prompt, or search the most probable ones.

        Args:
            prompt: How each text begins; it is part of what is returned, as it was given.
            count: How many texts.
            beams: Follow that many hypotheses and return the texts with the highest mean log-probability a token, best
                first, instead of drawing; 4 to 10 are usual.
            seed: Decides every draw. The first texts are the same however many are asked for.
            drawing: `length` (100 tokens a text at the most), `temperature` (1; less prefers what is probable, 0 takes
                the most probable token), `top_k`, `top_p` and `repetition_penalty`, as `Drawing` tells them.

        Returns:
            Whole texts. The unknown token is never written, save where a model says how (`Continuation.barred`).

        Raises:
            SettingError: A setting is unknown or out of its range.
            DataError: The model has seen no text yet, or gives no token a probability.
        """
        if count < 1:
            raise SettingError(f"count {count}: give 1 text or more")
        how, generators = Drawing.of(drawing), (_draws(seed, number) for number in range(count))
        if beams is not None:
            return best_texts(self._continuation(prompt, next(generators)), how, beams, count)
        return [how.text(self._continuation(prompt, generator), generator) for generator in generators]

    def sample_pieces(self, prompt: str = "", *, seed: int = 0, **drawing: Any) -> Iterator[str]:
        """The first text of `sample` in pieces as they are drawn, the prompt first; settings and errors are its own."""
        how, generator = Drawing.of(drawing), _draws(seed, 0)
        return how.pieces(self._continuation(prompt, generator), generator)

    def _continuation(self, prompt: str, generator: np.random.Generator) -> Continuation:  # noqa: ARG002
        """A text that begins so. `generator` is for what a family draws beside tokens."""
        return Reread(self, prompt)


def _draws(seed: int, number: int) -> np.random.Generator:
    """What decides the draws of one text."""
    return np.random.default_rng(derive(seed, "sample", number))


class HiddenStates(Causal):
    """A causal model that predicts each token from a vector and tells it: what a cache of states needs."""

    @abstractmethod
    def token_states(
        self, texts: Iterable[str], context: Literal["text", "stream"] = "text"
    ) -> Iterator[tuple[TokenScores, np.ndarray]]:
        """What `token_scores` gives, and beside each text's the hidden states that its tokens were predicted from.

        Those of one text are in memory together: 4 bytes times the width a token.

        Returns:
            Scores and states, float32 of shape (tokens, width); the last state predicts the end of the text.
        """


class Exportable(ABC):
    """A model that other n-gram tools can read."""

    @abstractmethod
    def export(self, path: Path) -> None:
        """Write an ARPA file; compressed if its name ends in `.gz`.

        Raises:
            DataError: There is nothing to write yet.
        """


class CountBased(Causal, Trainable, Exportable):
    """A causal model that follows from n-gram counts: counts out, model from counts."""

    unit: str
    """What is counted: words or characters (`text.lexicon.UNITS`)."""

    @property
    @abstractmethod
    def counts(self) -> CountedText:
        """The raw counts that the model was made from.

        Raises:
            UnsupportedError: They were not kept.
            DataError: Nothing was counted yet.
        """

    @abstractmethod
    def counted(self, corpus: Iterable[str], scratch: Path | None = None) -> CountedText:
        """Raw counts of other texts, such that they may be added to `counts` or taken away from them."""

    @abstractmethod
    def adopt(self, counts: CountedText) -> None:
        """Take these counts for one's own and estimate anew, in place."""

    def notes(self) -> list[str]:
        """What a person should know of how the probabilities were estimated."""
        return []


@dataclass(frozen=True)
class Encoding:
    """Texts as vectors.

    Attributes:
        features: float32 of shape (texts, width), dense or a SciPy CSR matrix.
        read: float64 of shape (texts,): the share of each text's characters that fitted in the maximum length.
        known: float64 of shape (texts,): the share of each text's words that have a vector, 1 where it has no word;
            None for models that leave no word out.
    """

    features: np.ndarray | csr_matrix
    read: np.ndarray
    known: np.ndarray | None = None


class Encoder(ABC):
    """A model that turns a text into a vector."""

    @property
    @abstractmethod
    def encoding_width(self) -> int:
        """Length of the vector."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Encoding:
        """One vector a text, in the order given, whatever the batches inside."""


class WordVectors(Encoder):
    """A model that gives every word a vector, the same wherever it stands; a text is the mean of its words' vectors."""

    lowercase: bool
    """Whether capital letters are read as small ones."""
    punctuation: bool
    """Whether punctuation and symbols are split off as words of their own."""

    @property
    @abstractmethod
    def table(self) -> WordTable:
        """The words and their vectors: similarity, nearest words, analogies.

        Raises:
            DataError: There are none yet.
        """

    def vectors_of(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Words' vectors: float32 of shape (words, width), zeros where unknown; and bool (words,), which are known."""
        rows = self.table.rows(words)
        known = rows >= 0
        return np.where(known[:, None], self.table.vectors[rows], np.float32(0)), known

    def nearest(self, word: str, count: int = 10) -> Near:
        """The words whose vectors have the largest cosine with this word's, itself left out.

        Raises:
            DataError: The word has no vector.
        """
        return self.table.nearest(word, count)

    @property
    def encoding_width(self) -> int:
        """Length of the vector."""
        return self.table.width

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The mean of the vectors of each text's known words, zeros where it has none: float32 (texts, width)."""
        from transferlm.vectors.words import cut

        features = np.zeros((len(texts), self.encoding_width), np.float32)
        shares = np.ones(len(texts))
        for row, text in enumerate(texts):
            words = cut(text, self.lowercase, self.punctuation)
            vectors, known = self.vectors_of(words)
            if known.any():
                features[row] = vectors[known].mean(axis=0, dtype=np.float64)
            if words:
                shares[row] = known.mean()
        return Encoding(features, np.ones(len(texts)), shares)


class GrowingVectors(WordVectors, Trainable):
    """Word vectors that learn new words, and more of the old ones, from new text."""

    @abstractmethod
    def grow(
        self,
        corpus: Iterable[str],
        seed: int = 0,
        *,
        epochs: int = 5,
        learning_rate: float | None = None,
        plasticity: float = 1.0,
    ) -> None:
        """Take the text's new words into the vocabulary, behind the old ones, and go on training, in place.

        Args:
            corpus: The new text.
            seed: Decides every random choice.
            epochs: Passes.
            learning_rate: Step size at the start; none takes that of the model's own training.
            plasticity: How far the vectors of old words may move: 1 as those of new ones, 0 not at all.

        Raises:
            DataError: The model has seen no text yet, or there is none to learn from.
        """


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
        """Tokens of a batch, for progress."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Mean nats a token that is predicted."""

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


_PLAIN = {
    "AutomatonScored": "scored by a back-off automaton",
    "Causal": "a causal language model",
    "CountBased": "made from n-gram counts",
    "Encoder": "an encoder of texts",
    "Exportable": "made of n-grams that can be listed",
    "FromScratch": "known before any data",
    "GradientTrained": "trained by gradients",
    "GrowingVectors": "made of word vectors that take in new words",
    "HiddenStates": "causal and able to tell the state behind each prediction",
    "ReadsOn": "causal, trained by gradients, and able to read on from a state",
    "SelfSupervised": "learning from plain text by a loss of its own",
    "Trainable": "trainable on text",
    "WordVectors": "made of word vectors",
}


def require(model: Model, capabilities: Sequence[type], method: str) -> None:
    """Check that `model` has the capabilities that `method` needs.

    Raises:
        UnsupportedError: One is missing; the message names the families that have them all, and says why it is.
    """
    missing = [capability for capability in capabilities if not isinstance(model, capability)]
    if not missing:
        return
    able = [
        name
        for name in catalog.entries("models")
        if all(issubclass(catalog.find("models", name), c) for c in capabilities)
    ]
    wants = " and ".join(_PLAIN.get(c.__name__, c.__name__) for c in missing)
    why = "".join(f" ({model.without[c]})" for c in missing if c in model.without)
    raise UnsupportedError(
        f"{method} needs a model that is {wants}, which {model.family} is not{why}; it works with: {', '.join(able)}"
    )


def digest(*parts: bytes | str) -> str:
    """SHA-256 over parts, each told apart from the next by its length."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()


M = TypeVar("M", bound=Model)


def made_from(family: type[M], folder: storage.Folder) -> M:
    """An empty model of the family with the hyper-parameters that the folder's manifest tells.

    Raises:
        ModelFolderError: They are missing, unknown to this version, or of the wrong kind.
    """
    given = folder.said("model").get("hyper_parameters")
    manifest = folder.path / storage.MANIFEST
    if not isinstance(given, dict):
        raise ModelFolderError(f"{manifest} tells no hyper-parameters: the folder is damaged, copy it again")
    entry = catalog.entry("models", catalog.name_of(family))
    try:
        for name, value in given.items():
            if entry.hyper_parameter(name).parse(str(value)) != value:
                raise SettingError(f"{name} is {value!r}, which is no value of it: copy the folder again")
        return family(**given)
    except (TypeError, AttributeError, SettingError) as error:
        raise ModelFolderError(f"{manifest}: {error}") from None
