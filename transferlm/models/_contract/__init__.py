"""The parts of `models/base.py`, which shows them all: import them from there."""
