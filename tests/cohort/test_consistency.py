"""What a table contradicts is found, each kind where it was planted and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dopascope.cohort import CohortScan, read_cohort
from dopascope.cohort.consistency import missing_covariates, table_findings

COLUMNS = "scan_id participant_id session_id path modality label age sex scan_date updrs"


def cohort(tmp_path: Path, *changes: tuple[int, str, str], people: int = 24) -> list[CohortScan]:
    """Two visits of each person, half PD and half control; `changes` are (line, column, cell)."""
    names = COLUMNS.split()
    rows = []
    for n in range(people):
        for visit, year in enumerate((2020, 2022)):
            values = (
                *(f"s{n}-{visit}", f"p{n}", f"V{visit}", f"{n}-{visit}.nii", "dat"),
                *("PD" if n % 2 else "control", str(60 + 2 * visit), "F", f"{year}-05-01", "20"),
            )
            rows.append(dict(zip(names, values, strict=True)))
    for line, column, cell in changes:
        rows[line][column] = cell
    path = tmp_path / "cohort.tsv"
    path.write_text("\n".join(["\t".join(names), *("\t".join(row[name] for name in names) for row in rows)]) + "\n")
    return read_cohort(path)


def test_nothing_is_found_in_a_sound_table(tmp_path: Path) -> None:
    scans = cohort(tmp_path)
    assert table_findings(scans) == []
    assert {one.column: one.share for one in missing_covariates(scans)} == {
        **dict.fromkeys(("age", "sex", "scan_date", "updrs"), 0),
        **dict.fromkeys(("site", "camera"), 1),
    }


PLANTED = {
    "two_sexes": ([(0, "sex", "M")], True, "p0: F, M"),
    "two_labels": ([(0, "label", "PD")], True, "p0: PD, control"),
    "ages_fall": ([(1, "age", "55")], True, "p0: 60 on 2020-05-01, 55 on 2022-05-01"),
    "label_spellings": ([(n, "label", "p.d.") for n in range(48) if n // 2 % 4 == 1], True, "PD, p.d."),
    "no_person": ([(5, "participant_id", "n/a")], True, "s2-1"),
    "no_label": ([(4, "label", "n/a"), (5, "label", "n/a")], False, "s2-0"),
    "same_session": ([(1, "session_id", "V0")], False, "p0, V0: s0-0, s0-1"),
    "few_people": ([(0, "label", "ET"), (1, "label", "ET")], False, "ET: 1"),
    "missing_unevenly": ([(n, "updrs", "n/a") for n in range(0, 48, 4)], False, "updrs: PD 0%, control 50%"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_planted_is_found_with_who_it_is(kind: str, tmp_path: Path) -> None:
    changes, fails, who = PLANTED[kind]
    found = {one.kind: one for one in table_findings(cohort(tmp_path, *changes))}
    assert kind in found
    assert found[kind].fails is fails
    assert who in found[kind].who
    assert set(found) - {kind} <= {"few_people"}


def test_a_year_of_rounding_is_no_contradiction_and_slices_are_no_second_scan(tmp_path: Path) -> None:
    assert table_findings(cohort(tmp_path, (1, "age", "59.5"))) == []
    scans = cohort(tmp_path, (1, "session_id", "V0"))
    slices = [CohortScan(**(vars(scan) | {"further": {**scan.further, "volume": "v"}})) for scan in scans]
    assert "same_session" not in {one.kind for one in table_findings(slices)}
