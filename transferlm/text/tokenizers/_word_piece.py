"""BERT's WordPiece tokenizer from a bare `vocab.txt`, as folders older than `tokenizer.json` hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from transferlm.errors import ModelFolderError

__all__ = ["from_vocabulary"]


def from_vocabulary(path: Path, configuration: dict[str, Any]) -> Library:
    """Build the tokenizer (Devlin et al. 2019; greedy longest match, Wu et al. 2016).

    Args:
        path: `vocab.txt`, one token a line, its id the line's number from 0.
        configuration: `tokenizer_config.json`: `do_lower_case` (default true), `strip_accents` (default: when
            lowercasing), `tokenize_chinese_chars` (default true).

    Raises:
        ModelFolderError: The file is no UTF-8, or has no `[UNK]`, `[CLS]` or `[SEP]`.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ModelFolderError(f"{path} is no UTF-8 ({error.reason} at byte {error.start}): copy it again") from None
    tokens = [line.rstrip("\r") for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    vocabulary = {token: i for i, token in enumerate(tokens)}
    unknown, begin, end = (str(configuration.get(f"{n}_token", f"[{n.upper()}]")) for n in ("unk", "cls", "sep"))
    for token in (unknown, begin, end):
        if token not in vocabulary:
            raise ModelFolderError(f"{path} holds no {token}: it is no vocabulary of BERT's family")
    library = Library(models.WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=100))
    library.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=configuration.get("tokenize_chinese_chars", True),
        strip_accents=configuration.get("strip_accents"),
        lowercase=configuration.get("do_lower_case", True),
    )
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.post_processor = processors.BertProcessing((end, vocabulary[end]), (begin, vocabulary[begin]))
    library.decoder = decoders.WordPiece()
    library.add_special_tokens([t for t in (unknown, begin, end, "[PAD]", "[MASK]") if t in vocabulary])
    return library
