"""Whether synthetic images are copies of training images; and whether this would be seen, by planting some."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.generate.material import Material
from dopascope.score import p_words
from dopascope.score.generated import memorisation

PLANTED: Final = 0.1
"""Share of the synthetic images that are replaced by training images for the positive control; at least 3."""
GRAIN: Final = 0.02
"""Noise on planted images, in spreads of the training images: a copy that is not bit for bit."""
SHOWN: Final = 6
SEED: Final = 1


def copies(material: Material, images: NDArray[np.float32]) -> dict[str, Any]:
    """The memorisation test of synthetic images (N, C, ...), on flattened voxels, with its positive control.

    Raises:
        UnsuitableError: see `score.generated.memorisation`.
    """
    training, held_out = material.training, material.held_out
    known, unseen = _flat(training.images), _flat(held_out.images)

    def tested(made: NDArray[np.float64]) -> Any:
        return memorisation(
            known, unseen, made, training_people=training.people, held_out_people=held_out.people, seed=SEED
        )

    found = tested(_flat(images))
    planted, rows = _planted(training.images, images)
    control = tested(_flat(planted))
    named = len(set(rows.tolist()) & set(control.copies))
    seen = control.verdict == "memorises"
    order = np.argsort(-np.array(found.copy_scores), kind="stable")[:SHOWN]
    told = {
        "features": "all voxels",
        "result": found.as_dict(),
        "control": {"planted": len(rows), "named": named, "verdict": control.verdict, "p": control.p},
        "pairs": [
            {
                "row": int(row),
                "training": training.names[found.nearest[row]],
                "training_row": int(found.nearest[row]),
                "held_out_row": int(np.linalg.norm(unseen - _flat(images)[row], axis=1).argmin()),
                "copy_score": float(found.copy_scores[row]),
                "above": bool(row in found.copies),
            }
            for row in order
        ],
    }
    return told | {"sentences": _sentences(found, len(rows), named, seen)}


def _sentences(found: Any, planted: int, named: int, seen: bool) -> list[str]:
    counted = f"{len(found.copies)} of {found.n_generated} images above the copy score's threshold"
    if found.verdict == "memorises":
        nearer = (
            f"distances to training over those to held-out images are {found.closeness.value:.2f} of what chance gives"
        )
        how = counted if found.p_copies < found.p_closer else nearer
        first = f"Memorisation: SHOWN ({p_words(found.p)}): {how}. Look at the pairs."
    else:
        first = f"Memorisation: not shown ({p_words(found.p)}), {counted}. This is no proof of privacy."
    if seen:
        control = f"Positive control: with {planted} planted training images the test says so and names {named}."
    else:
        control = (
            f"Positive control FAILED: {planted} planted training images, {named} of them above the threshold, are not "
            "more than chance allows, so that 'not shown' says nothing here; hold more people out."
        )
    return [first, control]


def _planted(
    training: NDArray[np.float32], images: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int_]]:
    """Synthetic images of which some are training images with a little noise; and which."""
    rng = np.random.default_rng(SEED)
    count = min(len(images), len(training), max(3, round(PLANTED * len(images))))
    rows = rng.choice(len(images), count, replace=False)
    originals = rng.choice(len(training), count, replace=False)
    mixed = images.copy()
    noise = rng.normal(0, GRAIN * float(training.std()), (count, *training.shape[1:]))
    mixed[rows] = training[originals] + noise
    return mixed, rows


def _flat(images: NDArray[np.float32]) -> NDArray[np.float64]:
    return images.reshape(len(images), -1).astype(np.float64)
