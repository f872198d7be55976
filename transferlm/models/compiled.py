"""An encoder written down as an ONNX file: predictions by ONNX Runtime, without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from transferlm import storage
from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models._inputs import means
from transferlm.models._own_tokenizer import own_tokenizer
from transferlm.models.base import (
    Compilable,
    Encoding,
    GradientTrained,
    Model,
    QuickEncoder,
    Trainable,
    digest,
    made_from,
    require,
)
from transferlm.neural.onnx_session import OnnxFile
from transferlm.progress import Progress
from transferlm.text.framing import Frame, Text, Window, shares_read
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["Compiled"]

FILES = {"int8": "model.int8.onnx", "fp32": "model.onnx"}
"""Precision -> its file, the quickest first."""

_TOKENS = 512
"""Tokens of a batch, as in `_predicting.py`."""

_FROZEN = "its weights are written down for prediction: take the model that it was made from"


@dataclass(eq=False)
class Compiled(Model, QuickEncoder):
    """A bidirectional Transformer as ONNX files that `transferlm export --to onnx` makes, for prediction alone.

    It says what its model says in fp32, and needs neither torch nor transformers: the extra `transferlm[onnx]` runs it.
    Texts of one length are read together, so that nothing is padded.
    """

    max_length: int = 256
    """Tokens that are read at once, the begin and end tokens included; the share read stands in every result."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"max_length"})
    without: ClassVar[Mapping[type, str]] = {GradientTrained: _FROZEN, Trainable: _FROZEN}

    tokenizer: Tokenizer | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._graphs: dict[str, OnnxFile] = {}
        self._facts: dict[str, Any] = {}
        if self.max_length < 3:
            raise SettingError(f"max_length {self.max_length}: give 3 or more, two are the begin and end signs")

    @classmethod
    def of(cls, model: Model, int8: bool = False, head: tuple[np.ndarray, np.ndarray, str] | None = None) -> Self:
        """A model written down.

        Args:
            model: An encoder of BERT's kind.
            int8: Write its matrices as 8-bit integers too: another precision of predictions, for `quicken` to try.
            head: Weights, bias, and whether a `text` or a `token` has scores: for other programs that run the file.

        Raises:
            UnsupportedError: The model can't be written down.
            DataError: It has no weights yet.
            SettingError: The extra `onnx` is missing.
        """
        require(model, (Compilable,), "a compiled model")
        assert isinstance(model, Compilable)
        made = cls(model.max_length)
        typed = model.frame(pair=True).types is not None
        made.tokenizer = model.tokenizer
        made._facts = {"width": model.encoding_width, "positions": model.positions, "typed": typed}
        for precision in ("int8", "fp32") if int8 else ("fp32",):
            content = model.graph(head, precision == "int8")
            made._graphs[precision] = OnnxFile(content, FILES[precision], model.encoding_width)
        return made

    def check_settings(self) -> None:
        """Check `max_length` against the weights.

        Raises:
            SettingError: It is beyond the positions that they know.
        """
        usable = self._facts.get("positions", self.max_length)
        if self.max_length > usable:
            raise SettingError(f"max_length {self.max_length}: the weights know {usable} positions, give that or less")

    @property
    def encoding_width(self) -> int:
        """Length of a text's vector."""
        return int(self._known()["width"])

    @property
    def token_width(self) -> int:
        """Length of a token's vector."""
        return self.encoding_width

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that were written down."""
        return tuple(name for name in FILES if name in self._graphs)

    def frame(self, pair: bool = False) -> Frame:
        """The tokenizer's own special tokens; token types where the weights have a vector for each."""
        found = self._reader().frame(pair)
        return found if self._known()["typed"] else replace(found, types=None)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The pooled states of every text, cut at `max_length`: float32 of shape (texts, width)."""
        rows = self.windows(texts)
        return Encoding(self.encode_rows(rows, self.encoding_width), shares_read(texts, rows))

    def encode_rows(self, rows: Sequence[Window], width: int) -> np.ndarray:
        """Pooled states of rows, in fp32."""
        return self._vectors([row.ids for row in rows], [row.types for row in rows], width, "fp32")

    def score_rows(self, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """A linear function of every token's state, in fp32."""
        return self.score_quickly(rows, weights, bias, "fp32")

    def encode_quickly(self, texts: Sequence[Text], precision: str, whole: bool = False) -> np.ndarray:
        """What `encode` gives, without offsets: float32 of shape (texts, width)."""
        singles = [text for text in texts if isinstance(text, str)]
        if not whole and len(singles) == len(texts):
            ids = self._reader().encode_ids(singles, self.max_length)
            return self._vectors(ids, [None] * len(ids), self.encoding_width, precision)
        rows = self.windows(texts, whole)
        ids, types = [row.ids for row in rows], [row.types for row in rows]
        vectors = self._vectors(ids, types, self.encoding_width, precision)
        return means(vectors, [row.text for row in rows], len(texts))

    def score_quickly(
        self, rows: Sequence[Window], weights: np.ndarray, bias: np.ndarray, precision: str
    ) -> list[np.ndarray]:
        """A linear function of every token's state: float32 of shape (tokens, size) for each row."""
        found: list[np.ndarray] = [np.empty((0, len(bias)), np.float32)] * len(rows)
        for places, states in self._read([r.ids for r in rows], [r.types for r in rows], "states", precision):
            for place, scores in zip(places, states @ weights + bias, strict=True):
                found[place] = scores
        return found

    @property
    def fingerprint(self) -> str:
        """SHA-256 over hyper-parameters, tokenizer and graphs."""
        settings = json.dumps({**self.hyper_parameters(), **self._facts}, sort_keys=True)
        if self.tokenizer is None:
            return digest(self.family, settings)
        return digest(self.family, settings, self.tokenizer.hash, *self._hashes().values())

    def manifest(self) -> dict[str, Any]:
        """What `transferlm.json` says; the hash of each graph stands there."""
        told = super().manifest()
        told["model"]["compiled"] = {**self._known(), "graphs": self._hashes()}
        return told

    def write(self, folder: Path) -> None:
        """The graphs, and the tokenizer's files."""
        self._reader().save(folder)
        for precision, graph in self._graphs.items():
            (folder / FILES[precision]).write_bytes(graph.content)

    @classmethod
    def read(cls, folder: storage.Folder) -> Self:
        """The model written there.

        Raises:
            ModelFolderError: A file is missing, or is not the one that was written.
        """
        model = made_from(cls, folder)
        place = folder.path / storage.MANIFEST
        told: Any = folder.said("model").get("compiled")
        try:
            facts = {"width": int(told["width"]), "positions": int(told["positions"]), "typed": bool(told["typed"])}
            hashes = {str(name): str(told["graphs"][name]) for name in FILES if name in told["graphs"]}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelFolderError(f"{place}: the compiled model is not whole ({error}): copy it again") from None
        if "fp32" not in hashes:
            raise ModelFolderError(f"{place} names no graph in fp32: copy the folder again")
        model._facts, model.tokenizer = facts, own_tokenizer(folder)
        for name, known in hashes.items():
            file = folder.file(FILES[name])
            if storage.file_hash(file) != known:
                raise ModelFolderError(f"{file} is not the file that {storage.MANIFEST} names: copy the folder again")
            model._graphs[name] = OnnxFile.open(file, facts["width"])
        model.check_settings()
        return model

    def _vectors(
        self, ids: Sequence[np.ndarray], types: Sequence[np.ndarray | None], width: int, precision: str
    ) -> np.ndarray:
        features = np.empty((len(ids), width), dtype=np.float32)
        for places, vectors in self._read(ids, types, "encoding", precision):
            features[places] = vectors
        return features

    def _read(
        self, ids: Sequence[np.ndarray], types: Sequence[np.ndarray | None], output: str, precision: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows in batches of one length each: their numbers, and an output of the graph."""
        self._reader()
        if precision not in self._graphs:
            raise SettingError(f"precision {precision!r}: this model was compiled for {', '.join(self.precisions)}")
        graph = self._graphs[precision]
        with Progress("encoding", len(ids), "texts") as progress:
            for rows in _batches(np.array([len(row) for row in ids], dtype=np.int64)):
                batch = np.stack([ids[row] for row in rows]).astype(np.int64)
                kinds = np.zeros_like(batch)
                for place, row in enumerate(rows):
                    kinds[place] = 0 if types[row] is None else types[row]
                yield rows, graph.run(output, batch, kinds)
                progress.advance(len(rows))

    def _hashes(self) -> dict[str, str]:
        return {name: hashlib.sha256(graph.content).hexdigest() for name, graph in self._graphs.items()}

    def _known(self) -> dict[str, Any]:
        self._reader()
        return self._facts

    def _reader(self) -> Tokenizer:
        if self.tokenizer is None:
            raise DataError("a compiled model is made from another by `transferlm export --to onnx`: it has none yet")
        return self.tokenizer


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Row numbers, those of one length together, the longest first."""
    order = np.argsort(-lengths, kind="stable")
    alike = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if len(order) else []
    for group in alike:
        size = max(1, _TOKENS // max(1, int(lengths[group[0]])))
        yield from (group[start : start + size] for start in range(0, len(group), size))
