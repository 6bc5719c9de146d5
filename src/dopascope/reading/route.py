"""Which examination an image is read as: what the caller says, else what the file says, else an assumption, told."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

from dopascope.reading.schema import Modality, ReadAs
from dopascope.volume import Acquisition, SliceImage, Volume

BIDS_T1: Final = re.compile(r"_T1w\.(nii(\.gz)?|mgz)$", re.IGNORECASE)
"""The suffix by which BIDS states what a NIfTI file is, which itself has no place for it."""

WEIGHTING: Final = (
    "the MRI is T1-weighted: the header says MR and not the weighting; the order of grey matter, white matter and "
    "fluid is checked"
)
BY_NAME: Final = "it is a T1-weighted MRI: the file's name says so (BIDS suffix T1w); the order of tissues is checked"
NO_WORD: Final = "it is a dopamine transporter SPECT: the file states no modality, and none was given"
NOT_NUCLEAR: Final = "If this is a T1-weighted MRI, say so: --modality t1."
"""Added where what states no modality was refused as a DaT SPECT."""


def route(image: Volume | SliceImage, asked: str | None) -> ReadAs:
    """How an image is to be read.

    Args:
        image: a scan or a picture.
        asked: `dat`, `t1` or None.
    """
    stated = image.acquisition.modality if isinstance(image, Volume) else None
    if asked is not None:
        modality: Modality = "t1" if asked == "t1" else "dat"
        return ReadAs(modality=modality, known_from="argument")
    if stated == "MR":
        return ReadAs(modality="t1", known_from="header", assumed=WEIGHTING)
    if stated is not None:
        return ReadAs(modality="dat", known_from="header")
    name = PurePath(image.source.path).name if image.source else ""
    if isinstance(image, Volume) and BIDS_T1.search(name):
        return ReadAs(modality="t1", known_from="assumed", assumed=BY_NAME)
    return ReadAs(modality="dat", known_from="assumed", assumed=NO_WORD)


def facts_of(image: Volume | SliceImage) -> Acquisition:
    """What the header says; of a picture nothing."""
    return image.acquisition if isinstance(image, Volume) else Acquisition()
