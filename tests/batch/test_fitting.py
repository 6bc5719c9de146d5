"""What is fitted to measured scans: who is taken, what is refused, and where it came from."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.batch import Measured, normals_of, recovery_of
from dopascope.batch.fitting import check_enough, left_out
from dopascope.cohort import CohortScan
from dopascope.errors import UnsuitableError, UsageError
from dopascope.quant import Quantification, Region
from dopascope.quant.voi import MEASURED
from dopascope.volume import Acquisition

CAMERA = Acquisition(manufacturer="Nobody", model="Eye")


def measured(number, label="control", **known):
    rng = np.random.default_rng(number)
    regions = {
        region: Region(value, (value - 0.1, value + 0.1))
        for region, value in zip(MEASURED, rng.uniform(2, 3, 99), strict=False)
    }
    numbers = Quantification("voi/brain/1", "brain", 1.0, regions, {})
    facts = {
        "name": f"s{number}",
        "cells": {"label": label},
        "sha256": f"{number:064d}",
        "age": 40.0 + number,
        "sex": "FM"[number % 2],
        "acquisition": CAMERA,
        "accepted": True,
        "quantification": numbers,
    }
    return Measured(**facts | known)


def test_normals_are_fitted_to_the_healthy_whose_registration_was_accepted():
    people = [measured(n, "Control" if n % 3 else "normal") for n in range(30)]
    others = [
        measured(30, "PD"),
        measured(31, accepted=False),
        measured(32, quantification=None, error={"what": "bad"}),
    ]
    found = normals_of([*people, *others], name="own", cohort="cohort.tsv")
    assert found.n == 30
    assert found.population == "30 people labelled control or normal in cohort.tsv"
    assert found.provenance.scans == tuple(one.sha256 for one in people)
    assert found.provenance.created
    assert found.provenance.software["dopascope"]
    assert not found.simulated
    assert left_out([*people, *others]) == ["s31", "s32"]
    assert normals_of(people, name="own", cohort="c", labels=("NORMAL", "control")).regions == found.regions


def test_people_of_two_cameras_are_refused_with_both_named():
    people = [measured(n, acquisition=Acquisition(model="Eye" if n % 2 else "Ear")) for n in range(30)]
    with pytest.raises(UnsuitableError, match="not made alike") as caught:
        normals_of(people, name="own", cohort="cohort.tsv")
    assert "15 x model 'Ear'" in caught.value.found
    assert "15 x model 'Eye'" in caught.value.found


def test_too_few_labels_are_found_before_any_scan_is_measured(tmp_path):
    scans = [CohortScan(f"s{n}", tmp_path, {"label": "well"}) for n in range(25)]
    check_enough(scans, ("Well",))
    with pytest.raises(UnsuitableError, match="too few healthy") as caught:
        check_enough(scans, ())
    assert caught.value.found == "0 labelled control or normal"


def test_one_truth_for_several_scans_is_an_assumption_that_is_kept():
    one, two = measured(1), measured(2)
    truth = {"": {"putamen_left": 4.0}}
    assert "ASSUMED all 2 scans are of one filling" in recovery_of([one, two], truth, name="phantom").provenance.how
    assert "ASSUMED" not in recovery_of([one], truth, name="phantom").provenance.how


def test_recovery_takes_each_scans_own_truth():
    one, two = measured(1), measured(2)
    regions = {scan.name: scan.quantification.regions["putamen_left"].sbr for scan in (one, two)}
    truth = {name: {"putamen_left": sbr / 0.5} for name, sbr in regions.items()}
    found = recovery_of([one, two], truth, name="phantom")
    assert found.regions["putamen_left"].factor == pytest.approx(0.5)
    assert set(found.regions) == {"putamen_left", "anterior_putamen_left", "posterior_putamen_left"}
    assert found.provenance.scans == (one.sha256, two.sha256)
    with pytest.raises(UsageError) as caught:
        recovery_of([one, two], {"s1": {"putamen_left": 4.0}}, name="phantom")
    assert caught.value.expected == "s1, s2"
    with pytest.raises(UnsuitableError, match="not accepted") as unfit:
        recovery_of([one, measured(3, accepted=False)], {"": {"putamen_left": 4.0}}, name="phantom")
    assert unfit.value.found == "s3"
