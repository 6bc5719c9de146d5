"""Simulated people and image-space cameras. For research and education: no real person is in here."""

from __future__ import annotations

from dopascope.phantom.anatomy import StriatumMaps
from dopascope.phantom.camera import CAMERAS, ORIENTATIONS, Camera, Pose, draw_pose
from dopascope.phantom.ideal import ideal_means, ideal_sbr
from dopascope.phantom.people import GROUPS, LABELS, MIX, Person, check_mix, draw_group, draw_person, read_visually
from dopascope.phantom.scan import Truth, describe, scan
from dopascope.phantom.sites import COLLIMATORS, SITES, Collimator, PostFilter, Site
from dopascope.phantom.write import example, write

__all__ = [
    "CAMERAS",
    "COLLIMATORS",
    "GROUPS",
    "LABELS",
    "MIX",
    "ORIENTATIONS",
    "SITES",
    "Camera",
    "Collimator",
    "Person",
    "Pose",
    "PostFilter",
    "Site",
    "StriatumMaps",
    "Truth",
    "check_mix",
    "describe",
    "draw_group",
    "draw_person",
    "draw_pose",
    "example",
    "ideal_means",
    "ideal_sbr",
    "read_visually",
    "scan",
    "write",
]
