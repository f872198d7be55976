"""Hugging Face folders of every bidirectional architecture, and of a Llama: tiny ones, written by `transformers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = ["the film was good and warm", "the room", "a bright phone , a dull meal ; the screen was broken", "bad"]
KINDS = ("bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")

_SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2}
_WIDE = {"hidden_size": 32, "intermediate_size": 48, **_SIZES}


def configuration(kind: str, tokens: int) -> Any:
    """A tiny architecture: of BERT two token types, of ELECTRA a table narrower than its layers."""
    from transformers import AutoConfig

    pad = 0 if kind in ("bert", "distilbert", "electra") else 1
    own: dict[str, dict[str, Any]] = {
        "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 2},
        "electra": {**_WIDE, "embedding_size": 16},
        "roberta": {**_WIDE, "type_vocab_size": 1},
    }
    return AutoConfig.for_model(
        kind,
        vocab_size=tokens,
        max_position_embeddings=40,
        pad_token_id=pad,
        layer_norm_eps=1e-5,
        **own.get(kind, _WIDE),
    )


def word_piece() -> Library:
    """BERT's kind of tokenizer: special tokens first, `[MASK]` among them."""
    library = Library(models.WordPiece(unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer()
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece()
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    library.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    )
    library.post_processor = processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    return library


def byte_level(camembert: bool = False) -> Library:
    """RoBERTa's kind of tokenizer. CamemBERT's marks are numbers 5 and 6, so that no text uses number 0."""
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    first = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<s>", "</s>"] if camembert else ["<s>", "<pad>", "</s>"]
    special = [*first, *(["<unk>"] if not camembert else []), "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(TEXTS, trainer)
    begin, end = library.token_to_id("<s>"), library.token_to_id("</s>")
    library.post_processor = processors.RobertaProcessing(("</s>", end), ("<s>", begin), add_prefix_space=False)
    return library


def write(kind: str, folder: Path) -> Any:
    """Write the folder of a masked language model, every weight drawn; returns the model as `transformers` has it."""
    from transformers import AutoModelForMaskedLM, PreTrainedTokenizerFast

    pieces = kind in ("bert", "distilbert", "electra")
    library = word_piece() if pieces else byte_level(kind == "camembert")
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if pieces else ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), names, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=library, **roles).save_pretrained(folder)
    torch.manual_seed(0)
    made = AutoModelForMaskedLM.from_config(configuration(kind, library.get_vocab_size()))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    made.save_pretrained(folder)
    return made.eval()


def write_llama(folder: Path) -> None:
    """A Llama whose texts begin with a mark, whose end token stands in none, and which drops attention alone."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    library = byte_level()
    library.post_processor = processors.TemplateProcessing(["<s>", "$A"], None, [("<s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=library, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 2, "max_position_embeddings": 64, "attention_dropout": 0.1}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=library.get_vocab_size(), **sizes, **ends)).save_pretrained(folder)
