"""Labelled examples as a body and a head learn from them: rows, their losses, and task models that learn on."""
