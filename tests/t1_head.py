"""A simulated T1-weighted head and its true brain, which stands in for the segmenter where that is not at issue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dopascope.bundle.brain import BrainMask
from dopascope.bundle.brain import Check as MaskCheck
from dopascope.phantom import Pose, draw_person
from dopascope.phantom.mr import SCANNERS, Body, HeadScan, draw_anatomy, scan_head, template
from dopascope.reading import Choices, Examination, examine, t1
from dopascope.volume import LabelMap, Source, Volume

SPACING_MM = 2.0
SHA256 = "ab" * 32


@lru_cache(maxsize=1)
def simulated() -> HeadScan:
    """A healthy person at 2 mm, tilted."""
    person = draw_person(3, "healthy")
    site = replace(SCANNERS["siemens-3t-sagittal"].cubic(SPACING_MM), noise=0.01)
    pose = Pose(tilt_deg=(8.0, -5.0, 6.0), shift_mm=(3.0, -4.0, 5.0), scale=1.0, axes="RAS")
    return scan_head(Body(template(), draw_anatomy(person)), person, site, pose, 1)


def as_file(volume: Volume, name: str = "head_T1w.nii.gz") -> Volume:
    """The scan as if it came from a file."""
    return replace(volume, source=Source(name, "nifti", SHA256, orientation_from="sform"))


def true_mask() -> LabelMap:
    found = simulated()
    return LabelMap((found.brain.data > 0).astype(np.uint8), found.volume.grid, names={1: "brain"})


def _known(mask: LabelMap) -> BrainMask:
    ml = float(mask.data.sum()) * mask.grid.voxel_ml
    check = MaskCheck("Dice of each plane with the mask", 1.0, ">= 0.8", True)
    return BrainMask(mask, ml, ("sagittal", "coronal", "axial"), True, (check,))


@contextmanager
def brain_known(mask: LabelMap | None = None) -> Iterator[None]:
    """Within it, the segmenter says the truth."""
    told = _known(mask or true_mask())
    bundle: Any = SimpleNamespace(id="the-truth", model_sha256="cd" * 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(t1, "segmenter", lambda *_: bundle)
        patch.setattr("dopascope.reading.choices.segmenter", lambda *_: bundle)
        patch.setattr(t1, "brain_of", lambda *_: told)
        yield


@lru_cache(maxsize=1)
def examined() -> Examination:
    """The simulated head, read once for all tests of a session."""
    with brain_known():
        return examine(as_file(simulated().volume), Choices())
