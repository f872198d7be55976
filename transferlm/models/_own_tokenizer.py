"""The tokenizer that lies in a model's folder."""

from __future__ import annotations

from transferlm.errors import ModelFolderError
from transferlm.storage import Folder
from transferlm.text.tokenizers._library import CONFIGURATION
from transferlm.text.tokenizers.base import Tokenizer

__all__ = ["own_tokenizer"]


def own_tokenizer(folder: Folder) -> Tokenizer:
    """The tokenizer there.

    Raises:
        ModelFolderError: A folder of ours does not name it, or it is damaged.
    """
    if folder.manifest and "transferlm" not in folder.json(CONFIGURATION):
        raise ModelFolderError(f"{folder.path / CONFIGURATION} does not name the tokenizer: copy the folder again")
    return Tokenizer.load(folder.path)
