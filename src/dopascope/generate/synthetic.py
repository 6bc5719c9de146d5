"""A synthetic cohort on disk: images that say SYNTHETIC in pixels and header, and a table with their lineage."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import formats, provenance
from dopascope.batch.sheet import cell_text
from dopascope.cohort import COLUMNS, CohortScan, read_cohort
from dopascope.errors import UnreadableError, UsageError
from dopascope.generate.asking import Asked, Request, asked
from dopascope.generate.frames import Frame, frame
from dopascope.generate.lineage import Lineage
from dopascope.generate.marking import WORD, marked, unmarked
from dopascope.learn.generative.padding import cut_back
from dopascope.volume import Grid, Volume

FORM: Final = "dopascope.synthetic/1"
TABLE: Final = "cohort.tsv"
RECORD: Final = "synthetic.json"
IMAGES: Final = "images"
MODALITY: Final = "synthetic-{}"
"""No modality of a real scan, so that nothing takes these images for scans."""
SUFFIXES: Final = {"nifti": ".nii.gz", "png": ".png"}
FURTHER: Final = ("synthetic", "number", "seed", "generator_sha256", "parents_fold", "parents_splits_sha256")
AT_ONCE: Final = 16
LEVELS: Final = 255


@dataclass(frozen=True)
class Synthetic:
    """The images of a synthetic cohort and what was asked for."""

    frame: Frame
    scans: list[CohortScan]
    images: NDArray[np.float32]
    """(N, C, I, J[, K]) from 0 to 1, without the band."""
    record: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        """The class asked for, of each."""
        return [str(scan.label) for scan in self.scans]

    def asked_for(self, condition: str) -> NDArray[np.float64]:
        """The value asked for (N,), NaN where left open."""
        return np.array([float(scan.further.get(f"asked_{condition}", "nan")) for scan in self.scans])


def sample(
    lineage: Lineage, request: Request, out: Path, *, progress: Callable[[int, int], None] = lambda _done, _kept: None
) -> Path:
    """Draw a synthetic cohort; the same call goes on after an interruption, and ends with the same images.

    Args:
        lineage: of the generator.
        request: what is drawn.
        out: the folder.
        progress: told of how many images are done, and how many of these were there before.

    Returns:
        The path of the cohort table.

    Raises:
        UsageError: what cannot be asked of this generator, or `out` holds anything else.
        BundleError: the generator's file is not the one that was fitted.
        OSError: `out` cannot be written.
    """
    made, known = lineage.generator(), frame(lineage.frame)
    _check_format(request, known)
    made.how(request.sampler, request.steps, request.guidance)
    wanted = asked(request, made.plan, lineage.parents)
    _claim(out, lineage, request)
    names = [f"synthetic-{request.seed}-{number:06d}" for number in range(len(wanted.classes))]
    paths = [Path(IMAGES) / f"{name}{SUFFIXES[request.format]}" for name in names]
    kept = 0
    for start in range(0, len(names), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        if all((out / path).is_file() for path in paths[part]):
            kept += len(paths[part])
        else:
            drawn = made.sample(
                wanted.classes[part],
                {name: values[part] for name, values in wanted.conditions.items()},
                seed=request.seed,
                first=start,
                batch=AT_ONCE,
                sampler=request.sampler,
                steps=request.steps,
                guidance=request.guidance,
            )
            images = cut_back(drawn, known.shape).clamp(0, 1).numpy()
            for number, (path, image) in enumerate(zip(paths[part], images, strict=True), start):
                write_image(out / path, known, image, _note(lineage, request, number))
        progress(min(start + AT_ONCE, len(names)), kept)
    _write_table(out, lineage, request, wanted, names, paths)
    return out / TABLE


def read_synthetic(folder: Path) -> Synthetic:
    """The images of a synthetic cohort, without their band.

    Raises:
        UsageError: it is no such folder, or its drawing was interrupted.
        UnreadableError: a file is damaged, or an image is not marked.
    """
    record = _record(folder)
    if record is None or not (folder / TABLE).is_file():
        raise UsageError(
            "This is no folder of synthetic images.",
            where=folder,
            found=f"no {RECORD}" if record is None else f"no {TABLE}: the drawing did not end",
            expected="the --out of a finished `dopascope generate sample`",
            fix="Correct the path; or run generate sample again, which goes on.",
        )
    known = frame(record["frame"])
    scans = read_cohort(folder / TABLE)
    images = np.stack([known.image(unmarked(_data(scan.path, known.top), where=scan.path)) for scan in scans])
    if images.shape[1:] != known.shape:
        raise UnreadableError(
            "The synthetic images have another shape than their record says.",
            where=folder,
            found=images.shape[1:],
            expected=known.shape,
            fix="Draw them again.",
        )
    return Synthetic(known, scans, images, record)


def _data(path: Path, top: float) -> NDArray[np.float32]:
    """The pixels `(I, J, K)` in units of the intensity scale, band included."""
    image = formats.load(path)
    if isinstance(image, Volume):
        return image.data
    return np.ascontiguousarray(image.data[::-1, ::-1].T[:, :, None] * np.float32(top / LEVELS))


def write_image(path: Path, known: Frame, image: NDArray[np.float32], note: str) -> None:
    """Write one image `(C, I, J[, K])`, 0 to 1, as NIfTI or PNG with the band, `note` in its header."""
    volume = known.volume(image)
    data = marked(volume.data, known.top)
    if path.suffix == ".png":
        provenance.write_bytes(path, _png(data[:, :, 0] / known.top, note))
        return
    affine = volume.grid.affine.copy()
    rows = data.shape[1] - volume.data.shape[1]
    affine[:3, 3] -= rows * affine[:3, 1]
    shape = data.shape[0], data.shape[1], data.shape[2]
    formats.save_nifti(Volume(data, Grid(shape, affine)), path, code=4, note=note)


def _png(plane: NDArray[np.float32], note: str) -> bytes:
    """A plane from 0 to 1 in 8 bits, rows from front to back, the subject's right on the left."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Description", note)
    levels = np.rint(np.clip(plane, 0, 1) * LEVELS).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels.T[::-1, ::-1])).save(stream, "PNG", pnginfo=about)
    return stream.getvalue()


def _note(lineage: Lineage, request: Request, number: int) -> str:
    return f"{WORD} dopascope {lineage.generator_sha256[:16]} seed {request.seed} image {number}"


def _write_table(
    out: Path, lineage: Lineage, request: Request, wanted: Asked, names: list[str], paths: list[Path]
) -> None:
    conditions = [f"asked_{name}" for name in wanted.conditions]
    lines: list[tuple[str, ...]] = [(*COLUMNS, *FURTHER, *conditions, "parents")]
    parents = ",".join(one.scan_id for one in lineage.parents)
    for number, name in enumerate(names):
        age = wanted.conditions.get("age", [np.nan] * len(names))[number]
        row: dict[str, object] = {
            "participant_id": name,
            "scan_id": name,
            "path": paths[number].as_posix(),
            "modality": MODALITY.format(frame(lineage.frame).modality.name),
            "label": wanted.classes[number],
            "age": None if np.isnan(age) else float(age),
            "synthetic": True,
            "number": number,
            "seed": request.seed,
            "generator_sha256": lineage.generator_sha256,
            "parents_fold": lineage.fold,
            "parents_splits_sha256": lineage.splits_sha256,
            "parents": parents,
        }
        for condition, values in wanted.conditions.items():
            row[f"asked_{condition}"] = None if np.isnan(values[number]) else float(values[number])
        lines.append(tuple(cell_text(row.get(column)) for column in lines[0]))
    provenance.write_text(out / TABLE, "".join("\t".join(line) + "\n" for line in lines))


def _claim(out: Path, lineage: Lineage, request: Request) -> None:
    """Make `out` this cohort's, or see that it is."""
    said = {
        "form": FORM,
        "marked": f"{WORD} in the first rows of every plane and in every header",
        "family": lineage.family,
        "frame": lineage.frame,
        "generator_sha256": lineage.generator_sha256,
        "parents_fold": lineage.fold,
        "request": request.as_dict() | {"open": list(request.open)},
    }
    found = _record(out)
    if found is not None and found != said:
        raise UsageError(
            "The folder holds another synthetic cohort.",
            where=out / RECORD,
            found=f"generator {found.get('generator_sha256', '')[:16]}, {found.get('request')}",
            expected="the same generator and the same request",
            fix="Name another folder with --out.",
        )
    strange = sorted(one.name for one in out.iterdir()) if found is None and out.is_dir() else []
    if strange:  # such as a real cohort, whose table would be overwritten
        raise UsageError(
            "The folder holds something else.",
            where=out,
            found=", ".join(strange[:5]) + (", ..." if len(strange) > 5 else ""),
            expected="an empty folder, a new one, or the same synthetic cohort",
            fix="Name another folder with --out; nothing was changed.",
        )
    provenance.check_writable(out)
    provenance.write_text(out / RECORD, json.dumps(said, indent=2, ensure_ascii=False) + "\n")


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UnreadableError(
            "The record of the synthetic cohort is damaged.",
            where=folder / RECORD,
            found=error,
            expected=FORM,
            fix="Draw the images again into another folder.",
        ) from error
    return found


def _check_format(request: Request, known: Frame) -> None:
    if request.format not in SUFFIXES:
        raise _wrong("--format", request.format, ", ".join(SUFFIXES))
    if request.format == "png" and known.grid.shape[2] != 1:
        raise _wrong("--format", "png", f"nifti: an image of {known.name} has {known.grid.shape[2]} planes")


def _wrong(where: str, found: object, expected: str) -> UsageError:
    return UsageError(
        "The images cannot be written so.", where=where, found=found, expected=expected, fix="Correct it."
    )
