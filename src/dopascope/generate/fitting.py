"""A cohort's training fold to a fitted generator in a folder; the same call goes on where an interrupted one ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dopascope import provenance
from dopascope.batch.drive import Outcome, Runner
from dopascope.cohort.splits import Place, read_splits, write_splits
from dopascope.errors import UsageError
from dopascope.generate.frames import Frame
from dopascope.generate.lineage import GENERATOR, SPLITS, VIEWS, Lineage, Parent
from dopascope.generate.material import Material, check_conditions, check_modality, chosen_scans, gather, split_of
from dopascope.learn.generative.examples import plan_for
from dopascope.learn.generative.fit import GeneratorEpoch, Look, fit_generator
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.padding import cut_back, padded
from dopascope.learn.generative.plan import Plan, Setting, build
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.quant.conditions import Conditions
from dopascope.report.generated_pictures import grid

if TYPE_CHECKING:
    from torch import Tensor

    from dopascope.augment import Pipeline

GRIDS: Final = "grids"
CACHE: Final = "generate.cache"
"""Beside the folder of the generator, so that those of one cohort share it."""
EACH: Final = 6
"""Images of each class in a sample grid."""


@dataclass(frozen=True)
class Wanted:
    """What is fitted, and on what."""

    family: str
    frame: Frame
    recipe: GeneratorRecipe
    classes: tuple[str, ...] = ()
    """Labels; all of the table where none is named."""
    conditions: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    augment: Pipeline | None = None
    fold: str = "1"
    splits: Path | None = None
    """`splits.tsv`; five folds with seed 1 where none is named."""
    seed: int = 1
    grid_every: int = 10
    """Epochs between sample grids."""
    clock: Callable[[], float] = time.monotonic
    """What the recipe's minutes are counted by."""


@dataclass(frozen=True)
class Watch:
    """Who is told how far a fit is."""

    scan: Callable[[Outcome], None] = lambda _: None
    epoch: Callable[[GeneratorEpoch], None] = lambda _: None


def fit(
    wanted: Wanted,
    cohort: Path,
    out: Path,
    *,
    cache: Path | None = None,
    runner: Runner | None = None,
    watch: Watch | None = None,
) -> Lineage:
    """Fit a generator on the training side of one fold of a cohort.

    In `out`: `generator.npz`, `fit.json` with its parents, `splits.tsv`, log and checkpoint, and sample grids.

    Args:
        wanted: what to fit.
        cohort: a cohort table.
        out: the folder; one with an interrupted fit of the same is gone on with.
        cache: of registered scans; `generate.cache` beside `out` when omitted.
        runner: where scans are registered.
        watch: is told how far it is.

    Raises:
        InputError: the cohort cannot be read or nothing can be learned from it.
        UsageError: what is wanted cannot be meant, or `out` holds another fit.
        LeakError: people, files or volumes would stand on both sides of the fold.
        OSError: `out` cannot be written.
    """
    watch = watch or Watch()
    check_conditions(wanted.conditions, wanted.frame)
    scans = chosen_scans(cohort, wanted.classes)
    check_modality(wanted.frame, scans)
    names = {scan.name for scan in scans}
    told = read_splits(wanted.splits) if wanted.splits else None
    given = None if told is None else [place for place in told if place.scan_id in names]
    places = split_of(scans, given, wanted.fold)
    _check_buildable(wanted, sorted({str(scan.label) for scan in scans}))
    claim(out, places)
    where = cache or out.parent / CACHE
    material = gather(wanted.frame, scans, places, out / VIEWS, cache=where, runner=runner, progress=watch.scan)
    return fit_material(wanted, material, cohort, out, watch.epoch)


def fit_material(
    wanted: Wanted,
    material: Material,
    cohort: Path,
    out: Path,
    progress: Callable[[GeneratorEpoch], None] = lambda _: None,
) -> Lineage:
    """Fit a generator on images that are gathered already, into a folder that is `claim`ed already.

    Raises:
        UsageError, UnsuitableError: see `learn.generative.fit.fit_generator`.
    """
    made = _learned(wanted, material, out, progress)
    lineage = Lineage(
        folder=out,
        family=wanted.family,
        frame=wanted.frame.name,
        fold=wanted.fold,
        cohort=cohort.name,
        cohort_sha256=provenance.sha256_of(cohort),
        splits_sha256=provenance.sha256_of(out / SPLITS),
        generator_sha256=made.save(out / GENERATOR),
        simulated=all(Conditions.of_simulation(scan.stated) for scan in material.training.scans),
        parents=_parents(wanted, material),
        failed=tuple(one.scan.name for one in material.failed),
        created=provenance.now(),
    )
    lineage.write()
    return lineage


def _learned(wanted: Wanted, material: Material, out: Path, progress: Callable[[GeneratorEpoch], None]) -> Generator:
    side = material.training
    images = padded(side.tensor())
    conditions = material.conditions(wanted.conditions, side)
    plan = plan_for(wanted.family, images, side.labels, conditions, **wanted.settings)

    def see(epoch: int, drawn: Tensor) -> None:
        planes = [[wanted.frame.plane(one) for one in cut_back(row, wanted.frame.shape).numpy()] for row in drawn]
        rows = dict(zip(plan.classes, planes, strict=True))
        picture = grid(rows, f"{wanted.family}, epoch {epoch}", grey=wanted.frame.grey)
        provenance.write_bytes(out / GRIDS / f"epoch-{epoch:05d}.png", picture)

    return fit_generator(
        plan,
        images,
        side.labels,
        conditions,
        wanted.recipe,
        seed=wanted.seed,
        folder=out,
        progress=progress,
        augment=wanted.augment,
        look=Look(see, every=wanted.grid_every, each=EACH),
        clock=wanted.clock,
    )


def _parents(wanted: Wanted, material: Material) -> tuple[Parent, ...]:
    side = material.training
    known = material.conditions(wanted.conditions, side)

    def value(name: str, row: int) -> float | None:
        found = known[name][row]
        return None if np.isnan(found) else float(found)

    return tuple(
        Parent(scan.name, str(scan.person), str(scan.label), {name: value(name, row) for name in known})
        for row, scan in enumerate(side.scans)
    )


def _check_buildable(wanted: Wanted, classes: Sequence[str]) -> None:
    """Whatever is wrong with family, settings and sizes is said before scans are read."""
    import torch

    shape = tuple(padded(torch.zeros(1, *wanted.frame.shape)).shape[1:])
    build(Plan(wanted.family, shape, tuple(classes), wanted.conditions, wanted.settings))


def claim(out: Path, places: Sequence[Place]) -> None:
    """Make `out` this fold's, or see that it is.

    Raises:
        UsageError: it is another's.
        OSError: it cannot be written.
    """
    written = out / SPLITS
    if written.is_file():
        if read_splits(written) != list(places):
            raise UsageError(
                "The folder holds a generator of another fold or cohort.",
                where=written,
                found="another splits.tsv",
                expected="the same cohort, classes, split and fold",
                fix="Name another folder with --out, or give what it was started with.",
            )
        return
    provenance.check_writable(out)
    write_splits(places, written)
