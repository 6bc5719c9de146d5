"""The physics of a scan (torch): projections of a head, and images reconstructed from them."""

from __future__ import annotations

from dopascope.physics.acquire import Expected, Move, Projections, acquire, expect, point_spread
from dopascope.physics.attenuation import chang_factors
from dopascope.physics.blur import PointSpread
from dopascope.physics.filters import butterworth, cutoff_per_cm, gaussian
from dopascope.physics.orbit import Geometry, circle
from dopascope.physics.projector import Projector
from dopascope.physics.reconstruct import chang, fbp, log_likelihood, mlem, osem
from dopascope.physics.scan import reconstruct, scan

__all__ = [
    "Expected",
    "Geometry",
    "Move",
    "PointSpread",
    "Projections",
    "Projector",
    "acquire",
    "butterworth",
    "chang",
    "chang_factors",
    "circle",
    "cutoff_per_cm",
    "expect",
    "fbp",
    "gaussian",
    "log_likelihood",
    "mlem",
    "osem",
    "point_spread",
    "reconstruct",
    "scan",
]
