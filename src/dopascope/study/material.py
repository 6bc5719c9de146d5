"""What a study's models see: images, features and truth, one row a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope.batch.viewing import Seen
from dopascope.errors import UnsuitableError
from dopascope.quant.rule import shipped_rule
from dopascope.study.modality import DAT, Modality
from dopascope.study.people import classes_of, grades_of
from dopascope.study.plan import NetworkMember, Plan, TabularMember
from dopascope.tasks import tabular
from dopascope.tasks.classify import Sight

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """A cohort in memory; rows are the scans of `seen`."""

    seen: Seen
    positive: NDArray[np.bool_]
    people: list[str]
    modality: Modality = DAT
    classes: NDArray[np.int_] | None = None
    """(N, 1) place of each scan's class in `labels.classes`, where the plan has any."""

    @classmethod
    def of(cls, seen: Seen, plan: Plan, modality: Modality = DAT) -> Material:
        """With the plan's meaning of labels."""
        positive = np.array([scan.label in plan.labels.positive for scan in seen.scans])
        classes = classes_of(seen.scans, plan.labels) if plan.labels.classes else None
        return cls(seen, positive, [scan.cells["participant_id"] for scan in seen.scans], modality, classes)

    def images(self, member: NetworkMember) -> torch.Tensor:
        """(N, C, I, J[, K]) for a network."""
        return sight_of(member).images(self.seen.views[member.view], [one["references"] for one in self.seen.records])

    def grades(self, member: NetworkMember) -> NDArray[np.int_] | None:
        """(N, regions) that a network learns beside the label, or None."""
        return grades_of(self.seen.scans, member.grades) if member.grades else None

    def beside(self, member: NetworkMember) -> NDArray[np.int_] | None:
        """What a network learns beside the label: grades of regions, or the scan's class."""
        return self.classes if member.classes else self.grades(member)

    def features(self, member: TabularMember) -> tuple[Floats, list[str]]:
        """(N, F) for a simple model, and the names of its columns.

        Raises:
            UnsuitableError: a binding ratio could not be had, or a covariate's column is not there.
        """
        columns: list[Floats] = []
        names: list[str] = []
        if "sbr" in member.features:
            columns.append(np.array([tabular.sbr_features(one["sbr"]) for one in self.seen.records]))
            names += tabular.SBR_FEATURES
        if "shape" in member.features:
            columns.append(np.array([tabular.shape_features(one["shape"]) for one in self.seen.records]))
            names += tabular.SHAPE_FEATURES
        if "volumes" in member.features:
            columns.append(np.array([tabular.volume_features(one["volumes"]) for one in self.seen.records]))
            names += tabular.VOLUME_FEATURES
        found = np.concatenate(columns, 1)
        self._check_finite(found, names)
        for name in member.covariates:
            cells = [scan.cells.get(name, scan.further.get(name)) for scan in self.seen.scans]
            if not any(cells):
                raise UnsuitableError(
                    "A covariate of the plan is not in the cohort table.",
                    where=f"{member.name}, covariate {name}",
                    found="no value for any scan",
                    expected="a column of the cohort table",
                    fix="Correct the plan or complete the table.",
                )
            found = np.column_stack([found, tabular.covariate(name, cells)])
        return found, [*names, *member.covariates]

    def rule(self) -> Floats:
        """The shipped rule's p(abnormal) (N,) from the lower putamen, which nothing here is fitted for.

        Source: `quant.rule`.
        """
        rule = shipped_rule(self.seen.records[0]["method_id"])
        column = tabular.SBR_FEATURES.index("lower_putamen")
        lower = [tabular.sbr_features(one["sbr"])[column] for one in self.seen.records]
        return np.array([rule.putamen.p_abnormal(value) for value in lower])

    def _check_finite(self, values: Floats, names: Sequence[str]) -> None:
        rows, columns = np.nonzero(~np.isfinite(values))
        if len(rows):
            raise UnsuitableError(
                "A feature is not a number.",
                where=f"scan {self.seen.scans[rows[0]].name}, {names[columns[0]]}",
                found=f"{len(set(rows))} scans with features that are not finite",
                expected="binding ratios and shape, or volumes, of every scan",
                fix="Look at these scans (dopascope read SCAN) and leave them out of the cohort.",
            )


def sight_of(member: NetworkMember) -> Sight:
    """How a member's images are made.

    Raises:
        UsageError: an unknown view, or a crop outside it.
    """
    return Sight(member.view, tuple(member.intensity), member.top, tuple(member.crop), member.colour)
