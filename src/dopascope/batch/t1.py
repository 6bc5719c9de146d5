"""One T1-weighted scan of a cohort: brain mask, N4, affine to the template, z-score, on the MNI grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from dopascope import formats, provenance, space
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsuitableError, UnsupportedError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.space.bias import ITERATIONS, correct_bias
from dopascope.space.brain_registration import BrainRegistration, on_mni, register_brain
from dopascope.space.intensity import zscore
from dopascope.volume import CAMERA_FACTS, LabelMap, Volume

ZSCORE: Final = "zscore_brain"
FROM_TABLE: Final = "column mask of the table"


class BrainFinder(Protocol):
    """Finds the brain in a scan. It goes to workers by pickle."""

    @property
    def name(self) -> str:
        """What it is, weights included: it stands in sidecars and decides whether a kept result is still good."""

    def __call__(self, volume: Volume) -> LabelMap:
        """Brain above 0, on the scan's grid."""


def load_t1(scan: CohortScan, strictness: Strictness, limits: Limits) -> Volume:
    """The T1-weighted scan of a cohort's line.

    Raises:
        UnsuitableError: a picture of one slice.
        InputError: it cannot be read.
    """
    image = formats.load(scan.path, strictness=strictness, limits=limits)
    if not isinstance(image, Volume):
        raise UnsuitableError(
            "A picture of one slice has no position and no brain around it.",
            where=scan.path,
            found="a picture",
            expected="DICOM, NIfTI or MGZ",
            fix="Export the scan itself.",
        )
    return image


def brain_mask(scan: CohortScan, image: Volume, finder: BrainFinder | None, limits: Limits) -> tuple[LabelMap, Any]:
    """The brain of a scan on its grid, and JSON-ready where it comes from: the table's column `mask` before `finder`.

    Raises:
        UnsupportedError: the table names no mask and there is no finder.
        UnsuitableError: what is named is no mask.
        InputError: it cannot be read.
    """
    if scan.mask is not None:
        read = formats.load(scan.mask, limits=limits)
        if not isinstance(read, Volume) or (read.data < 0).any() or not (read.data > 0).any():
            raise UnsuitableError(
                "The brain mask marks nothing.",
                where=scan.mask,
                found="no voxel above 0, or some below",
                expected="an image that is above 0 in the brain and 0 elsewhere",
                fix="Correct the column mask of the table.",
            )
        mask = LabelMap((read.data > 0).astype(np.uint8), read.grid)
        said: dict[str, Any] = {"source": FROM_TABLE, "sha256": provenance.sha256_of(scan.mask), "moved": False}
        if not mask.grid.same_as(image.grid):
            mask, said["moved"] = space.resample(mask, image.grid), True
    elif finder is not None:
        mask, said = finder(image), {"source": finder.name, "sha256": None, "moved": False}
    else:
        raise UnsupportedError(
            "Nothing says where the brain is in this T1-weighted scan.",
            where=f"{scan.name}, column mask",
            found="no mask, and no segmenter is installed",
            expected="the path of a brain mask, relative to the table",
            fix="Add a column mask to the table; simulated cohorts have one.",
        )
    return mask, said | {"ml": round(float((mask.data > 0).sum()) * mask.grid.voxel_ml, 2)}


@dataclass(frozen=True)
class Placed:
    """A T1-weighted scan after N4, affine to the template and z-score, still on its own grid."""

    record: dict[str, Any]
    """What was done."""
    even: Volume
    """Shading divided out."""
    scored: Volume
    """In units of its own spread, 0 outside the brain."""
    mask: LabelMap
    registration: BrainRegistration


def placed(
    scan: CohortScan,
    strictness: Strictness,
    limits: Limits,
    finder: BrainFinder | None,
    *,
    iterations: tuple[int, ...] = ITERATIONS,
) -> Placed:
    """Mask, N4 of at most so many iterations, affine, z-score.

    Raises:
        InputError: it cannot be read or has no whole brain; see `brain_mask`, `correct_bias`, `register_brain`.
    """
    image = load_t1(scan, strictness, limits)
    mask, said = brain_mask(scan, image, finder, limits)
    even, shading = correct_bias(image, mask, iterations=iterations)
    found = register_brain(even, mask)
    scored, mean, sd = zscore(even, mask)
    source = image.source
    known = found.as_dict()
    record = {
        "kind": "T1w",
        "registered": True,
        "transform": known["mni_to_scan"],
        "method": known["method"],
        "quality": known["quality"],
        "accepted": known["accepted"],
        "overlap": known["overlap"],
        "warnings": [] if found.accepted else [f"registration not accepted: {'; '.join(found.reasons)}"],
        "sha256": source.sha256 if source else None,
        "assumed": [
            *(source.assumed if source else ()),
            *(["the mask lies in the scan's world: it was brought onto the scan's voxels"] if said["moved"] else []),
        ],
        "intensity": ZSCORE,
        "mean": mean,
        "divisor": sd,
        "bias": shading.as_dict(),
        "mask": said,
        "acquisition": {name: told for name in CAMERA_FACTS if (told := getattr(image.acquisition, name)) is not None},
        "software": provenance.software(),
    }
    return Placed(record, even, scored, mask, found)


def normalised(
    scan: CohortScan, strictness: Strictness, limits: Limits, finder: BrainFinder | None
) -> tuple[dict[str, Any], Volume]:
    """The scan's brain on `MNI_2MM` in units of its own spread, 0 outside the brain; and what was done.

    Raises:
        InputError: see `placed`.
    """
    found = placed(scan, strictness, limits, finder)
    return found.record, on_mni(found.scored, found.registration)
