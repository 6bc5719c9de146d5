"""From measured scans to what is fitted to them: normal values and recovery factors, each with its provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dopascope import provenance
from dopascope.batch.binding import Measured
from dopascope.batch.truth import EVERY_SCAN
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsuitableError, UsageError
from dopascope.quant import (
    Conditions,
    HealthyPerson,
    Normals,
    PhantomScan,
    Provenance,
    Recovery,
    fit_normals,
    fit_recovery,
)
from dopascope.quant.fit import LEAST_PEOPLE

HEALTHY_LABELS: Final = ("control", "normal")


def check_enough(scans: Sequence[CohortScan], labels: Sequence[str]) -> None:
    """Raise UnsuitableError where the table alone shows that there are too few healthy people to fit."""
    found = sum(_is_healthy(scan.label, labels) for scan in scans)
    if found < LEAST_PEOPLE:
        raise UnsuitableError(
            "There are too few healthy people to fit normals.",
            where="column label",
            found=f"{found} labelled {' or '.join(labels or HEALTHY_LABELS)}",
            expected=f"at least {LEAST_PEOPLE}",
            fix="Add healthy people of the same camera, or name their label with --label.",
        )


def _is_healthy(label: str | None, labels: Sequence[str]) -> bool:
    return (label or "").casefold() in {one.casefold() for one in labels or HEALTHY_LABELS}


def healthy_people(results: Sequence[Measured], labels: Sequence[str] = HEALTHY_LABELS) -> list[Measured]:
    """The results that normals are fitted to: labelled healthy, measured, and with an accepted registration."""
    return [
        one for one in results if _is_healthy(one.label, labels) and one.quantification is not None and one.accepted
    ]


def left_out(results: Sequence[Measured], labels: Sequence[str] = HEALTHY_LABELS) -> list[str]:
    """Names of scans that are labelled healthy and cannot be fitted: not measured, or not placed well."""
    used = {one.name for one in healthy_people(results, labels)}
    return [one.name for one in results if _is_healthy(one.label, labels) and one.name not in used]


def normals_of(
    results: Sequence[Measured], *, name: str, cohort: str, labels: Sequence[str] = HEALTHY_LABELS
) -> Normals:
    """Normal values of the healthy people among `results`.

    Raises:
        UnsuitableError: see `quant.fit_normals`.
    """
    people = healthy_people(results, labels)
    return fit_normals(
        [
            HealthyPerson(
                name=one.name,
                age_years=one.age,
                sex=one.sex,
                method_id=numbers.method_id,
                acquisition=one.acquisition,
                sbr={region: value.sbr for region, value in numbers.regions.items()},
            )
            for one in people
            if (numbers := one.quantification) is not None
        ],
        name=name,
        population=f"{len(people)} {_kind(people)} labelled {' or '.join(labels)} in {cohort}",
        provenance=_provenance("dopascope quantify --fit-normals", people),
    )


def _kind(people: Sequence[Measured]) -> str:
    return "simulated people" if any(Conditions.of(one.acquisition).simulated for one in people) else "people"


def recovery_of(results: Sequence[Measured], truth: Mapping[str, Mapping[str, float]], *, name: str) -> Recovery:
    """Recovery factors of the phantom scans among `results`; `truth` as `read_truth` gives it.

    Raises:
        UsageError: a scan without true ratios, or true ratios of a scan that is not here.
        UnsuitableError: a scan that was not measured or not placed well; see also `quant.fit_recovery`.
    """
    unfit = [one.name for one in results if one.quantification is None or not one.accepted]
    if unfit:
        raise UnsuitableError(
            "A phantom scan was not measured, or its registration was not accepted.",
            where="registration",
            found=", ".join(unfit),
            expected="every phantom scan measured and placed",
            fix="Leave these scans out, or look at them (dopascope read).",
        )
    if EVERY_SCAN not in truth and set(truth) != {one.name for one in results}:
        raise UsageError(
            "The table of true ratios is of other scans.",
            where="column scan",
            found=", ".join(sorted(truth)),
            expected=", ".join(one.name for one in results),
            fix="Name each scan by its scan_id, or by its path as given; or leave the column scan out.",
        )
    return fit_recovery(
        [
            PhantomScan(
                name=one.name,
                acquisition=one.acquisition,
                quantification=numbers,
                truth=truth.get(one.name) or truth[EVERY_SCAN],
            )
            for one in results
            if (numbers := one.quantification) is not None
        ],
        name=name,
        provenance=_provenance(
            "; ".join(["dopascope quantify --truth", *(f"ASSUMED {one}" for one in assumed_of(results, truth))]),
            results,
        ),
    )


def assumed_of(results: Sequence[Measured], truth: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What the table of true ratios leaves open."""
    if EVERY_SCAN not in truth or len(results) == 1:
        return []
    return [f"all {len(results)} scans are of one filling: the table of true ratios has no column scan"]


def _provenance(how: str, results: Sequence[Measured]) -> Provenance:
    return Provenance(
        how=how,
        scans=tuple(one.sha256 for one in results if one.sha256),
        software=provenance.software(),
        created=provenance.now(),
    )
