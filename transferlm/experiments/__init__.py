"""Experiments: many life cycles side by side, on the same draws, with the evidence that comes out of them."""
