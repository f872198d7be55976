"""Reading text costs no heavy import."""

from __future__ import annotations

import subprocess
import sys


def test_text_and_corpus_load_neither_numpy_tables_nor_torch() -> None:
    code = (
        "import sys, transferlm.text; assert 'numpy' not in sys.modules; transferlm.text.Corpus\n"
        "heavy = {'torch', 'transformers', 'pandas', 'datasets', 'pyarrow', 'tokenizers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
