"""Generators of T1 scans, from painted brains to the page: fitted, drawn, judged by tissues."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from dopascope.cohort.splits import Place
from dopascope.generate.asking import Request
from dopascope.generate.fitting import Wanted, claim, fit_material
from dopascope.generate.frames import frame
from dopascope.generate.judging import judge, shown
from dopascope.generate.lineage import Lineage
from dopascope.generate.material import Material, Side
from dopascope.generate.synthetic import read_synthetic, sample
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.report import generated as page
from t1_people import seen_of, write_table

SETTINGS: dict[str, Any] = {"width": 8, "latent": 4}


@pytest.fixture(scope="module", params=["t1-slice", "t1-volume"])
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lineage, Material]:
    folder, known = tmp_path_factory.mktemp(request.param), frame(request.param)
    table = write_table(folder, 24, labels=("control",))
    seen = seen_of(table, (known.sight.view,))
    images = known.sight.images(seen.views[known.sight.view], [one["references"] for one in seen.records]).numpy()
    half = len(seen.scans) // 2
    sides = [Side(seen.scans[part], images[part]) for part in (slice(half), slice(half, None))]
    material = Material(known, sides[0], sides[1], [])
    roles = zip(("train", "test"), sides, strict=True)
    places = [Place("1", role, scan.name, str(scan.person)) for role, side in roles for scan in side.scans]
    recipe = GeneratorRecipe(epochs=2, batch=12, learning_rate=3e-3, average=0.5)
    wanted = Wanted("cvae", known, recipe, conditions=("age",), settings=SETTINGS)
    claim(folder / "fit", places)
    return fit_material(wanted, material, table, folder / "fit"), material


def test_brains_are_drawn_and_judged_by_their_tissues(fitted: tuple[Lineage, Material], tmp_path: Path) -> None:
    lineage, material = fitted
    table = sample(lineage, Request({"control": 12}, seed=5, fixed={}), tmp_path / "made")
    with table.open(newline="") as stream:
        assert {row["modality"] for row in csv.DictReader(stream, delimiter="\t")} == {"synthetic-t1"}
    made = read_synthetic(tmp_path / "made")
    assert made.images.shape[1:] == material.frame.shape
    found = judge(lineage, material, made)
    assert [one["quantity"] for one in found["quantities"]] == ["brain", "fluid", "white", "sides"]
    assert [(one["label"], one["quantity"]) for one in found["by_class"]] == [
        ("control", "brain"),
        ("control", "fluid"),
    ]
    assert found["asked"] is None
    assert any(line.startswith("Brain in the image, ml, synthetic less real") for line in found["verdict"])
    written = page.write(found, shown(material, made, found), tmp_path / "judged").read_text()
    assert "z-scores" in written
    assert "striatum" not in written.split("<main>")[1].split("Copies of")[0].replace(found["frame_description"], "")
    assert json.loads((tmp_path / "judged" / page.JUDGEMENT).read_text())["frame"] == lineage.frame


def test_a_brain_is_counted_where_it_is(fitted: tuple[Lineage, Material]) -> None:
    _, material = fitted
    found = material.frame.quantities(material.training.images)
    volume = material.frame.grid.voxel_ml * material.training.images[0].size
    assert ((found["brain"] > 0.2 * volume) & (found["brain"] < 0.8 * volume)).all()
    assert (abs(found["sides"]) < 10).all()
