"""Magnetic resonance images of heads that nobody has: labels of a whole head, contrasts, slices."""

from __future__ import annotations

from dopascope.phantom.mr.anatomy import EFFECTS, Anatomy, draw_anatomy
from dopascope.phantom.mr.body import Body
from dopascope.phantom.mr.brain import Brain, brain_of, template
from dopascope.phantom.mr.contrast import SEQUENCES, draw_means
from dopascope.phantom.mr.heads import draw_head, from_freesurfer, head_grid, placed, thinned
from dopascope.phantom.mr.scan import HeadScan, scan_head
from dopascope.phantom.mr.scanners import SCANNERS, Scanner
from dopascope.phantom.mr.slices import Slice, draw_slice
from dopascope.phantom.mr.surroundings import Habitus, dress

__all__ = [
    "EFFECTS",
    "SCANNERS",
    "SEQUENCES",
    "Anatomy",
    "Body",
    "Brain",
    "Habitus",
    "HeadScan",
    "Scanner",
    "Slice",
    "brain_of",
    "draw_anatomy",
    "draw_head",
    "draw_means",
    "draw_slice",
    "dress",
    "from_freesurfer",
    "head_grid",
    "placed",
    "scan_head",
    "template",
    "thinned",
]
