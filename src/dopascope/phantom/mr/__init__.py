"""Magnetic resonance images of heads that nobody has: labels of a whole head, contrasts, slices."""

from __future__ import annotations

from dopascope.phantom.mr.contrast import SEQUENCES, draw_means
from dopascope.phantom.mr.heads import draw_head, from_freesurfer, head_grid, placed, thinned
from dopascope.phantom.mr.slices import Slice, draw_slice
from dopascope.phantom.mr.surroundings import Habitus, dress

__all__ = [
    "SEQUENCES",
    "Habitus",
    "Slice",
    "draw_head",
    "draw_means",
    "draw_slice",
    "dress",
    "from_freesurfer",
    "head_grid",
    "placed",
    "thinned",
]
