"""What a paper reports, checked against itself: figures that cannot be, and what they leave open."""

from __future__ import annotations

from dopascope.claims.audit import audit
from dopascope.claims.claim import Claim, EvaluationSet, FoldTable, read_claim, shipped, shipped_names
from dopascope.claims.finding import Finding
from dopascope.claims.reported import Reported

__all__ = [
    "Claim",
    "EvaluationSet",
    "Finding",
    "FoldTable",
    "Reported",
    "audit",
    "read_claim",
    "shipped",
    "shipped_names",
]
