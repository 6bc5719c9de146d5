"""Phantoms as files, and one-call examples."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np

from dopascope.errors import UsageError
from dopascope.phantom.camera import CAMERAS, draw_pose
from dopascope.phantom.people import Group, draw_person
from dopascope.phantom.scan import Truth, scan
from dopascope.volume import Volume

FORMATS: Final = ("nifti", "dicom")
EXAMPLE_AXES: Final = ("RAS", "LAS", "LPS", "RPI", "LPI")


def example(seed: int, group: Group) -> tuple[Volume, Truth]:
    """The person of `seed` on a camera, in a pose and an axis order that `seed` draws too: tilt within 10 degrees."""
    rng = np.random.default_rng([seed, 17])
    camera = CAMERAS[str(rng.choice(sorted(CAMERAS)))]
    pose = draw_pose(seed, tilt_deg=10.0, scale=(0.94, 1.06), axes=str(rng.choice(EXAMPLE_AXES)))
    return scan(draw_person(seed, group), camera, pose, seed)


def write(volume: Volume, path: str | Path, format: Literal["nifti", "dicom"] = "nifti") -> None:
    """Write a scan as NIfTI, or as one DICOM NM RECON TOMO file.

    Raises:
        UsageError: an unknown format.
    """
    if format == "nifti":
        from dopascope.formats import save_nifti

        save_nifti(volume, path)
    elif format == "dicom":
        from dopascope.formats.dicom_write import write_nm

        write_nm(volume, path, series_description="SIMULATED")
    else:
        raise UsageError("Phantoms are not written in this format.", where="format", found=format, expected=FORMATS)
