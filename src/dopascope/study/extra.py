"""Extra training images of a network member: synthetic ones of a generator fitted on the same scans, or repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope.learn.fit import NO_GRADE
from dopascope.study.plan import Extra

CLASSES: Final = ("negative", "positive")
FOLDER: Final = "generator"
BATCH: Final = 16


@dataclass(frozen=True)
class Learned:
    """What a network is trained on."""

    images: torch.Tensor
    """(N, C, I, J[, K])."""
    positive: NDArray[np.bool_]
    grades: NDArray[np.int_] | None
    facts: dict[str, Any]
    """Of the extra images, for `facts.json`."""


def with_extra(
    extra: Extra | None,
    images: torch.Tensor,
    positive: NDArray[np.bool_],
    grades: NDArray[np.int_] | None,
    *,
    seed: int,
    folder: Path,
) -> Learned:
    """The training images of a fold with so many more as `extra` says, class by class as many as there are of each.

    The generator sees these images alone: no test image, and none that is watched. `repeated` is the matched null: as
    many images more, so as many steps of the optimiser, under the same augmentation, but nothing new.

    Args:
        extra: which images; None for none.
        images: (N, C, I, J[, K]) of the training scans.
        positive: (N,) their truth.
        grades: (N, regions) or None; those of synthetic images are not known.
        seed: of the network's training, and of the generator's.
        folder: of this training alone; the generator's is inside.

    Raises:
        UsageError: see `learn.generative`.
    """
    if extra is None:
        return Learned(images, positive, grades, {})
    counts = {place: round(extra.share * int((positive == bool(place)).sum())) for place in (0, 1)}
    rng = np.random.default_rng([seed, extra.seed])
    if extra.source == "repeated":
        rows = np.concatenate([rng.choice(np.flatnonzero(positive == bool(k)), n) for k, n in counts.items()])
        more, truth = images[rows], positive[rows]
        known = None if grades is None else grades[rows]
        facts: dict[str, Any] = {"source": extra.source, "images": len(rows)}
    else:
        more, facts = _drawn(extra, images, positive, counts, seed=seed, folder=folder)
        truth = np.repeat([False, True], [counts[0], counts[1]])
        known = None if grades is None else np.full((len(truth), grades.shape[1]), NO_GRADE)
    if extra.alone:
        return Learned(more, truth, known, {"extra": facts})
    joined = None if grades is None or known is None else np.concatenate([grades, known])
    return Learned(torch.cat([images, more]), np.concatenate([positive, truth]), joined, {"extra": facts})


def _drawn(
    extra: Extra,
    images: torch.Tensor,
    positive: NDArray[np.bool_],
    counts: dict[int, int],
    *,
    seed: int,
    folder: Path,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Negative, then positive images of a generator fitted on the training images, and how it was fitted."""
    from dopascope.learn.generative.examples import plan_for
    from dopascope.learn.generative.fit import fit_generator
    from dopascope.learn.generative.padding import cut_back, padded
    from dopascope.learn.generative.recipe import GeneratorRecipe

    grown = padded(images)
    names = [CLASSES[int(one)] for one in positive]
    recipe = GeneratorRecipe(epochs=extra.epochs, batch=BATCH, learning_rate=extra.learning_rate)
    plan = plan_for(extra.source, grown, names, None, **extra.settings)
    made = fit_generator(plan, grown, names, None, recipe, seed=extra.seed + seed, folder=folder / FOLDER)
    asked: Sequence[str] = [CLASSES[place] for place, count in counts.items() for _ in range(count)]
    drawn = cut_back(made.sample(asked, seed=extra.seed + seed), images.shape[1:]).clamp(0, 1)
    sha256 = made.save(folder / FOLDER / "generator.npz")
    told = {"source": extra.source, "images": len(drawn), "generator_sha256": sha256, "recipe": asdict(recipe)}
    return drawn, told | {"learned_from": made.training["classes"], "data_sha256": made.training["data_sha256"]}
