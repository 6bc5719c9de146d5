"""Synthetic cohorts: a generator fitted inside a training fold, images drawn from it, and what they are worth."""
