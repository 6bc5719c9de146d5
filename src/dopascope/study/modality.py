"""What a study of DaT scans has, and what one of T1 scans has: scales, features, and the simple model beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dopascope.batch.t1 import ZSCORE
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsuitableError, UsageError
from dopascope.space.intensity import METHODS
from dopascope.study.plan import NetworkMember, Plan, TabularMember


@dataclass(frozen=True)
class Modality:
    """One kind of scan."""

    name: str
    scales: tuple[str, ...]
    """Intensity scales of its views."""
    features: tuple[str, ...]
    """What simple models may see of it."""
    baseline: TabularMember
    """The simple model that every study of it is shown beside."""
    shown_scale: str
    """Scale in which scans that were told wrong are shown, by the view `SHOWN`."""


SHOWN: Final = "slab_12mm"
DAT: Final = Modality(
    "dat",
    tuple(METHODS),
    ("sbr", "shape"),
    TabularMember(kind="tabular", name="sbr-logistic", model="logistic", features=["sbr"]),
    "p75_nonstriatal",
)
"""Beside logistic regression on binding ratios."""
T1: Final = Modality(
    "t1",
    (ZSCORE,),
    ("volumes",),
    TabularMember(kind="tabular", name="volumes-logistic", model="logistic", features=["volumes"]),
    ZSCORE,
)
"""Beside logistic regression on volumes."""


def modality_of(scans: Sequence[CohortScan]) -> Modality:
    """The one kind that all scans are of.

    Raises:
        UnsuitableError: scans of several kinds, between which a study cannot tell people apart by their disease.
    """
    kinds = sorted({one.cells.get("modality", "n/a") for one in scans})
    t1 = [one for one in scans if one.is_t1]
    if t1 and len(t1) < len(scans):
        raise UnsuitableError(
            "A study is of one modality.",
            where="column modality",
            found=f"{len(t1)} T1 scans and {len(scans) - len(t1)} others ({', '.join(kinds)})",
            expected="DaT SPECT alone, or T1 alone",
            fix="Make a table of each.",
        )
    return T1 if t1 else DAT


def check(plan: Plan, modality: Modality) -> None:
    """Say before scans are read that a plan is not for them.

    Raises:
        UsageError: a member's scale or features are of another modality.
    """
    for member in plan.members:
        network = isinstance(member, NetworkMember)
        asked = member.intensity if isinstance(member, NetworkMember) else member.features
        known = modality.scales if network else modality.features
        if strange := [one for one in asked if one not in known]:
            raise UsageError(
                "The plan is not for scans of this modality.",
                where=f"{member.name}: {'intensity' if network else 'features'}",
                found=f"{', '.join(strange)}, for {modality.name} scans",
                expected=", ".join(known),
                fix="Take another plan (s2 and s5 are for T1; s1, s3 and best for DaT), or another cohort.",
            )
