"""What parts words: the characters that Unicode calls White_Space."""

from __future__ import annotations

import re

__all__ = ["WHITE_SPACE"]

WHITE_SPACE = re.compile(r"[^\S\x1c-\x1f]+")
"""A run of it. Python's `str.isspace` and `str.split` take four control characters more, U+001C to U+001F."""
