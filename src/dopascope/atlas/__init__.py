"""MNI regions and tissue maps as data: striatum, references, large volumes, symmetric tissue maps."""

from __future__ import annotations

from dopascope.atlas.reference import (
    LARGE,
    REFERENCES,
    large_volumes,
    reference_labels,
    reference_mask,
    sample_points,
)
from dopascope.atlas.striatum import PARTS, REGIONS, inside, striatum_labels, striatum_weights
from dopascope.atlas.tissue import TISSUES, tissue

__all__ = [
    "LARGE",
    "PARTS",
    "REFERENCES",
    "REGIONS",
    "TISSUES",
    "inside",
    "large_volumes",
    "reference_labels",
    "reference_mask",
    "sample_points",
    "striatum_labels",
    "striatum_weights",
    "tissue",
]
