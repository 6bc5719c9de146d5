"""Simulated people and image-space cameras. For research and education: no real person is in here."""

from __future__ import annotations

from dopascope.phantom.anatomy import StriatumMaps
from dopascope.phantom.camera import CAMERAS, ORIENTATIONS, Camera, Pose, draw_pose
from dopascope.phantom.ideal import ideal_means, ideal_sbr
from dopascope.phantom.people import GROUPS, Person, draw_person
from dopascope.phantom.scan import Truth, describe, scan
from dopascope.phantom.write import example, write

__all__ = [
    "CAMERAS",
    "GROUPS",
    "ORIENTATIONS",
    "Camera",
    "Person",
    "Pose",
    "StriatumMaps",
    "Truth",
    "describe",
    "draw_person",
    "draw_pose",
    "example",
    "ideal_means",
    "ideal_sbr",
    "scan",
    "write",
]
