"""The table that generators of T1 learn from: simulated people, and real scans whose licence permits it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import t1_healthy
from dopascope import formats
from dopascope.cohort import read_cohort

MAY_BE_LEARNED_FROM = ("PDDL", "MIT", "BSD")


def test_the_licences_of_real_scans_are_those_of_the_manifest(data_dir: Path) -> None:
    with open(data_dir / "MANIFEST.tsv", encoding="utf-8", newline="") as stream:
        licences = {one["path"]: one["licence"] for one in csv.DictReader(stream, delimiter="\t")}
    for real in t1_healthy.REAL:
        assert licences[real.path].startswith(real.licence)
        assert real.licence.startswith(MAY_BE_LEARNED_FROM)


@pytest.mark.slow
def test_real_scans_stand_beside_simulated_ones_with_their_brains(data_dir: Path, tmp_path: Path) -> None:
    table = t1_healthy.people(data_dir, tmp_path, 2)
    scans = read_cohort(table)
    assert [one.person for one in scans][2:] == [f"real-{one.name}" for one in t1_healthy.REAL]
    assert {(one.cells["modality"], one.label) for one in scans} == {("t1", "control")}
    for scan, real in zip(scans[2:], t1_healthy.REAL, strict=True):
        kept, source = formats.load(scan.path), formats.load(data_dir / real.path)
        np.testing.assert_allclose(kept.grid.affine, source.grid.affine, atol=1e-3)
        np.testing.assert_allclose(kept.data, source.data, rtol=1e-5, atol=1e-3)
    before = table.read_bytes()
    assert t1_healthy.people(data_dir, tmp_path, 2).read_bytes() == before
