"""A handful of simulated scans on disk, and tables that name them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dopascope import formats, phantom

SITE = phantom.SITES["siemens-lehr-osem"]
SEEDS = (63_000, 63_001, 63_002)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `0.dcm` to `2.dcm`: two healthy people and one with Parkinson's at one simulated site."""
    folder = tmp_path_factory.mktemp("scans")
    for number, seed in enumerate(SEEDS):
        person = phantom.draw_person(seed, "pd" if number == 2 else "healthy")
        volume, _ = phantom.scan(person, SITE.camera, phantom.draw_pose(seed), seed)
        facts = replace(SITE.acquisition(age_years=person.age, sex=person.sex), corrections=("UNIF",))
        formats.write_nm(replace(volume, acquisition=facts), folder / f"{number}.dcm")
    return folder


@pytest.fixture
def cohort(scans: Path, tmp_path: Path):
    """Write a cohort table of lines (scan_id, path, label, age, sex) and return its path."""

    def write(*lines: tuple[object, ...], columns: str = "scan_id path label age sex") -> Path:
        path = tmp_path / "cohort.tsv"
        rows = ["\t".join(columns.split()), *("\t".join(map(str, line)) for line in lines)]
        path.write_text("\n".join(rows) + "\n")
        return path

    return write
