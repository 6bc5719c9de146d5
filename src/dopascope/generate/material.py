"""The scans of a cohort as a generator sees them, divided into those it may learn from and those held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope.batch.drive import Outcome, Runner
from dopascope.batch.viewing import ViewSettings, see
from dopascope.cohort import CohortScan, leaks, read_cohort
from dopascope.cohort.splits import Place, k_fold
from dopascope.errors import UnsuitableError, UsageError
from dopascope.generate.frames import Frame
from dopascope.generate.read_off import T1

Floats = NDArray[np.float64]
FOLDS: Final = 5
"""Of the split that is made where none is given."""
SPLIT_SEED: Final = 1


@dataclass(frozen=True)
class Side:
    """Images of one side of a fold."""

    scans: list[CohortScan]
    images: NDArray[np.float32]
    """(N, C, I, J[, K]) from 0 to 1."""

    @property
    def labels(self) -> list[str]:
        """The class of each."""
        return [str(scan.label) for scan in self.scans]

    @property
    def people(self) -> list[str]:
        """Whose each is."""
        return [str(scan.person) for scan in self.scans]

    @property
    def names(self) -> list[str]:
        """The scan id of each."""
        return [scan.name for scan in self.scans]

    def tensor(self) -> torch.Tensor:
        """The images as torch takes them."""
        return torch.from_numpy(self.images)


@dataclass(frozen=True)
class Material:
    """A fold's training images and its held-out ones."""

    frame: Frame
    training: Side
    held_out: Side
    failed: list[Outcome]

    def conditions(self, names: Sequence[str], side: Side) -> dict[str, list[float]]:
        """Values by name, one for each image of a side; NaN where not known.

        `sbr` is the ratio of the lower putamen, read off the picture.

        Raises:
            UsageError: there is no such condition.
        """
        check_conditions(names, self.frame)
        known = {"age": [np.nan if scan.age is None else scan.age for scan in side.scans]}
        if "sbr" in names:
            known["sbr"] = self.frame.quantities(side.images)["putamen"].tolist() if len(side.images) else []
        return {name: known[name] for name in names}


def check_conditions(names: Sequence[str], frame: Frame) -> None:
    """Refuse conditions that no image of the frame has.

    Raises:
        UsageError: there is no such condition.
    """
    known = frame.modality.conditions
    if odd := sorted(set(names) - set(known)):
        raise UsageError(
            "There is no such condition.",
            where="--condition",
            found=odd[0],
            expected=f"{', '.join(known)} for {frame.name}",
            fix="Correct the name.",
        )


def check_modality(frame: Frame, scans: Sequence[CohortScan]) -> None:
    """Refuse scans that the frame does not show.

    Raises:
        UnsuitableError: scans of another modality.
    """
    odd = [scan for scan in scans if scan.is_t1 != (frame.modality is T1)]
    if odd:
        raise UnsuitableError(
            "These scans are not what the frame shows.",
            where=f"scan {odd[0].name}, frame {frame.name}",
            found=f"{len(odd)} scans of modality {odd[0].cells.get('modality', 'n/a')}",
            expected=f"scans of modality {frame.modality.name}",
            fix="Choose another frame with --frame, or give another cohort.",
        )


def split_of(scans: Sequence[CohortScan], places: Sequence[Place] | None, fold: str) -> list[Place]:
    """The lines of one fold, of a split of five folds where none is given, checked for leaks.

    Raises:
        UsageError: no such fold, or a split of other scans.
        LeakError: people, files or volumes would stand on both sides.
    """
    made = places if places is not None else k_fold(scans, min(FOLDS, _people(scans)), seed=SPLIT_SEED)
    chosen = [place for place in made if place.fold == fold]
    if not chosen:
        raise UsageError(
            "The split has no such fold.",
            where="--fold",
            found=fold,
            expected=", ".join(sorted({place.fold for place in made})),
            fix="Choose one of these.",
        )
    leaks.check(scans, chosen)
    return chosen


def chosen_scans(cohort: Path, classes: Sequence[str]) -> list[CohortScan]:
    """The scans of a cohort table whose label is one of `classes`, of all labels where none is named.

    Raises:
        UnreadableError: see `read_cohort`.
        UnsuitableError: a scan without label or person, or a class without scans.
    """
    scans = read_cohort(cohort)
    for scan in scans:
        for column in ("label", "participant_id"):
            if scan.cells.get(column) is None:
                raise UnsuitableError(
                    f"A scan has no {column}.",
                    where=f"scan {scan.name}",
                    found="n/a",
                    expected=f"a {column} for each scan",
                    fix="Complete the table.",
                )
    counts = Counter(str(scan.label) for scan in scans)
    if empty := [name for name in classes if not counts[name]]:
        raise UnsuitableError(
            "A class has no images to learn from.",
            where=f"class {empty[0]}",
            found="0 scans",
            expected=f"one of the labels {', '.join(sorted(counts))}",
            fix="Correct the name, or give scans of it.",
        )
    taken = [scan for scan in scans if not classes or scan.label in classes]
    return sorted(taken, key=lambda scan: scan.name)


def gather(
    frame: Frame,
    scans: Sequence[CohortScan],
    places: Sequence[Place],
    views: Path,
    *,
    cache: Path,
    runner: Runner | None = None,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Material:
    """Register the scans of a fold, or take them from the cache, and cut them as the frame says.

    Args:
        frame: what is learned of a scan.
        scans: of the cohort.
        places: the lines of one fold.
        views: folder for the views, file by file.
        cache: folder of registered scans.
        runner: where scans are registered.
        progress: told of every scan.

    Raises:
        UnsuitableError: no scan can be used.
        OSError: a folder cannot be written.
    """
    roles = {place.scan_id: place.role for place in places}
    taken = [scan for scan in scans if roles.get(scan.name) in ("train", "test")]
    view = frame.sight.view
    seen = see(taken, [view], views, ViewSettings(), cache=cache, runner=runner, progress=progress)
    images = frame.sight.images(seen.views[view], [one["references"] for one in seen.records]).numpy()

    def side(role: str) -> Side:
        rows = [row for row, scan in enumerate(seen.scans) if roles[scan.name] == role]
        return Side([seen.scans[row] for row in rows], images[rows])

    return Material(frame, side("train"), side("test"), seen.failed)


def _people(scans: Sequence[CohortScan]) -> int:
    return len({scan.person for scan in scans})
