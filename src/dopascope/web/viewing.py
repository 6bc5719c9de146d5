"""What the viewer of the reading page shows: volumes for it, and their places."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from dopascope import atlas
from dopascope.formats.save import nifti_gz
from dopascope.reading import Reading
from dopascope.reading.images import Examination, Images
from dopascope.reading.parts import template_in_reference_units
from dopascope.space.quality import STRIATAL_CENTRE_MM
from dopascope.volume import Volume

SCAN: Final = "scan.nii.gz"
"""The scan on its own grid, as counts."""
MNI: Final = "mni.nii.gz"
"""The scan on the template's grid; 1 is the reference region's mean."""
BESIDE: Final = ("template.nii.gz", "regions.nii.gz")
"""The same for every reading: the template normal and the striatal regions, on the template's grid."""
SCRIPT: Final = "built/viewer.js"
"""Among the static files, once the front end was built (`hatch_build.py`)."""
TOP_PERCENTILE: Final = 99.9
"""Of a volume, where its window ends at first."""


def write(examination: Examination, folder: Path) -> None:
    """Write the volumes of a scan beside its report; of a picture there is none.

    Raises:
        OSError: the disk refuses.
    """
    images = examination.images
    if not isinstance(images, Images):
        return
    (folder / SCAN).write_bytes(nifti_gz(images.scan, code=1, coarse=True))
    if images.mni is not None:
        (folder / MNI).write_bytes(nifti_gz(images.mni, code=4, coarse=True))


@lru_cache(maxsize=len(BESIDE))
def beside(name: str) -> bytes:
    """One of `BESIDE`, as a file."""
    if name == BESIDE[0]:
        return nifti_gz(template_in_reference_units(), code=4)
    labels = atlas.striatum_labels()
    return nifti_gz(Volume(labels.data.astype(np.float32), labels.grid), code=4)


@lru_cache(maxsize=1)
def top() -> float:
    """Right end of the window at first, for scan and template alike, in reference units."""
    return round(float(np.percentile(template_in_reference_units().data, TOP_PERCENTILE)), 2)


def evidence(reading: Reading) -> dict[str, str]:
    """File of each evidence map -> reader that it explains."""
    return {one.file: one.reader for one in reading.maps if one.file is not None}


def told(reading: Reading, folder: Path, urls: dict[str, str]) -> dict[str, Any] | None:
    """What the viewer needs to know, as its script reads it; None where there is nothing to view.

    Args:
        reading: what was read.
        folder: where its files lie.
        urls: file name -> address, of all that may be shown.
    """
    if not (folder / SCAN).is_file():
        return None
    registered = (folder / MNI).is_file()
    own = {"title": "as stored" if reading.is_t1 else "as the camera wrote it", "url": urls[SCAN], "top": None}
    if not registered:
        unit = "" if reading.is_t1 else "counts"
        return {"scans": [own], "template": None, "overlays": [], "unit": unit, "manual": None}
    explained = [
        {"title": f"evidence of {reader}", "url": urls[name], "kind": "evidence"}
        for name, reader in evidence(reading).items()
        if (folder / name).is_file()
    ]
    manual = reading.registration.manual if reading.registration else None
    regions = {"title": "striatal regions", "url": urls[BESIDE[1]], "kind": "regions"}
    return {
        "scans": [{"title": "on the template", "url": urls[MNI], "top": top()}, own],
        "template": {"title": "template normal", "url": urls[BESIDE[0]], "top": top()},
        "overlays": [regions, *explained],
        "unit": "times the reference",
        "manual": {
            "shift": manual.shift_mm if manual else (0, 0, 0),
            "turn": manual.rotate_deg if manual else (0, 0, 0),
            "centre": STRIATAL_CENTRE_MM,
        },
    }
