"""PDF."""

from __future__ import annotations

from dopascope.reading.images import Examination
from dopascope.report.figures import Figures


def render(examination: Examination, drawn: Figures, *, compress: bool = True) -> bytes:
    return b""
