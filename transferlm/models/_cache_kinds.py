"""The kinds of caches by name, apart from the caches themselves: a command's choices load no model."""

from __future__ import annotations

__all__ = ["COUNTS", "KINDS", "STATES"]

STATES, COUNTS = KINDS = ("states", "counts")
"""What is remembered; what suits best stands first."""
