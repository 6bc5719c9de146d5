"""Where a trained network's answer comes from: maps on the scan's own grid, and whether they follow its weights."""

from __future__ import annotations

from dopascope.explain.maps import METHODS, Explanation, Picture, explain, picture
from dopascope.explain.sanity import Sanity, randomised

__all__ = ["METHODS", "Explanation", "Picture", "Sanity", "explain", "picture", "randomised"]
