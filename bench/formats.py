"""Which reader puts a scan in its right place, and how fast: dopascope beside SimpleITK, dcm2niix, MONAI and nibabel.

    python bench/formats.py --data FOLDER [--repeats 9] [--monai-python PATH]

FOLDER is the folder of licensed scans (DOPASCOPE_DATA). Each reader runs in a process of its own, warm, one thread,
asked in turn (interleaved), so that all meet the same noise. Time is from path to array and affine, in milliseconds;
dcm2niix is a program, so its start and the reading of its NIfTI with nibabel are part of its time. A geometry error is
the largest distance between corresponding corner voxels after both were turned to the nearest RAS order. Truths: the
published NIfTI where there is one, else the words of the DICOM standard worked out here with pydicom.
MONAI is heavy: `--monai-python` names an interpreter that has it; without it the table says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
RIGHT_MM = 0.01
SAME_VALUES = 1e-4
"""Of the largest value: more than this apart is another image."""

Image = tuple[np.ndarray, np.ndarray]


# Readers: path of a file or folder -> array (I, J, K) and RAS affine


def by_dopascope(path: Path) -> Image:
    from dopascope.formats import load

    volume = load(path)
    return volume.data, volume.grid.affine


def by_simpleitk(path: Path) -> Image:
    import SimpleITK

    if path.is_dir():
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        image = reader.Execute()
    else:
        image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).T, np.diag([-1, -1, 1, 1]) @ affine


def by_dcm2niix(path: Path) -> Image:
    import dcm2niix
    import nibabel

    with tempfile.TemporaryDirectory() as folder:
        one_file = ["-s", "y"] if path.is_file() else []
        command = [dcm2niix.bin, "-z", "n", "-b", "n", *one_file, "-o", folder, "-f", "out", str(path)]
        subprocess.run(command, capture_output=True, check=True)
        made = sorted(Path(folder).glob("*.nii"))
        if len(made) != 1:
            raise RuntimeError(f"{len(made)} images")
        image = nibabel.load(made[0])
        return np.array(image.dataobj), image.affine  # copied: the file is gone when this returns


def by_monai(path: Path) -> Image:
    from monai.data.image_reader import NibabelReader, PydicomReader

    reader = NibabelReader() if ".nii" in path.name else PydicomReader()
    data, facts = reader.get_data(reader.read(str(path)))
    return np.asarray(data), np.asarray(facts["affine"], float)


def by_nibabel(path: Path) -> Image:
    import nibabel

    if ".nii" in path.name:
        image = nibabel.load(path)
        return np.asarray(image.get_fdata(dtype=np.float32)), image.affine
    if path.is_dir():
        raise RuntimeError("does not assemble series")
    from nibabel.nicom.dicomwrappers import wrapper_from_file

    wrapped = wrapper_from_file(str(path))
    return wrapped.get_data(), np.diag([-1, -1, 1, 1]) @ wrapped.affine


READERS: dict[str, Callable[[Path], Image]] = {
    "dopascope": by_dopascope,
    "SimpleITK": by_simpleitk,
    "dcm2niix": by_dcm2niix,
    "MONAI": by_monai,
    "nibabel": by_nibabel,
}
PACKAGES = {"MONAI": "monai", "nibabel": "nibabel", "dcm2niix": "dcm2niix", "SimpleITK": "SimpleITK"}


# Truths


def nuclear_truth(path: Path) -> Image:
    """PS3.3 C.8.4.11 and C.8.4.15, as in dopascope's documentation, written out once more."""
    import pydicom

    made = pydicom.dcmread(path)
    detector = made.DetectorInformationSequence[0]
    row, column = np.array(detector.ImageOrientationPatient, float).reshape(2, 3)
    spacing = float(made.get("SpacingBetweenSlices") or made.SliceThickness)
    affine = np.eye(4)
    affine[:3, 0] = row * float(made.PixelSpacing[1])
    affine[:3, 1] = column * float(made.PixelSpacing[0])
    affine[:3, 2] = np.cross(row, column) * spacing
    affine[:3, 3] = detector.ImagePositionPatient
    return made.pixel_array.T * float(made.get("RescaleSlope", 1)), np.diag([-1, -1, 1, 1]) @ affine


def series_truth(folder: Path) -> Image:
    """PS3.3 C.7.6.2: slices along the normal, first to last."""
    import pydicom

    slices = [pydicom.dcmread(path) for path in folder.rglob("*") if path.is_file()]
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    slices.sort(key=lambda one: float(np.array(one.ImagePositionPatient, float) @ np.cross(row, column)))
    first, last = (np.array(slices[k].ImagePositionPatient, float) for k in (0, -1))
    affine = np.eye(4)
    affine[:3, 0] = row * float(slices[0].PixelSpacing[1])
    affine[:3, 1] = column * float(slices[0].PixelSpacing[0])
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    values = [
        one.pixel_array * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0)) for one in slices
    ]
    return np.stack(values).T, np.diag([-1, -1, 1, 1]) @ affine


def nifti_truth(path: Path) -> Image:
    import nibabel

    image = nibabel.load(path)
    return np.squeeze(image.get_fdata()), image.affine


@dataclass(frozen=True)
class Case:
    name: str
    path: Path
    truth: Image


def cases(data: Path, work: Path) -> list[Case]:
    """Every scan with a truth, smallest first of each kind."""
    found = [Case("NM Mediso RECON TOMO", path := data / "nm_pet_dicom/glpoli_nmqc/Jaszack.dcm", nuclear_truth(path))]
    found += [Case(f"NM {path.stem}", path, nuclear_truth(path)) for path in written_nuclear(work)]
    root = data / "mr_dicom/dicom2nifti"
    for truth in sorted(root.rglob("*_ground_truth.nii.gz")):
        folder = Path(str(truth).removesuffix("_ground_truth.nii.gz"))
        files = [path for path in folder.iterdir() if path.is_file()]
        path = files[0] if len(files) == 1 else folder
        found.append(Case(str(folder.relative_to(root)), path, nifti_truth(truth)))
    for name in (
        *("dcm_qa_decubitus/HFS_t1_fl2d_sag", "dcm_qa_decubitus/HFP_t1_fl2d_sag", "ibsi2_digital/orientation_dicom"),
        *("../nm_pet_dicom/mirp_sts001_fdg_pet/STS_001_FDG_PET", "datalad_t1w/T1w_dicoms"),
    ):
        folder = unpacked(data / "mr_dicom" / f"{name}.zip", work)
        found.append(
            Case(f"{folder.name} ({sum(1 for _ in folder.rglob('*.dcm'))} files)", folder, series_truth(folder))
        )
    for name in ("t1_mri/ixi012_2mm/IXI012-HH-1211_T1.nii.gz", "t1_mri/seg3d_patient/MR.nii.gz"):
        found.append(Case(Path(name).name, data / name, nifti_truth(data / name)))
    return found


def written_nuclear(work: Path) -> list[Path]:
    """One known volume as NM with positive, negative and absent spacing."""
    import pydicom

    from dopascope.formats import write_nm
    from dopascope.volume import Grid, Volume

    counts = np.random.default_rng(1).poisson(40, (128, 120, 90))
    affine = np.diag([-3.0, -3.1, 3.3, 1.0])
    affine[:3, 3] = [190, 180, -140]
    volume = Volume(counts, Grid(counts.shape, affine))
    made = [
        write_nm(volume, work / f"spacing {word}.dcm", spacing_sign=s)
        for s, word in ((1, "positive"), (-1, "negative"))
    ]
    absent = pydicom.dcmread(made[0])
    del absent.SpacingBetweenSlices
    absent.save_as(work / "spacing absent.dcm")
    return [*made, work / "spacing absent.dcm"]


def unpacked(path: Path, work: Path) -> Path:
    folder = work / path.stem
    with zipfile.ZipFile(path) as opened:
        for member in opened.infolist():
            if not member.is_dir():
                folder.mkdir(exist_ok=True)
                (folder / Path(member.filename).name).write_bytes(opened.read(member))
    return folder


# Measuring


def serve(name: str) -> None:
    """Answer `path` lines on standard input with one JSON line each: milliseconds, and where the result lies."""
    read = READERS[name]
    answer = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        said: dict[str, Any] = {}
        try:
            start = time.perf_counter()
            data, affine = read(Path(asked["path"]))
            said["ms"] = (time.perf_counter() - start) * 1000
            if asked.get("save"):
                np.savez(asked["save"], data=np.asarray(data, np.float32), affine=affine)
            del data
        except Exception as error:
            said["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        print(json.dumps(said), file=answer, flush=True)


class Peer:
    def __init__(self, name: str, python: str) -> None:
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
        self.process = subprocess.Popen(
            [python, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, path: Path, save: Path | None = None) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"path": str(path), "save": str(save or "")}), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "the reader died"}')
        return answer


def installed(python: str, package: str) -> str | None:
    script = f"from importlib.metadata import version; print(version({package!r}))"
    ended = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    return ended.stdout.strip() or None


def judged(saved: Path, truth: Image) -> dict[str, Any]:
    """Geometry error in mm and whether the voxels are the same, both in the nearest RAS order."""
    import nibabel

    from dopascope.volume import Grid

    found = np.load(saved)
    if found["data"].ndim != 3:
        squeezed = np.squeeze(found["data"])
        if squeezed.ndim != 3:
            return {"wrong": f"an array of {found['data'].shape}"}
    else:
        squeezed = found["data"]
    ours, theirs = (
        nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(data, np.float32), affine))
        for data, affine in ((squeezed, found["affine"]), truth)
    )
    if ours.shape != theirs.shape:
        return {"wrong": f"shape {ours.shape}, not {theirs.shape}"}
    mm = Grid(ours.shape, ours.affine).distance_mm(Grid(theirs.shape, theirs.affine))
    a, b = np.asarray(ours.dataobj), np.asarray(theirs.dataobj)
    same = bool(np.abs(a - b).max() <= SAME_VALUES * np.abs(b).max())
    return {"mm": mm, "same_voxels": same, "right": same and mm <= RIGHT_MM}


def measure(case: Case, peers: list[Peer], repeats: int, work: Path) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for peer in peers:
        saved = work / "found.npz"
        said = peer.ask(case.path, saved)
        results[peer.name] = said if "error" in said else judged(saved, case.truth)
    times: dict[str, list[float]] = {peer.name: [] for peer in peers if "error" not in results[peer.name]}
    for turn in range(repeats + 1):
        for peer in peers:
            if peer.name in times:
                said = peer.ask(case.path)
                if turn:
                    times[peer.name].append(said["ms"])
    for name, taken in times.items():
        results[name] |= {"ms": statistics.median(taken), "min_ms": min(taken), "max_ms": max(taken)}
    return results


def table(record: dict[str, Any]) -> str:
    names = list(READERS)
    lines = [
        "# Reading: who is right, and how fast",
        "",
        f"{record['machine']}. Median (fastest to slowest) of {record['repeats']} interleaved reads, ms; a geometry",
        f"error is printed in mm where it is above {RIGHT_MM}. Versions: "
        + ", ".join(f"{name} {version or 'not installed'}" for name, version in record["versions"].items())
        + ".",
        "",
        f"| scan | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for case, results in record["cases"].items():
        lines.append(f"| {case} | {' | '.join(cell(results.get(name)) for name in names)} |")
    wrong = {
        name: sum(1 for results in record["cases"].values() if not results.get(name, {}).get("right")) for name in names
    }
    lines += ["", "Not right or not read: " + ", ".join(f"{name} {count}" for name, count in wrong.items())]
    return "\n".join(lines) + f" of {len(record['cases'])}.\n"


def cell(result: dict[str, Any] | None) -> str:
    if result is None:
        return "not installed"
    if "error" in result:
        return f"refused: {result['error']}".replace("|", "/")
    faults = [f"**{result['wrong']}**"] if "wrong" in result else []
    faults += [f"**{result['mm']:.3g} mm off**"] if result.get("mm", 0) > RIGHT_MM else []
    faults += [] if result.get("same_voxels", True) else ["**other voxels**"]
    spread = f"{result['ms']:.1f} ({result['min_ms']:.1f} to {result['max_ms']:.1f})"
    return ", ".join([*faults, spread])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DOPASCOPE_DATA"))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--monai-python", default=sys.executable)
    parser.add_argument("--only", default="", help="part of a scan's name")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.data is None and not chosen.serve:
        parser.error("--data or DOPASCOPE_DATA must name the folder of licensed scans (docs/testing.md)")
    if chosen.serve:
        serve(chosen.serve)
        return
    pythons = {name: chosen.monai_python if name == "MONAI" else sys.executable for name in READERS}
    versions = {name: installed(pythons[name], PACKAGES.get(name, name)) for name in READERS}
    peers = [Peer(name, pythons[name]) for name, version in versions.items() if version]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        record = {
            "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.2f}",
            "repeats": chosen.repeats,
            "versions": versions,
            "cases": {
                case.name: measure(case, peers, chosen.repeats, work)
                for case in cases(Path(chosen.data), work)
                if chosen.only in case.name
            },
        }
    text = table(record)
    if not chosen.only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "formats.json").write_text(json.dumps(record, indent=2) + "\n")
        (RESULTS / "formats.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
