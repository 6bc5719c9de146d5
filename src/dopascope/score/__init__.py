"""Figures about answers: each with its n and its interval."""

from __future__ import annotations

from dopascope.score.auroc import Estimate, auroc, auroc_of_people

__all__ = ["Estimate", "auroc", "auroc_of_people"]
