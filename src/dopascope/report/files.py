"""Writing a report: all parts are made before the first byte goes to disk, and each is written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dopascope import provenance
from dopascope.errors import DopascopeError, UsageError
from dopascope.reading import counterfactual
from dopascope.reading.images import Examination, Images
from dopascope.reading.t1 import MASK_FILE
from dopascope.report import figures, tiles

FORMATS: Final = {"pdf": "report.pdf", "html": "report.html", "json": "reading.json"}
"""Parts of a report and their file names; `reading.json` comes last, so that where it is, the rest is too."""


def write(
    examination: Examination, out_dir: str | Path, *, formats: Iterable[str] = ("json", "html", "pdf")
) -> dict[str, Path]:
    """Write the chosen parts of a report into `out_dir`, which is made where it is missing.

    The same examination gives the same bytes, `created` being part of it.

    Returns:
        Format to path, for the formats asked for, and the evidence maps that go with the JSON.

    Raises:
        UsageError: an unknown format.
        DopascopeError: the disk refuses; no half-written file is left.
    """
    wanted = set(formats)
    if unknown := wanted - set(FORMATS):
        raise UsageError(
            "There is no such report format.",
            where="formats",
            found=", ".join(sorted(unknown)),
            expected=", ".join(sorted(FORMATS)),
            fix="Correct the name.",
        )
    contents: dict[str, bytes] = {}
    drawn = figures.draw(examination) if wanted & {"html", "pdf"} else figures.Figures()
    if "pdf" in wanted:
        from dopascope.report import pdf

        contents["pdf"] = pdf.render(examination, drawn)
    if "html" in wanted:
        from dopascope.report import html

        contents["html"] = html.render(examination, drawn).encode()
    if "json" in wanted:
        contents["json"] = (examination.reading.to_json() + "\n").encode()
    maps = _write_maps(examination, Path(out_dir)) if "json" in wanted else {}
    return maps | {name: save(Path(out_dir) / FORMATS[name], data) for name, data in contents.items()}


def _write_maps(examination: Examination, out_dir: Path) -> dict[str, Path]:
    """What the reading names a file for: evidence on the MNI grid, a brain mask on the scan's, a simulated picture."""
    if not isinstance(examination.images, Images):
        return {}
    from dopascope import formats

    written: dict[str, Path] = {}
    # An earlier reading's maps would stand beside this one's report as if they were its own.
    for stale in (*out_dir.glob("evidence-*.nii.gz"), *out_dir.glob(MASK_FILE), *out_dir.glob(counterfactual.FILE)):
        stale.unlink()
    if examination.images.changed is not None:
        picture = out_dir / examination.images.changed.part.file
        written["simulation"] = save(picture, tiles.in_a_row([*figures.changed_tiles(examination.images.changed)]))
    brain = examination.images.brain
    if examination.reading.brain is not None and brain is not None:
        written["brain mask"] = out_dir / examination.reading.brain.file
        with _told_in_our_words(written["brain mask"]):
            out_dir.mkdir(parents=True, exist_ok=True)
            formats.save_nifti(brain, written["brain mask"])
    for part in examination.reading.maps:
        if part.file is not None and part.reader in examination.images.evidence:
            written[f"map of {part.reader}"] = out_dir / part.file
            with _told_in_our_words(out_dir / part.file):
                out_dir.mkdir(parents=True, exist_ok=True)
                formats.save_nifti(examination.images.evidence[part.reader], out_dir / part.file)
    return written


def save(path: Path, data: bytes) -> Path:
    """Write `data` to `path`, whole or not at all.

    Raises:
        DopascopeError: the disk refuses.
    """
    with _told_in_our_words(path):
        provenance.write_bytes(path, data)
    return path


@contextmanager
def _told_in_our_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DopascopeError(
            "The report could not be written.",
            where=path,
            found=error.strerror or str(error),
            expected="a folder that can be written to, with space left",
            fix="Choose another folder, or make room and run the command again.",
        ) from error
