"""One picture with other ratios: what is asked for comes, nothing asked changes nothing, and every file is marked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dopascope.errors import UnsuitableError, UsageError
from dopascope.generate.changing import change, image_of, write
from dopascope.generate.fitting import claim, fit_material
from dopascope.generate.frames import frame
from dopascope.generate.lineage import Lineage
from dopascope.generate.marking import unmarked
from dopascope.generate.material import Material
from made_material import WANTED, places


def test_nothing_asked_is_nothing_changed_and_what_came_is_read_off_again(lineage: Lineage, made: Material) -> None:
    """That ratios move as asked, of a generator that learned for long enough, is in tests/learn/test_counterfactual."""
    image = made.held_out.images[0]
    present = float(made.frame.quantities(image[None])["putamen"][0])
    found = change(lineage, image, made.held_out.labels[0], [present - 1.0, present])
    assert found.present == pytest.approx(present)
    assert np.array_equal(found.images[1], image)
    assert not np.array_equal(found.images[0], image)
    assert found.found == made.frame.quantities(np.stack(found.images))["putamen"].tolist()


def test_every_file_says_synthetic(lineage: Lineage, made: Material, tmp_path: Path) -> None:
    from dopascope import formats
    from dopascope.volume import Volume

    found = change(lineage, made.held_out.images[1], made.held_out.labels[1], [1.0, 2.0])
    said = write(found, lineage, tmp_path, source_sha256="0" * 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "change.json",
        "change.png",
        "sbr-1.00.nii.gz",
        "sbr-2.00.nii.gz",
    ]
    for one, image in zip(said["images"], found.images, strict=True):
        loaded = formats.load(tmp_path / one["file"])
        assert isinstance(loaded, Volume)
        np.testing.assert_allclose(found.frame.image(unmarked(loaded.data, where="file")), image, atol=1e-6)
    assert json.loads((tmp_path / "change.json").read_text()) == said


def test_what_cannot_be_changed_is_refused(lineage: Lineage, made: Material, table: Path, tmp_path: Path) -> None:
    image = made.held_out.images[0]
    with pytest.raises(UsageError, match="does not know this class"):
        change(lineage, image, "MSA", [1.0])
    for wanted in ([], [1.0, float("nan")]):
        with pytest.raises(UsageError, match="No ratio"):
            change(lineage, image, "PD", wanted)
    blind = replace(WANTED, conditions=(), recipe=replace(WANTED.recipe, epochs=1))
    claim(tmp_path / "blind", places(made))
    with pytest.raises(UsageError, match="knows no ratio"):
        change(fit_material(blind, made, table, tmp_path / "blind"), image, "PD", [1.0])


def test_a_scan_is_taken_as_training_images_were(tmp_path: Path) -> None:
    """One simulated scan, through registration, against the view that a study would cut."""
    from dopascope.batch.viewing import ViewSettings, see
    from dopascope.cohort import read_cohort
    from dopascope.phantom import SITES
    from dopascope.simulate import Plan, parse_mix, run

    plan = Plan(subjects=1, seed=3, sites=tuple(SITES)[:1], mix=parse_mix("pd=1"), ideal=False)
    scans = read_cohort(run(plan, tmp_path / "cohort", processes=1))
    seen = see(scans, ["slab_12mm"], tmp_path / "views", ViewSettings(), cache=tmp_path / "cache")
    known = frame("slab-64")
    expected = known.sight.images(seen.views["slab_12mm"], [seen.records[0]["references"]]).numpy()[0]
    found, sha256 = image_of(scans[0].path, known)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert sha256 == seen.records[0]["sha256"]


def test_what_is_no_dat_scan_is_not_changed(tmp_path: Path) -> None:
    odd = tmp_path / "odd.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((40, 40, 40), np.float32), np.diag([2.0, 2.0, 2.0, 1.0])), odd)
    with pytest.raises(UnsuitableError, match="passport refuses"):
        image_of(odd, frame("slab-64"))
    with pytest.raises(UsageError, match="Only generators of DaT scans") as caught:
        image_of(odd, frame("t1-slice"))
    assert caught.value.found == "frame t1-slice"
