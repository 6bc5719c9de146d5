"""One simulated head for tests of the T1 chain: 3 mm voxels along unequal axes, strong shading, the truth beside it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dopascope.phantom import Pose, draw_person
from dopascope.phantom.mr import SCANNERS, Body, HeadScan, draw_anatomy, scan_head, template
from dopascope.volume import LabelMap

POSE = Pose(tilt_deg=(9.0, -6.0, 8.0), shift_mm=(5.0, -6.0, 4.0), scale=1.0, axes="PIR")
SITE = replace(SCANNERS["siemens-3t-sagittal"].cubic(3.0), shading=0.3)


@lru_cache(maxsize=4)
def simulated(shading: float = SITE.shading, noise: float = SITE.noise) -> HeadScan:
    """The head of one healthy person."""
    person = draw_person(3, "healthy")
    site = replace(SITE, shading=shading, noise=noise)
    return scan_head(Body(template(), draw_anatomy(person)), person, site, POSE, 1)


def mask_of(scan: HeadScan) -> LabelMap:
    """The brain, 1 where it is."""
    return LabelMap((scan.brain.data > 0).astype(np.uint8), scan.brain.grid)
