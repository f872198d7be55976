"""The symbols that stand for no word."""

from __future__ import annotations

from transferlm.text.lexicon import BEGIN, END, FIRST_WORD, UNKNOWN

__all__ = ["BEGIN", "END", "FIRST_WORD", "NOTHING", "UNKNOWN"]

NOTHING = 0
"""Fills windows beyond a text's end."""
