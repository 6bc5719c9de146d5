"""A study from plan and cohort to run folder; the same call goes on where an interrupted one ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.batch.drive import Outcome, Runner
from dopascope.batch.t1 import BrainFinder
from dopascope.batch.viewing import Seen, ViewSettings, see
from dopascope.cohort import CohortScan, read_cohort
from dopascope.cohort.splits import write_splits
from dopascope.learn.log import Epoch
from dopascope.study import answer, members, modality, people
from dopascope.study.answer import Combined, p_of
from dopascope.study.folder import (
    SPLITS,
    Lines,
    claim,
    environment,
    write_classes,
    write_errors,
    write_grades,
    write_predictions,
)
from dopascope.study.material import Material
from dopascope.study.metrics import measure
from dopascope.study.modality import DAT, SHOWN
from dopascope.study.people import FINAL, Fold
from dopascope.study.plan import NetworkMember, Plan

Floats = NDArray[np.float64]
DEFAULT_CACHE: Final = "study.cache"
"""Beside the run folder, so that runs of one cohort that lie together share it."""


@dataclass(frozen=True)
class Watch:
    """Who is told how far a study is."""

    scan: Callable[[Outcome], None] = lambda _: None
    training: Callable[[str], None] = lambda _: None
    """A training begins; its name."""
    left_out: Callable[[str], None] = lambda _: None
    """A member is left out; its name and why."""
    epoch: Callable[[Epoch], None] = lambda _: None


def run_study(
    plan: Plan,
    cohort: Path,
    out: Path,
    *,
    resume: bool = False,
    also: Path | None = None,
    cache: Path | None = None,
    weights_folder: Path | None = None,
    settings: ViewSettings | None = None,
    runner: Runner | None = None,
    watch: Watch | None = None,
    finder: BrainFinder | None = None,
) -> dict[str, Any]:
    """Train and test as the plan says, and write the run folder.

    Args:
        plan: what to do.
        cohort: a cohort table.
        out: the run folder.
        resume: go on with a run of the same plan and cohort in `out`.
        also: a table of further scans of the same people, such as degraded copies: never learned from, answered by the
            models that did not see their person, and judged apart.
        cache: of registered scans; `study.cache` beside `out` when omitted.
        weights_folder: of published weights.
        settings: how scans are read and measured.
        runner: where scans are registered.
        watch: is told how far it is.
        finder: of the brain in T1 scans whose table names no mask; without one they fail.

    Returns:
        What is written as `metrics.json`.

    Raises:
        InputError: the cohort cannot be read or does not suit the plan.
        UsageError: the plan names what is not there, or `out` holds another run.
        LeakError: people, files or volumes would stand on both sides of a fold.
        OSError: `out` cannot be written.
    """
    watch = watch or Watch()
    scans = people.chosen(read_cohort(cohort), plan.labels)
    modality.check(plan, modality.modality_of(scans))
    people.folds(scans, plan)  # whatever is wrong with them is said before scans are read
    for one in plan.networks:
        people.grades_of(scans, one.grades)
    more = [] if also is None else people.further(read_cohort(also), scans, plan.labels)
    every = [one.name for one in plan.networks]
    plan, first = members.available(plan, weights_folder)
    for name in [one for one in every if one not in first]:
        watch.left_out(f"{name}: {plan.assumed[f'members.{name}']}")
    for one in plan.networks:
        members.check(one, first[one.name], plan.labels)
    claim(out, plan, [cohort, *([] if also is None else [also])], resume)
    views = [one.view for one in plan.networks] + [SHOWN]
    where = cache or out.parent / DEFAULT_CACHE
    seen = see(
        [*scans, *more],
        views,
        out / "views",
        settings or ViewSettings(),
        cache=where,
        runner=runner,
        progress=watch.scan,
        finder=finder,
    )
    return answered(plan, seen, {scan.name for scan in scans}, out, first, watch)


def answered(
    plan: Plan, seen: Seen, own: set[str], out: Path, first: dict[str, members.Weights], watch: Watch
) -> dict[str, Any]:
    """The study from scans that were seen: trainings, answers, figures; see `run_study`.

    Args:
        plan: what to do.
        seen: the cohort's scans first, then further ones.
        own: names of the cohort's scans.
        out: the run folder, claimed.
        first: the networks' first weights, by member.
        watch: is told how far it is.
    """
    members.check_apart(seen.scans, seen.records, first)
    usable = [scan for scan in seen.scans if scan.name in own]  # they come first
    folds, places = people.folds(usable, plan)
    write_splits(places, out / SPLITS)
    material = Material.of(seen, plan, modality.modality_of(usable))
    study = _Study(plan, material, out, first, watch)
    told = [study.fold(with_further(fold, seen.scans, len(usable))) for fold in folds]
    lines = [one.part(one.rows < len(usable)) for one in told]
    apart = [one.part(one.rows >= len(usable)) for one in told if one.fold != FINAL]
    write_predictions(out, lines, apart, material)
    write_grades(out, plan, lines, material)
    write_classes(out, plan, lines, material)
    write_errors(out, lines, material, SHOWN)
    provenance.write_text(out / "environment.json", json.dumps(environment(), indent=2) + "\n")
    figures = measure(plan, lines, apart, material)
    provenance.write_text(out / "metrics.json", json.dumps(figures, indent=2) + "\n")
    return figures


def with_further(fold: Fold, scans: Sequence[CohortScan], own: int) -> Fold:
    """The fold with the scans from place `own` on whose person is tested there."""
    tested = {scans[row].cells["participant_id"] for row in fold.test}
    rows = [row for row in range(own, len(scans)) if scans[row].cells["participant_id"] in tested]
    return replace(fold, also=np.array(rows, int))


@dataclass(frozen=True)
class _Told:
    """What a fold's members say, a column each."""

    train: Floats
    """Logits (N, M) for the training set; NaN for scans that were only watched."""
    test: Floats
    """Logits (N, M) for the scans asked about."""
    by_seed: dict[str, Floats]
    """Member -> logits (N, seeds) for the scans asked about."""
    grades: dict[str, Floats]
    """Member -> probability of each region's grades (N, regions, grades) for the scans asked about."""
    facts: list[dict[str, Any]]


class _Study:
    """What every fold of a study needs."""

    def __init__(
        self, plan: Plan, material: Material, out: Path, first: dict[str, members.Weights], watch: Watch
    ) -> None:
        self._plan, self._material, self._out, self._first, self._watch = plan, material, out, first, watch
        self._images: dict[str, torch.Tensor] = {one.name: material.images(one) for one in plan.networks}
        self._features = {
            one.name: material.features(one)[0] for one in plan.members if not isinstance(one, NetworkMember)
        }
        self._baseline = material.modality.baseline
        self._simple = material.features(self._baseline)[0]
        self._rule = material.rule() if material.modality is DAT else None

    def fold(self, fold: Fold) -> Lines:
        """Train every member, combine them, and ask about the fold's test scans."""
        names = [one.name for one in self._plan.members]
        if self._plan.validation.inner:
            told = self._nested(fold)
            truth = self._material.positive[fold.train]
            combined = answer.fit_answer(self._plan.answer, names, told.train, truth, fold.inner, self._plan.aside)
        else:
            told = self._plain(fold)
            combined = answer.without_inner(self._plan.answer, names, self._plan.aside)
        record = {"fold": fold.name, "answer": combined.as_dict(names), "trainings": told.facts}
        provenance.write_text(self._folder(fold) / "fold.json", json.dumps(record, indent=2) + "\n")
        return self._lines(fold, combined, told)

    def _plain(self, fold: Fold) -> _Told:
        """Of members that learned from the whole training set."""
        learned, watched = fold.train[~fold.watched], fold.train[fold.watched]
        if self._plan.validation.watch_test:
            watched = fold.test
        train = np.full((len(fold.train), len(self._plan.members)), np.nan)
        test = np.empty((len(fold.asked), len(self._plan.members)))
        by_seed: dict[str, Floats] = {}
        graded: dict[str, Floats] = {}
        facts: list[dict[str, Any]] = []
        for column, member in enumerate(self._plan.members):
            asked = [self._ask(fold, member.name, seed, learned, fold.asked, watched, "") for seed in member.seeds]
            train[~fold.watched, column] = np.mean([one.train for one in asked], 0)
            test[:, column] = np.mean([one.test for one in asked], 0)
            by_seed[member.name] = np.stack([one.test for one in asked], 1)
            graded |= _mean_grades(member.name, [one.grades for one in asked])
            facts += [{"member": member.name, **one.facts} for one in asked]
        return _Told(train, test, by_seed, graded, facts)

    def _nested(self, fold: Fold) -> _Told:
        """The training set out of fold, and the test set by the mean over the inner trainings."""
        numbers = sorted(set(fold.inner.tolist()))
        train = np.empty((len(fold.train), len(self._plan.members)))
        test = np.zeros((len(fold.asked), len(self._plan.members)))
        by_seed: dict[str, Floats] = {}
        graded: dict[str, Floats] = {}
        facts: list[dict[str, Any]] = []
        for column, member in enumerate(self._plan.members):
            grades: list[Floats | None] = []
            seeds = np.zeros((len(fold.asked), len(member.seeds)))
            for number in numbers:
                held = fold.inner == number
                asked_for = np.concatenate([fold.train[held], fold.asked])
                asked = [
                    self._ask(fold, member.name, seed, fold.train[~held], asked_for, fold.test[:0], f"-inner-{number}")
                    for seed in member.seeds
                ]
                answers = np.stack([one.test for one in asked], 1)
                train[held, column] = answers[: int(held.sum())].mean(1)
                seeds += answers[int(held.sum()) :] / len(numbers)
                grades += [None if one.grades is None else one.grades[int(held.sum()) :] for one in asked]
                facts += [{"member": member.name, "inner": number, **one.facts} for one in asked]
            test[:, column] = seeds.mean(1)
            by_seed[member.name] = seeds
            graded |= _mean_grades(member.name, grades)
        return _Told(train, test, by_seed, graded, facts)

    def _ask(
        self,
        fold: Fold,
        name: str,
        seed: int,
        train: NDArray[np.int_],
        test: NDArray[np.int_],
        watched: NDArray[np.int_],
        inner: str,
    ) -> members.Asked:
        member = next(one for one in self._plan.members if one.name == name)
        if not isinstance(member, NetworkMember):
            return members.ask_tabular(member, self._material, self._features[name], train, test, seed=seed)
        place = f"{name}-seed-{seed}{inner}"
        self._watch.training(f"fold {fold.name}, {place}")
        return members.ask_network(
            member,
            self._material,
            self._images[name],
            train,
            test,
            seed=seed,
            weights=self._first[name],
            folder=self._folder(fold) / place,
            watched=watched,
            keep_weights=self._plan.keep_weights or fold.name == FINAL,
            progress=self._watch.epoch,
        )

    def _folder(self, fold: Fold) -> Path:
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in fold.name)
        return self._out / f"fold-{safe}"

    def _lines(self, fold: Fold, combined: Combined, told: _Told) -> Lines:
        truth, train, test = self._material.positive, told.train, told.test
        known = np.isfinite(train).all(1)
        readers = {"answer": combined.p(test)}
        shown = {one.name for one in self._plan.members}
        if len(alone := shown - self._plan.aside) == 1:
            shown -= alone  # it is the answer
        readers |= {one.name: p_of(test[:, at]) for at, one in enumerate(self._plan.members) if one.name in shown}
        readers["majority"] = np.full(len(fold.asked), float(truth[fold.train].mean()))
        if self._rule is not None:
            readers["sbr-rule"] = self._rule[fold.asked]
        asked = members.ask_tabular(self._baseline, self._material, self._simple, fold.train, fold.asked, seed=1)
        readers[self._baseline.name] = p_of(asked.test)
        p = readers["answer"]
        return Lines(
            fold=fold.name,
            rows=fold.asked,
            readers=readers,
            verdicts=combined.verdicts(p, test),
            possible=None if combined.conformal is None else combined.conformal.possible(p),
            train_rows=fold.train[known],
            train_p=combined.p(train[known]),
            by_seed={name: p_of(logits) for name, logits in told.by_seed.items()},
            grades=told.grades,
        )


def _mean_grades(name: str, asked: Sequence[Floats | None]) -> dict[str, Floats]:
    """Mean probability of each grade over a member's networks, under its name; nothing of members that do not grade."""
    told = [one for one in asked if one is not None]
    return {name: np.mean(told, 0)} if told else {}
