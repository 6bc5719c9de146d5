"""One scan as it would look with another ratio: what a generator has learned of severity, on the scan's own picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope import formats, provenance
from dopascope.errors import UsageError
from dopascope.generate.frames import Frame, frame
from dopascope.generate.lineage import Lineage
from dopascope.generate.marking import WORD
from dopascope.generate.read_off import DAT
from dopascope.generate.synthetic import write_image
from dopascope.learn.generative.counterfactual import counterfactual
from dopascope.learn.generative.padding import cut_back, padded
from dopascope.report.generated_pictures import grid

FORM: Final = "dopascope.change/1"
RECORD: Final = "change.json"
PICTURE: Final = "change.png"
CONDITION: Final = "sbr"


@dataclass(frozen=True)
class Changed:
    """Images `(C, I, J[, K])` of one scan under other ratios."""

    frame: Frame
    original: NDArray[np.float32]
    present: float
    """Ratio of the lower putamen, read off the original."""
    wanted: list[float]
    images: list[NDArray[np.float32]]
    found: list[float]
    """The same ratio, read off each image."""


def change(
    lineage: Lineage, image: NDArray[np.float32], label: str, wanted: Sequence[float], *, age: float | None = None
) -> Changed:
    """The image with each of these ratios; see `learn.generative.counterfactual`.

    Args:
        lineage: of a generator that was fitted with the condition `sbr`.
        image: (C, I, J[, K]) from 0 to 1, of the generator's frame.
        label: the scan's class.
        wanted: ratios of the lower putamen.
        age: in years, for generators that know it; left open when omitted.

    Raises:
        UsageError: the generator knows no ratio or no such class, or cannot tell the code of an image; or no ratio is
            asked for.
    """
    made, known = lineage.generator(), frame(lineage.frame)
    if CONDITION not in made.plan.conditions:
        raise UsageError(
            "This generator knows no ratio.",
            where="GENERATOR",
            found=f"conditions {', '.join(made.plan.conditions) or 'none'}",
            expected=CONDITION,
            fix="Fit one with --condition sbr.",
        )
    if not wanted or not np.isfinite(wanted).all():
        told = ", ".join(f"{one:g}" for one in wanted) or "none"
        raise UsageError(
            "No ratio is asked for.", where="--sbr", found=told, expected="one finite number or more", fix="Give --sbr."
        )
    present = float(known.quantities(image[None])["putamen"][0])
    count = len(wanted)
    images = padded(torch.from_numpy(np.repeat(image[None], count, 0)))
    conditions = {CONDITION: [present] * count}
    if "age" in made.plan.conditions:
        conditions["age"] = [np.nan if age is None else age] * count
    answer = counterfactual(made, images, [label] * count, conditions, wanted={CONDITION: list(wanted)})
    changed = cut_back(answer.images, known.shape).clamp(0, 1).numpy()
    found = known.quantities(changed)["putamen"].tolist()
    return Changed(known, image, present, list(wanted), list(changed), found)


def write(changed: Changed, lineage: Lineage, out: Path, *, source_sha256: str | None) -> dict[str, Any]:
    """Write every image as NIfTI marked SYNTHETIC, a picture of all beside the original, and `change.json`.

    Raises:
        OSError: the folder cannot be written.
    """
    provenance.check_writable(out)
    names = []
    for wanted, image in zip(changed.wanted, changed.images, strict=True):
        names.append(f"sbr-{wanted:.2f}.nii.gz")
        note = f"{WORD} dopascope {lineage.generator_sha256[:16]} scan changed to ratio {wanted:.2f}"
        write_image(out / names[-1], changed.frame, image, note)
    planes = [changed.frame.plane(image) for image in changed.images]
    rows = {", ".join(f"{one:.2f}" for one in changed.wanted): planes}
    provenance.write_bytes(out / PICTURE, grid(rows, f"ratio {changed.present:.2f} in the scan, changed to:"))
    said = {
        "form": FORM,
        "source_sha256": source_sha256,
        "generator_sha256": lineage.generator_sha256,
        "simulated": lineage.simulated,
        "present": changed.present,
        "images": [
            {"file": name, "asked": asked, "found": found}
            for name, asked, found in zip(names, changed.wanted, changed.found, strict=True)
        ],
        "meaning": "what this generator has learned of severity, not what will become of the person",
        "software": provenance.software(),
    }
    provenance.write_text(out / RECORD, json.dumps(said, indent=2) + "\n")
    return said


def image_of(scan: Path, known: Frame) -> tuple[NDArray[np.float32], str | None]:
    """A DaT scan, registered, as the frame shows it; and its SHA-256.

    Raises:
        InputError: it cannot be read, registered or scaled.
        UnsuitableError: its passport refuses it.
        UsageError: it is a picture of one slice, or the frame is none of DaT scans.
    """
    from dopascope import passport, space
    from dopascope.batch.load import refuse
    from dopascope.space.intensity import reference_value
    from dopascope.space.views import VIEWS
    from dopascope.volume import Volume

    if known.modality is not DAT:
        raise UsageError(
            "Only generators of DaT scans know a ratio.",
            where="GENERATOR",
            found=f"frame {known.name}",
            expected="a generator of DaT scans that was fitted with --condition sbr",
            fix="Name another generator.",
        )
    loaded = formats.load(scan)
    if not isinstance(loaded, Volume):
        raise UsageError(
            "A picture of one slice is no scan.", where=scan, expected="a scan", fix="Give the scan itself."
        )
    refuse(passport.inspect(loaded))
    registration = space.register(loaded)
    refuse(passport.inspect(loaded, registration))
    placed = space.normalise(loaded, registration)
    view = VIEWS[known.sight.view].take(placed)[None]
    references = [{name: reference_value(placed, name) for name in known.sight.intensity}]
    return known.sight.images(view, references).numpy()[0], loaded.source.sha256 if loaded.source else None
