"""The pixels behind a Reading, kept beside it for the report and never inside `reading.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dopascope.reading.schema import CounterfactualPart, Reading
from dopascope.volume import LabelMap, SliceImage, Volume


@dataclass(frozen=True)
class ChangedSlab:
    """The 12 mm slab before and after a change, (91, 109), divided by the reference region's mean."""

    part: CounterfactualPart
    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(frozen=True)
class Images:
    """What the report draws. Volumes are on `MNI_2MM` (91, 109, 91), RAS."""

    scan: Volume
    """The scan as stored, its own grid."""
    mni: Volume | None
    """The scan in MNI space divided by its reference region's mean (1 = reference); None when not registered."""
    template: Volume | None
    """The template normal in the same units."""
    evidence: Mapping[str, Volume] = field(default_factory=dict)
    """Reader id -> evidence on MNI_2MM; positive speaks for reduced."""
    changed: ChangedSlab | None = None
    """A simulation, where one was asked for."""
    brain: LabelMap | None = None
    """Of a T1 MRI: 1 is brain, on the scan's own grid."""


@dataclass(frozen=True)
class Examination:
    """A reading together with its pixels."""

    reading: Reading
    images: Images | SliceImage
    """A SliceImage when a picture was read."""
