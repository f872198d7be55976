"""Measurement: how models are scored, and how sure a difference between two of them is."""
