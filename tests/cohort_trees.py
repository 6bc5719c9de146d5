"""A made-up source for each kind of importer, in its documented layout; `word` stands wherever a name could."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image, PngImagePlugin

import ppmi_tree
from canaries import CANARY, GEOMETRY, NAME, every_tag, plant_some, rewrite
from dopascope.formats import write_nm
from dopascope.volume import Grid, Volume

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


SPARED = (*GEOMETRY, "BurnedInAnnotation", "RecognizableVisualFeatures")
"""Tags without which a file is not read, or not let through."""


@dataclass(frozen=True)
class Tree:
    """A source and what is right to find in it."""

    source: Path
    rows: int
    """Scans that are to be taken."""
    words: tuple[str, ...] = ()
    """Further words of the command line that it needs."""
    table: Path | None = None
    """The table that says who is who, where there is one."""
    key: str = ""
    """A column of that table without which it cannot be meant."""
    scans: list[Path] = field(default_factory=list)


def nifti(path: Path, seed: int, word: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.random.default_rng(seed).random((7, 8, 9), np.float32), AFFINE)
    image.header["descrip"] = word.encode()
    image.header["aux_file"] = word.encode()
    image.header.set_xyzt_units("mm")
    image.set_sform(AFFINE, 4)
    nibabel.save(image, path)
    return path


def picture(path: Path, seed: int, word: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    said = PngImagePlugin.PngInfo()
    said.add_text("Patient", word)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (9, 7), np.uint8)).save(path, pnginfo=said)
    return path


def dicom(path: Path, seed: int, word: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).random((7, 8, 9), np.float32)
    write_nm(Volume(data, Grid((7, 8, 9), AFFINE)), path, patient_name=NAME if word else "x", patient_id=word or "x")
    return rewrite(path, lambda made: plant_some(made, texts_for(word), SPARED))


def texts_for(word: str) -> list[tuple[int, str]]:
    """Every tag that can hold text, where the canary is wanted; a number that is none makes a file unreadable."""
    return [(tag, vr) for tag, vr in every_tag() if vr not in ("DS", "IS")] if word == CANARY else []


def series(folder: Path, seed: int, word: str = "") -> Path:
    """A folder of single-frame DICOM slices."""
    folder.mkdir(parents=True)
    first = dicom(folder / f"{word}0.dcm", seed)
    for k in range(4):
        made = pydicom.dcmread(first)
        for name in ("DetectorInformationSequence", "FrameIncrementPointer", "SliceVector", "SpacingBetweenSlices"):
            if name in made:
                delattr(made, name)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"2.25.77{seed}{k}"
        made.Modality, made.InstanceNumber, made.NumberOfFrames = "PT", k + 1, 1
        made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 4 * k], [1, 0, 0, 0, 1, 0]
        del made.NumberOfFrames
        made.PixelData = made.PixelData[: made.Rows * made.Columns * 2]
        plant_some(made, texts_for(word), SPARED)
        made.save_as(folder / f"{word}s{k}.dcm")
    first.unlink()
    return folder


def write_csv(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def bids(root: Path, word: str) -> Tree:
    scans = []
    for n in range(3):
        place = root / f"sub-{word}{n}" / "ses-BL"
        scans.append(nifti(place / "spect" / f"sub-{word}{n}_ses-BL_spect.nii.gz", n, word))
        scans.append(nifti(place / "anat" / f"sub-{word}{n}_ses-BL_T1w.nii.gz", n + 10, word))
        said = {"Manufacturer": "GE", "TracerName": "FP-CIT", "PatientName": word, "AttenuationCorrected": True}
        (place / "spect" / f"sub-{word}{n}_ses-BL_spect.json").write_text(json.dumps(said))
    (root / f"sub-{word}0" / f"sub-{word}0_sessions.tsv").write_text(
        "session_id\tage\tacq_time\nses-BL\t71\t2020-01-05\n"
    )
    lines = [
        "participant_id\tage\tsex\tgroup\tnotes",
        *(f"sub-{word}{n}\t7{n}\tfemale\tPD\t{word} was here" for n in range(3)),
    ]
    table = write_csv(root / "participants.tsv", lines)
    return Tree(root, 6, (), table, "participant_id", scans)


def ntua(root: Path, word: str) -> Tree:
    scans = []
    for label, count in (("PD Patients", 2), ("Non PD Patients", 1)):
        for person in range(count):
            place = root / label / f"Subject{word}{person}"
            scans += [picture(place / "0.DAT" / "s1" / f"00{n}.png", person * 9 + n, word) for n in range(2)]
            scans.append(picture(place / "1.MRI" / "3D_Brain_FLAIR_001.png", person * 9 + 5 + count, word))
    return Tree(root, 9, (), None, "", scans)


def challenge(root: Path, word: str) -> Tree:
    scans = [nifti(root / "niftis" / f"{word}{n}.nii.gz", n, word) for n in range(4)]
    table = write_csv(root / "labels.csv", ["id,label,doctor", *(f"{word}{n},{n % 2},Dr {word}" for n in range(4))])
    return Tree(root, 4, ("--label", "0=normal", "--label", "1=abnormal"), table, "id", scans)


def folders(root: Path, word: str) -> Tree:
    scans = [nifti(root / "PD" / f"{word}a" / f"{word}.nii.gz", 1, word)]
    scans.append(dicom(root / "PD" / f"{word}b" / f"{word}.dcm", 2, word))
    scans += [picture(root / f"{word}class" / f"{word}c" / f"{n}.png", 3 + n, word) for n in range(2)]
    series(root / "PD" / f"{word}d", 7, word)
    return Tree(root, 5, (), None, "", scans)


def table(root: Path, word: str) -> Tree:
    scans = [nifti(root / f"{word}dir" / f"{word}{n}.nii.gz", n, word) for n in range(3)]
    lines = ["Who,File,Dx,Gender,Age at scan,UPDRS,Remark"]
    lines += [f"{word}{n},{word}dir/{word}{n}.nii.gz,PD,1,6{n},2{n},seen by {word}" for n in range(3)]
    source = write_csv(root / "people.csv", lines)
    words = ("path=File", "participant_id=Who", "label=Dx", "sex=Gender", "age=Age at scan")
    options = tuple(part for one in words for part in ("--column", one))
    return Tree(source, 3, (*options, "--sex", "1=M"), source, "File", scans)


def ppmi(root: Path, word: str) -> Tree:
    scans: list[Path] = []

    def image(path: Path, seed: int) -> None:
        named = path.with_name(path.name.replace("PPMI_", f"PPMI_{word}_"))
        scans.append((dicom if path.suffix == ".dcm" else nifti)(named, seed, word))

    ppmi_tree.write_images(root, image, 3)
    ppmi_tree.write_tables(root, 3, word)
    collection = next(root.glob("*collection*"))
    wanted = [path for path in scans if "NM_Reconstructed" in path.name]
    return Tree(root, 9, ("--visits", "all"), collection, "Subject", wanted)


TREES: dict[str, Callable[[Path, str], Tree]] = {
    "bids": bids,
    "ntua": ntua,
    "ppmi": ppmi,
    "challenge": challenge,
    "folders": folders,
    "table": table,
}
"""Kind -> what writes its source; a new importer adds one line."""
