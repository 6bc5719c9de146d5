"""What synthetic images are worth: like real ones, as varied, of the class and ratio asked for, and no copies?

Everything is compared with held-out people, whom the generator never saw, and every distance stands beside that of
real images against real ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.batch.drive import Outcome, Runner
from dopascope.bundle import Bundle
from dopascope.cohort.splits import read_splits
from dopascope.errors import LeakError, UnsuitableError, UsageError
from dopascope.generate.classes import asked, by_class, quantities, reader
from dopascope.generate.copies import copies
from dopascope.generate.frames import Frame, frame
from dopascope.generate.lineage import SPLITS, VIEWS, Lineage
from dopascope.generate.material import Material, chosen_scans, gather
from dopascope.generate.synthetic import Synthetic
from dopascope.generate.verdict import verdict
from dopascope.report.generated import Pair, Shown
from dopascope.score import generated as figures
from dopascope.score.generated.coverage import K
from dopascope.score.generated.features import COMPONENTS

Floats = NDArray[np.float64]
Features = Callable[[NDArray[np.float32]], Floats]
FORM: Final = "dopascope.generated/1"
SHOWN: Final = 8
"""Images of each class on the page."""
LEAST: Final = 8
"""Held-out and synthetic images: halves of fewer have no floor."""


@dataclass(frozen=True)
class FeatureSet:
    """A way to see images as rows of numbers."""

    name: str
    of: Features


def material_of(
    lineage: Lineage,
    cohort: Path,
    *,
    cache: Path,
    runner: Runner | None = None,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Material:
    """The fold that a generator was fitted on, of the same cohort table.

    Raises:
        UsageError: another table.
        InputError: see `material.gather`.
    """
    found = provenance.sha256_of(cohort)
    if found != lineage.cohort_sha256:
        raise UsageError(
            "This is not the cohort table that the generator was fitted on.",
            where="--cohort",
            found=f"{cohort.name}, sha256 {found[:16]}",
            expected=f"{lineage.cohort}, sha256 {lineage.cohort_sha256[:16]}",
            fix="Give that table.",
        )
    places = read_splits(lineage.folder / SPLITS)
    taken = {place.scan_id for place in places}
    scans = [scan for scan in chosen_scans(cohort, ()) if scan.name in taken]
    known = frame(lineage.frame)
    return gather(known, scans, places, lineage.folder / VIEWS, cache=cache, runner=runner, progress=progress)


def judge(
    lineage: Lineage,
    material: Material,
    synthetic: Synthetic,
    *,
    readers: Sequence[Bundle] = (),
    further: Sequence[FeatureSet] = (),
) -> dict[str, Any]:
    """Every figure of a synthetic cohort as JSON-ready data.

    Args:
        lineage: of the generator that drew it.
        material: the fold that it was fitted on.
        synthetic: what it drew.
        readers: saved predictors that are asked about synthetic and held-out images.
        further: features beside those that need no network.

    Raises:
        UsageError: images of another generator.
        UnsuitableError: too few images of either kind.
        LeakError: the training side is not the one that the generator learned from.
    """
    _check(lineage, material, synthetic)
    real, made = material.held_out, synthetic
    people = real.people
    pair, cameras = _two_cameras(material)
    memory = copies(material, synthetic.images)
    found: dict[str, Any] = {
        "form": FORM,
        "created": provenance.now(),
        "family": lineage.family,
        "frame": lineage.frame,
        "frame_description": material.frame.description,
        "scale": material.frame.modality.scale,
        "read_off": {"quantities": dict(material.frame.modality.quantities), "how": material.frame.modality.how},
        "fold": lineage.fold,
        "generator_sha256": lineage.generator_sha256,
        "request": synthetic.record["request"],
        "simulated": lineage.simulated,
        "n": {"training": len(material.training.scans), "held_out": len(real.scans), "synthetic": len(made.scans)},
        "classes": {
            "held_out": dict(sorted(Counter(real.labels).items())),
            "synthetic": dict(sorted(Counter(made.labels).items())),
        },
        "cameras": cameras,
        "features": [
            _features(one, real.images, made.images, people, pair) for one in (*_without_network(material), *further)
        ],
        "diversity": _diversity(material, synthetic),
        "quantities": quantities(material, synthetic, pair),
        "by_class": by_class(material, synthetic),
        "asked": asked(material, synthetic),
        "readers": [reader(one, material, synthetic) for one in readers],
        "memorisation": memory,
        "software": provenance.software(),
    }
    return found | {"verdict": verdict(found)}


def _check(lineage: Lineage, material: Material, synthetic: Synthetic) -> None:
    if synthetic.record["generator_sha256"] != lineage.generator_sha256:
        raise UsageError(
            "These images are another generator's.",
            where="SYNTHETIC",
            found=f"generator {synthetic.record['generator_sha256'][:16]}",
            expected=f"generator {lineage.generator_sha256[:16]}",
            fix="Name the folder that was drawn from this generator.",
        )
    parents = {one.scan_id for one in lineage.parents}
    seen = sorted(parents & set(material.held_out.names))
    if seen or parents != set(material.training.names):
        raise LeakError(
            "The training side is not what the generator learned from.",
            where="cohort",
            found=f"{len(seen)} held-out scans that it learned from; {len(material.training.names)} training scans",
            expected=f"its {len(parents)} parents, none of them held out",
            fix="Give the cohort table that it was fitted on.",
        )
    for name, count in (("held-out", len(material.held_out.scans)), ("synthetic", len(synthetic.scans))):
        if count < LEAST:
            raise UnsuitableError(
                "There are too few images to judge by.",
                where=f"{name} images",
                found=str(count),
                expected=f"{LEAST} or more",
                fix="Draw more images, or fit on a split that holds more people out.",
            )


def _without_network(material: Material) -> list[FeatureSet]:
    """Random axes, and the main axes of the training images."""
    shape, training = material.frame.shape, material.training.images
    blind = figures.random_projection(shape)
    axes = min(COMPONENTS, len(training) // 2)
    main = figures.principal_components(training, components=axes)
    return [FeatureSet(blind.name, blind), FeatureSet(main.name.replace("real", "training"), main)]


def _features(
    features: FeatureSet,
    real: NDArray[np.float32],
    made: NDArray[np.float32],
    people: Sequence[str],
    pair: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
) -> dict[str, Any]:
    """The figures of one set of features, each with its floor."""
    one, other = features.of(real), features.of(made)
    reference = None if pair is None else (features.of(pair[0]), features.of(pair[1]))
    mmd = figures.mmd(one, other)
    k = min(K, max(1, min(len(one), len(other)) // 3))
    half = max(1, min(k, min(len(one) // 2, len(other)) // 3))
    pairwise: dict[str, Callable[[Floats, Floats], float]] = {
        **figures.FEATURE_FIGURES,
        "mmd": partial(figures.mmd_squared, bandwidths=mmd.bandwidths),
        "outside": partial(figures.outside, k=half),
        "uncovered": partial(figures.uncovered, k=half),
    }
    return {
        "features": features.name,
        "mmd": mmd.as_dict(),
        "frechet": figures.frechet(one, other).as_dict(),
        "kernel_distance": figures.kernel_distance(one, other).as_dict(),
        "coverage": figures.coverage(one, other, k=k).as_dict(),
        "against": {
            name: figures.against_floor(figure, one, other, reference=reference, people=people).as_dict()
            for name, figure in pairwise.items()
        },
    }


def _two_cameras(
    material: Material,
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]] | None, dict[str, Any]]:
    """Real images of the two cameras with most of them, of both sides of the fold."""
    sides = (material.training, material.held_out)
    known = [(scan.cells.get("camera"), side.images[row]) for side in sides for row, scan in enumerate(side.scans)]
    counts = Counter(camera for camera, _ in known if camera is not None)
    top = [name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:2]]
    if len(top) < 2 or counts[top[1]] < LEAST // 2:
        why = f"the cohort has fewer than two cameras with {LEAST // 2} images"
        return None, {"names": top, "n": [counts[name] for name in top], "why_not": why}
    first, second = (np.stack([image for camera, image in known if camera == name]) for name in top)
    return (first, second), {"names": top, "n": [len(first), len(second)], "why_not": ""}


def _diversity(material: Material, synthetic: Synthetic) -> dict[str, Any]:
    """MS-SSIM within real and within synthetic images of each class, and of all."""
    real, made = material.held_out, synthetic
    found = {}
    for name in ("all", *sorted(set(real.labels) & set(made.labels))):
        pair = {}
        for kind, images, labels in (("real", real.images, real.labels), ("synthetic", made.images, made.labels)):
            kept = [row for row, label in enumerate(labels) if name in ("all", label)]
            if len(kept) < 3:
                break
            planes = np.stack([_solid(material.frame, images[row]) for row in kept])
            pair[kind] = figures.diversity(planes, data_range=1.0).as_dict()
        if len(pair) == 2:
            found[name] = pair
    return found


def _solid(frame: Frame, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """One image without its channels: a volume, or the plane that is shown."""
    return image[0] if image.ndim == 4 else np.asarray(frame.plane(image) / frame.top, np.float32)


def shown(material: Material, synthetic: Synthetic, found: dict[str, Any], *, each: int = SHOWN) -> Shown:
    """The first images of each class, and those most like a training image beside what they are like."""
    plane = material.frame.plane

    def rows(labels: Sequence[str], images: NDArray[np.float32]) -> dict[str, list[Any]]:
        return {
            name: [plane(images[row]) for row, label in enumerate(labels) if label == name][:each]
            for name in sorted(set(synthetic.labels))
        }

    pairs = [
        Pair(
            plane(synthetic.images[one["row"]]),
            plane(material.training.images[one["training_row"]]),
            plane(material.held_out.images[one["held_out_row"]]),
            one["copy_score"],
            one["above"],
        )
        for one in found["memorisation"]["pairs"]
    ]
    return Shown(
        rows(synthetic.labels, synthetic.images),
        rows(material.held_out.labels, material.held_out.images),
        pairs,
        material.frame.grey,
    )
