"""Thirty things that are no DaT scan, as files: none is answered in silence."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image, ImageDraw

import dopascope
from dopascope import atlas, phantom
from dopascope.errors import InputError
from dopascope.formats import save_nifti, write_nm
from dopascope.volume import MNI_2MM, Grid, Volume
from wrong_scans import WRONG, hand

LEAST: Final = 30
LARGE: Final = ("fdg_brain", "t1_mri")
"""Registered on a large grid; quick tests leave them out."""


@cache
def dat_scan() -> Volume:
    return phantom.example(seed=4, group="healthy")[0]


def volume(change: Callable[[Volume], Volume]) -> Callable[[Path], Path]:
    """A DaT scan with something done to it."""
    return of(lambda: change(dat_scan()))


def of(make: Callable[[], Volume]) -> Callable[[Path], Path]:
    """The maker of a NIfTI file."""

    def write(folder: Path) -> Path:
        save_nifti(make(), folder / "scan.nii.gz")
        return folder / "scan.nii.gz"

    return write


def one_nan(scan: Volume) -> Volume:
    data = scan.data.copy()
    data[tuple(size // 2 for size in data.shape)] = np.nan
    return replace(scan, data=data)


def filled(value: float) -> Callable[[Volume], Volume]:
    return lambda scan: replace(scan, data=np.full(scan.data.shape, value, np.float32))


def noise(scan: Volume) -> Volume:
    return replace(scan, data=np.random.default_rng(3).normal(100, 20, scan.data.shape).astype(np.float32))


def ct(_: Volume) -> Volume:
    """A head in Hounsfield units: air, soft parts, a shell of bone."""
    head, brain = (atlas.tissue(name).data for name in ("head", "brain"))
    bone = (brain > 0.02) & (brain < 0.5)
    return Volume(np.where(bone, 900.0, np.where(head > 0.5, 40.0, -1000.0)).astype(np.float32), MNI_2MM)


def smaller(scan: Volume) -> Volume:
    """The same voxels, said to be of half their size."""
    affine = scan.grid.affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    return replace(scan, grid=Grid(scan.grid.shape, affine))


def half(scan: Volume) -> Volume:
    """The lower half of the array's last axis is empty."""
    data = scan.data.copy()
    data[:, :, : data.shape[2] // 2] = 0
    return replace(scan, data=data)


def negative(scan: Volume) -> Volume:
    return replace(scan, data=scan.data.max() - scan.data)


def cut(shape: tuple[slice, ...]) -> Callable[[Volume], Volume]:
    def change(scan: Volume) -> Volume:
        data = scan.data[shape]
        return Volume(data, Grid(data.shape, scan.grid.affine))

    return change


def dicom(**changes: Any) -> Callable[[Path], Path]:
    """A DaT scan whose header says that it is something else."""

    def make(folder: Path) -> Path:
        import pydicom

        path = write_nm(dat_scan(), folder / "scan.dcm")
        made = pydicom.dcmread(path)
        for keyword, value in changes.items():
            setattr(made, keyword, value)
        if "SOPClassUID" in changes:
            made.file_meta.MediaStorageSOPClassUID = changes["SOPClassUID"]
        made.save_as(path)
        return path

    return make


def tracer(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        scan = dat_scan()
        return write_nm(
            replace(scan, acquisition=replace(scan.acquisition, radiopharmaceutical=name)), folder / "scan.dcm"
        )

    return make


def picture(draw: Callable[[], np.ndarray], name: str = "photo.png") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.fromarray(np.clip(draw(), 0, 255).astype(np.uint8)).save(folder / name)
        return folder / name

    return make


def landscape() -> np.ndarray:
    y, x = np.mgrid[:200, :300] / 200
    sky, hill = 220 - 90 * y, 90 + 40 * np.sin(9 * x)
    return np.stack([np.where(y > 0.6 + 0.1 * np.sin(4 * x), hill, sky)] * 3, -1)


def page() -> np.ndarray:
    sheet = Image.new("L", (210, 297), 255)
    for line in range(20, 280, 12):
        ImageDraw.Draw(sheet).text((20, line), "Dear colleague, thank you", fill=0)
    return np.asarray(sheet)


def content(data: bytes, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def flat_nifti(folder: Path) -> Path:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.ones((64, 60), np.float32), np.diag([3.0, 3, 3, 1])), folder / "flat.nii")
    return folder / "flat.nii"


def empty_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "empty.zip", "w") as archive:
        archive.writestr("README.txt", "nothing here")
    return folder / "empty.zip"


INPUTS: dict[str, Callable[[Path], Path]] = {
    **{name: of(make) for name, make in WRONG.items()},
    "one voxel that is no number": volume(one_nan),
    "no voxel that is a number": volume(filled(np.nan)),
    "one value everywhere": volume(filled(7.0)),
    "nothing everywhere": volume(filled(0.0)),
    "noise": volume(noise),
    "CT of a head": volume(ct),
    "voxels of half their size": volume(smaller),
    "half a head": volume(half),
    "a negative": volume(negative),
    "a few voxels": volume(cut((slice(20, 23), slice(20, 24), slice(20, 25)))),
    "one slice": volume(cut((slice(None), slice(None), slice(30, 31)))),
    "an image of two dimensions": flat_nifti,
    "a DICOM that says MR": dicom(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"),
    "a DICOM that says CT": dicom(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
    "a DICOM that says PT": dicom(Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128"),
    "a radiograph": dicom(Modality="CR", SOPClassUID="1.2.840.10008.5.1.4.1.1.1"),
    "another tracer": tracer("99mTc-MIBI"),
    "a hand": picture(lambda: hand().data),
    "a hand on a light table": picture(lambda: hand(dark=False).data, "photo.jpg"),
    "a landscape": picture(landscape, "photo.jpg"),
    "a letter": picture(page),
    "a black picture": picture(lambda: np.zeros((90, 100))),
    "an icon": picture(lambda: np.arange(64).reshape(8, 8) * 4),
    "text": content(b"Dear colleague, thank you for this patient.\n" * 20, "scan.dcm"),
    "an empty file": content(b"", "scan.nii"),
    "a text that is called a picture": content(b"hello", "photo.png"),
    "a program": content(b"\x7fELF" + struct.pack("<16I", *range(16)) * 20, "scan"),
    "a zip without a scan": empty_zip,
}


@pytest.mark.promise(
    "What is no DaT scan is never read in silence: it is refused, or called unusual, or nothing is said for certain",
    threats="T30",
)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in INPUTS]
)
def test_what_is_no_scan_gets_no_silent_answer(name: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    path = INPUTS[name](tmp_path)
    try:
        found = dopascope.read(path, evidence=False, models_dir=tmp_path / "models")
    except InputError:
        return  # with the reason, which every such error has
    assert found.verdict in ("refused", "uncertain"), (found.verdict, found.passport.verdict)
    assert found.verdict_reasons
    assert found.passport.verdict != "in-distribution"
    if found.verdict == "refused":
        assert found.quantification is None


def test_there_are_thirty_and_a_real_scan_is_read(tmp_path: Path) -> None:
    assert len(set(INPUTS) - set(LARGE)) >= LEAST
    (tmp_path / "models").mkdir()
    found = dopascope.read(
        volume(lambda scan: scan)(tmp_path), models=("none",), evidence=False, models_dir=tmp_path / "models"
    )
    assert found.passport.verdict == "in-distribution", "refusing everything would pass too"
