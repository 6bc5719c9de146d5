"""One code-made example of every reader's format, and a way to measure what a refusal costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.formats import READERS, save_nifti
from dopascope.volume import Grid, Volume

SHAPE = (7, 8, 9)


@dataclass(frozen=True)
class Example:
    """A valid file (or folder), and what reading it must give."""

    path: Path
    data: NDArray[np.float32]
    affine: NDArray[np.float64] | None
    """None for pictures, which have no geometry."""


def known_volume() -> Volume:
    """Whole numbers, unequal axes and spacing, oblique: what every 3-D format must give back."""
    affine = geometry.rotation([11, -7, 5]) @ np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-8, 12, -20]
    return Volume(np.random.default_rng(5).integers(0, 1000, SHAPE), Grid(SHAPE, affine))


def make_nifti(folder: Path) -> Example:
    volume = known_volume()
    save_nifti(volume, folder / "scan.nii.gz")
    return Example(folder / "scan.nii.gz", volume.data, volume.grid.affine)


def make_mgz(folder: Path) -> Example:
    import nibabel

    volume = known_volume()
    nibabel.save(nibabel.MGHImage(volume.data, volume.grid.affine), folder / "scan.mgz")
    return Example(folder / "scan.mgz", volume.data, volume.grid.affine)


def make_picture(folder: Path) -> Example:
    from PIL import Image

    pixels = np.random.default_rng(6).integers(0, 65536, (11, 13)).astype(np.uint16)
    Image.fromarray(pixels).save(folder / "slice.png")
    return Example(folder / "slice.png", pixels.astype(np.float32), None)


def make_dicom_nm(folder: Path) -> Example:
    from dopascope.formats import write_nm

    volume = known_volume()
    return Example(write_nm(volume, folder / "scan.dcm"), volume.data, volume.grid.affine)


def _single_frame(volume: Volume, k: int, modality: str) -> Any:
    """One slice of `volume` as a pydicom data set; 12 bits in 16, unsigned."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    kinds = {"MR": "1.2.840.10008.5.1.4.1.1.4", "CT": "1.2.840.10008.5.1.4.1.1.2", "PT": "1.2.840.10008.5.1.4.1.1.128"}
    lps = geometry.LPS_TO_RAS @ volume.grid.affine
    spacing = geometry.spacing_mm(lps)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(kinds[modality])
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.77{k}")
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SeriesNumber = UID("2.25.1"), UID("2.25.2"), 3
    made.Modality, made.InstanceNumber, made.ImageType = modality, k + 1, ["ORIGINAL", "PRIMARY", "M"]
    made.PatientName, made.PatientID, made.SeriesDescription = "PHANTOM", "PHANTOM", "made by code"
    made.ImagePositionPatient = [f"{x:.10g}" for x in lps[:3, 3] + k * lps[:3, 2]]
    made.ImageOrientationPatient = [
        f"{x:.10g}" for x in np.concatenate([lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]])
    ]
    made.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
    made.SliceThickness = f"{spacing[2]:.10g}"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Columns, made.Rows = volume.data.shape[:2]
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = np.ascontiguousarray(volume.data[:, :, k].T).astype("<u2").tobytes()
    return made


def write_series_of(
    volume: Volume, folder: Path, *, modality: str = "MR", edit: Callable[[Any, int], None] = lambda made, k: None
) -> Path:
    """A single-frame DICOM series of `volume` (whole numbers below 4096); `edit(data set, slice)` may change each."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = volume.data.shape[2]
    for k in range(slices):
        made = _single_frame(volume, k, modality)
        edit(made, k)
        # Names in an order that is not the slices': a reader that trusts them shows.
        made.save_as(folder / f"{(k * 5 + 3) % slices:03d}.dcm", enforce_file_format=True)
    return folder


def write_enhanced_of(volume: Volume, path: Path, *, volumes: int = 1) -> Path:
    """An enhanced MR file of `volume`, frames in a shuffled order; volume `v` of several is `volume` + 100 `v`."""
    from pydicom import Dataset
    from pydicom.uid import UID

    def holding(keyword: str, **values: Any) -> Any:
        outer, inner = Dataset(), Dataset()
        for name, value in values.items():
            setattr(inner, name, value)
        setattr(outer, keyword, [inner])
        return outer

    slices = volume.data.shape[2]
    made = _single_frame(volume, 0, "MR")
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4.1")
    orientation, spacing = made.ImageOrientationPatient, made.PixelSpacing
    del made.ImagePositionPatient, made.ImageOrientationPatient, made.PixelSpacing, made.SliceThickness
    shared = holding("PlaneOrientationSequence", ImageOrientationPatient=orientation)
    shared.update(holding("PixelMeasuresSequence", PixelSpacing=spacing, SliceThickness="4"))
    made.SharedFunctionalGroupsSequence = [shared]
    order = [(int(n) % slices, int(n) // slices) for n in np.random.default_rng(3).permutation(slices * volumes)]
    groups, frames = [], []
    for k, v in order:
        group = holding(
            "PlanePositionSequence", ImagePositionPatient=_single_frame(volume, k, "MR").ImagePositionPatient
        )
        group.update(holding("FrameContentSequence", DimensionIndexValues=[v + 1, k + 1]))
        group.update(
            holding("PixelValueTransformationSequence", RescaleSlope="2", RescaleIntercept=f"{100 * v - 2 * k}")
        )
        groups.append(group)
        frames.append(((volume.data[:, :, k].T + 2 * k) / 2).astype("<u2"))
    made.PerFrameFunctionalGroupsSequence = groups
    made.NumberOfFrames = len(order)
    made.PixelData = np.stack(frames).tobytes()
    made.save_as(path, enforce_file_format=True)
    return path


def make_dicom_series(folder: Path) -> Example:
    volume = known_volume()
    return Example(write_series_of(volume, folder / "series"), volume.data, volume.grid.affine)


def make_dicom_enhanced(folder: Path) -> Example:
    volume = known_volume()
    even = Volume(2 * np.floor(volume.data / 2), volume.grid)
    return Example(write_enhanced_of(even, folder / "scan.dcm"), even.data, even.grid.affine)


EXAMPLES: dict[str, Callable[[Path], Example]] = {
    "nifti": make_nifti,
    "mgz": make_mgz,
    "picture": make_picture,
    "dicom-nm": make_dicom_nm,
    "dicom-series": make_dicom_series,
    "dicom-enhanced": make_dicom_enhanced,
}
"""Reader name -> maker of an example. A new reader adds its maker here and thereby joins the conformance suite."""


@pytest.fixture(params=sorted(READERS))
def reader_name(request: pytest.FixtureRequest) -> str:
    """Each registered reader in turn."""
    return str(request.param)


@pytest.fixture
def example(reader_name: str, tmp_path: Path) -> Example:
    """A valid file of `reader_name`."""
    assert reader_name in EXAMPLES, f"add a maker for {reader_name} to EXAMPLES in tests/formats/conftest.py"
    folder = tmp_path / "example"
    folder.mkdir()
    return EXAMPLES[reader_name](folder)


@pytest.fixture(scope="session")
def write_series() -> Callable[..., Path]:
    """`write_series(volume, folder, modality=, edit=)`: a single-frame DICOM series."""
    return write_series_of


@pytest.fixture(scope="session")
def write_enhanced() -> Callable[..., Path]:
    """`write_enhanced(volume, path, volumes=)`: an enhanced MR file."""
    return write_enhanced_of


@pytest.fixture
def whole_volume() -> Volume:
    """`known_volume()`: whole numbers, unequal axes and spacing, oblique."""
    return known_volume()


@pytest.fixture(scope="session")
def examples() -> dict[str, Callable[[Path], Example]]:
    """All makers by reader name."""
    return EXAMPLES


@dataclass(frozen=True)
class Refusal:
    """How the command line ended, and what that cost."""

    seconds: float
    peak_mb: float
    exit_code: int
    stdout: str
    stderr: str


_WATCHED = """
import atexit, sys
report = sys.argv.pop()
def peak():
    try:
        lines = open("/proc/self/status").read().splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    open(report, "w").write(str(own))
atexit.register(peak)
from dopascope.cli import main
main()
"""


@pytest.fixture(scope="session")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Refusal]:
    """Run `dopascope ARGS` in a process of its own: wall seconds, peak memory of that process, exit code and output.

    Peak memory is read inside the process (VmHWM): the parent's own peak would leak into what wait4 reports.
    """
    report = tmp_path_factory.mktemp("peak") / "peak.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> Refusal:
        start = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-c", _WATCHED, *map(str, arguments), str(report)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        )
        seconds = time.perf_counter() - start
        return Refusal(seconds, float(report.read_text()), ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture(scope="session")
def version_cost(refusal: Callable[..., Refusal]) -> Refusal:
    """What `dopascope --version` costs: the floor that refusals are measured above."""
    runs = [refusal("--version") for _ in range(3)]
    assert all(run.exit_code == 0 for run in runs), runs[0].stderr
    return min(runs, key=lambda run: run.seconds)
