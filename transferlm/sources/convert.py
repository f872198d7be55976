"""One-time conversions of what a package holds into files that are safe and quick to open."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from transferlm.errors import SourceError
from transferlm.progress import say, track

__all__ = ["CONVERSIONS", "convert"]


def convert(conversion: str, folder: Path) -> None:
    """Run a conversion of `CONVERSIONS` on the members in `folder`; its inputs are gone afterwards.

    Raises:
        SourceError: The members aren't what the conversion expects.
    """
    try:
        CONVERSIONS[conversion](folder)
    except (ValueError, KeyError, EOFError) as error:
        message = " ".join(str(error).split())
        raise SourceError(f"the conversion {conversion!r} failed ({message}): please report it") from None


def _pickle(folder: Path) -> None:
    """`pytorch_model.bin` -> `model.safetensors`, by the unpickler that makes tensors and nothing else."""
    import pickle

    import torch
    from safetensors.torch import save_file

    pickled = folder / "pytorch_model.bin"
    try:
        weights = torch.load(pickled, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        first = str(error).strip().split("\n")[0]
        raise SourceError(f"{pickled.name} holds more than tensors: refused ({first})") from None
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
        if not name.endswith("position_ids")  # the numbers 0, 1, 2 ..., which the architecture makes itself
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    pickled.unlink()


def _gguf(folder: Path) -> None:
    """A GGUF file -> a Hugging Face folder in float16.

    float16 takes half of float32's space and rounds the unpacked weights by 0.02% (root mean square), where
    bfloat16 rounds them by 0.14%.
    """
    import torch
    import transformers

    say("converting GGUF to safetensors, once")
    file = folder / "model.gguf"
    settings = {}
    if hasattr(transformers, "GgufConfig"):  # earlier versions always unpack the codes
        settings["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file.name, dtype=torch.float16, **settings
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file.unlink()


def _word_vectors(folder: Path) -> None:
    """A numpy matrix and a Parquet column of words -> `vectors.safetensors`, `words.txt` (a word a line)."""
    import numpy as np
    import pyarrow.parquet as parquet
    from safetensors.numpy import save_file

    vectors = np.load(folder / "vectors.npy", allow_pickle=False)
    words = parquet.read_table(folder / "words.parquet", columns=["index"])["index"].to_pylist()
    if len(words) != len(vectors) or len(set(words)) != len(words):
        raise SourceError(f"{len(words):,} words for {len(vectors):,} vectors, or one word twice")
    text = "".join(f"{word}\n" for word in words)
    if text.split("\n")[:-1] != words:
        raise SourceError("a word of the vectors has a line end in it")
    save_file({"vectors": np.ascontiguousarray(vectors, dtype=np.float32)}, folder / "vectors.safetensors")
    (folder / "words.txt").write_text(text, encoding="utf-8", newline="\n")
    (folder / "vectors.npy").unlink()
    (folder / "words.parquet").unlink()


def _imdb(folder: Path) -> None:
    """`raw.csv` (review, sentiment) -> `imdb.csv` (text, label).

    The text is kept to the letter, the reviews' own `<br />` included: what to strip is the user's choice.
    """
    with (folder / "raw.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != ["review", "sentiment"]:
            raise SourceError("the IMDb file does not begin with the columns review and sentiment")
        counted = _write_reviews(folder / "imdb.csv", ((text, label) for text, label in rows), total=50_000)
    _expect(counted, {"positive": 25_000, "negative": 25_000})
    (folder / "raw.csv").unlink()


def _chinese_reviews(folder: Path) -> None:
    """`positive.txt` and `negative.txt`, one review a line -> `chinese-reviews.csv` (text, label).

    The text is kept to the letter but for the line end. The package's one blank line is left out: it is no review, and
    a text without a word can't be learnt from.
    """
    files = {label: folder / f"{label}.txt" for label in ("positive", "negative")}
    rows = (
        (line, label)
        for label, file in files.items()
        for line in file.read_bytes().decode("utf-8").split("\n")
        if line.strip()
    )
    counted = _write_reviews(folder / "chinese-reviews.csv", rows, total=35_123)
    _expect(counted, {"positive": 16_548, "negative": 18_575})
    for file in files.values():
        file.unlink()


def _write_reviews(target: Path, rows: Iterable[tuple[str, str]], total: int) -> dict[str, int]:
    """Write texts with their labels as CSV; how many rows each label has."""
    counted: dict[str, int] = {}
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        for text, label in track(rows, f"writing {target.name}", total, "reviews"):
            writer.writerow((text, label))
            counted[label] = counted.get(label, 0) + 1
    return counted


def _expect(counted: dict[str, int], expected: dict[str, int]) -> None:
    if counted != expected:
        raise SourceError(f"the reviews are {counted}, not {expected}: please report it")


def _universal_sentence_encoder(folder: Path) -> None:
    """`weights.npz` and `sp.model` -> `model.safetensors`, `config.json` and `tokenizer.json`.

    The embedding table stays in 8-bit codes: row i is `codes[i] * scale[i % groups] + offset[i % groups]`.
    """
    import numpy as np
    from safetensors.numpy import save_file

    from transferlm.sources.sentencepiece import to_tokenizer

    with np.load(folder / "weights.npz", allow_pickle=False) as archive:
        given = {name: archive[name] for name in archive.files}
    groups = len(given["scale"])
    blocks = [given[f"q{group + 1}"] for group in range(groups)]
    # Block g holds the rows g, g + groups, g + 2 groups ...
    codes = np.stack(blocks, axis=1).reshape(-1, blocks[0].shape[1])
    tensors = {"embedding.codes": codes, "embedding.scale": given["scale"], "embedding.offset": given["lo"]}
    orders = (2, 3, 5)
    for name, (origin, axis) in _PROJECTION.items():
        tensors[name] = np.concatenate([given[f"{origin}{order}"] for order in orders], axis=axis)
    for order in orders:
        width = len(given[f"b1_{order}"])
        for layer in (1, 2):
            convolution = f"ngram.{order}.convolution.{layer}"
            tensors[f"{convolution}.weight"] = given[f"w{layer}_{order}"].reshape(order, width, width)
            tensors[f"{convolution}.bias"] = given[f"b{layer}_{order}"]
    tensors |= {name: given[origin] for name, origin in _DENSE.items()}
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    save_file(whole, folder / "model.safetensors")
    config = {
        "model_type": "universal_sentence_encoder",
        "vocab_size": len(codes),
        "hidden_size": int(codes.shape[1]),
        "quantization_groups": groups,
        "ngram_orders": list(orders),
        "ngram_size": int(given["b1_2"].shape[0]),
        "dense_sizes": [int(given[f"d{layer}"].shape[1]) for layer in range(4)],
        "layer_norm_eps": float(given["eps"]),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    to_tokenizer(folder / "sp.model", folder / "tokenizer.json")
    (folder / "sp.model").unlink()
    (folder / "weights.npz").unlink()


_PROJECTION = {
    "ngram.projection.weight": ("proj", 1),
    "ngram.projection.bias": ("proj_b", 0),
    "ngram.norm.weight": ("ln_g", 0),
    "ngram.norm.bias": ("ln_b", 0),
}
"""Our names of what the n-gram branches share -> the package's, one an order, and the axis to join on."""

_DENSE = {
    "norm.weight": "ln_g",
    "norm.bias": "ln_b",
    "pooling.weight": "cnn_W",
    "pooling.bias": "cnn_b",
    "dense.0.weight": "d0",
    "dense.1.weight": "d1",
    "dense.1.shortcut": "p1",
    "dense.2.weight": "d2",
    "dense.3.weight": "d3",
    "dense.3.shortcut": "p3",
}
"""Our names of the layers after the n-grams -> the package's."""

CONVERSIONS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        "pickle": _pickle,
        "gguf": _gguf,
        "word_vectors": _word_vectors,
        "imdb": _imdb,
        "chinese_reviews": _chinese_reviews,
        "universal_sentence_encoder": _universal_sentence_encoder,
    }
)
"""Name in the table -> what turns the members in a folder into its final files."""
