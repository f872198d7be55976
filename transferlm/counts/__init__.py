"""Counts of n-grams and what follows from them: counting, merging, lookup, scoring. Nothing of smoothing in here."""
