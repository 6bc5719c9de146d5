"""Judgements of images of known worth: other real people, noise, one image again and again, and copies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dopascope.bundle import store
from dopascope.cohort import CohortScan
from dopascope.errors import LeakError, UnsuitableError, UsageError
from dopascope.generate.classes import reader
from dopascope.generate.judging import judge, shown
from dopascope.generate.lineage import Lineage
from dopascope.generate.material import Material, Side
from dopascope.generate.synthetic import Synthetic
from dopascope.report import generated as page
from made_material import material, person


def synthetic(lineage: Lineage, made: Material, images: NDArray[np.float32], labels: list[str]) -> Synthetic:
    """These images as if they had been drawn; the ratio asked for is the one that they have."""
    ratios = made.frame.quantities(images)["putamen"]
    scans = [
        CohortScan(
            name=f"synthetic-{row}",
            path=Path(f"{row}.nii.gz"),
            cells={"label": label},
            further={"asked_sbr": f"{ratio:.6g}"},
        )
        for row, (label, ratio) in enumerate(zip(labels, ratios, strict=True))
    ]
    record: dict[str, Any] = {"generator_sha256": lineage.generator_sha256, "request": {}}
    return Synthetic(made.frame, scans, images, record)


def others(count: int) -> tuple[NDArray[np.float32], list[str]]:
    """Images of people who are neither trained on nor held out."""
    people = [person(number, "slab-64") for number in range(500, 500 + count)]
    return np.stack([image for _, image in people]), [str(scan.label) for scan, _ in people]


@pytest.fixture(scope="module")
def honest(lineage: Lineage, made: Material) -> dict[str, Any]:
    return judge(lineage, made, synthetic(lineage, made, *others(30)))


@pytest.fixture(scope="module")
def copied(lineage: Lineage, made: Material) -> dict[str, Any]:
    """All are training images with a little noise."""
    grain = np.random.default_rng(3).normal(0, 0.002, (30, *made.training.images.shape[1:]))
    images = (made.training.images[:30] + grain).astype(np.float32)
    return judge(lineage, made, synthetic(lineage, made, images, made.training.labels[:30]))


def test_other_real_people_are_as_near_as_real_ones(honest: dict[str, Any]) -> None:
    for features in honest["features"]:
        assert features["mmd"]["p"] > 0.01
        for against in features["against"].values():
            assert against["value"]["value"] < 3 * abs(against["floor"]["value"]) + 0.3 * abs(
                (against["reference"] or {"value": 1.0})["value"]
            )
    assert honest["memorisation"]["result"]["verdict"] == "not shown"
    for line in honest["by_class"]:
        assert line["error"]["low"] < 0.5 * line["real_sd"]
        assert line["error"]["high"] > -0.5 * line["real_sd"]
    assert honest["asked"]["error"]["value"] == pytest.approx(0, abs=1e-4)
    assert honest["asked"]["class_mean"]["value"] > 0.05
    assert honest["asked"]["correlation"] == pytest.approx(1, abs=1e-4)


def test_every_figure_stands_beside_its_floor_and_two_cameras(honest: dict[str, Any]) -> None:
    assert honest["cameras"]["names"] == ["ge", "siemens"]
    assert honest["n"] == {"training": 40, "held_out": 24, "synthetic": 30}
    assert len(honest["features"]) == 2
    for features in honest["features"]:
        assert "random projections" in features["features"] or "training images" in features["features"]
        assert set(features["against"]) == {"mmd", "frechet", "kernel_distance", "outside", "uncovered"}
        for against in features["against"].values():
            assert {"floor", "value", "reference"} <= against.keys()
    assert [one["quantity"] for one in honest["quantities"]] == [
        "putamen",
        "caudate",
        "putamen_asymmetry",
        "caudate_to_putamen",
    ]
    assert set(honest["diversity"]) == {"all", "PD", "control"}


def test_images_of_the_other_class_are_told_by_their_ratios(lineage: Lineage, made: Material) -> None:
    images, labels = others(30)
    swapped = [{"PD": "control", "control": "PD"}[one] for one in labels]
    found = judge(lineage, made, synthetic(lineage, made, images, swapped))
    errors = {one["label"]: one["error"] for one in found["by_class"] if one["quantity"] == "putamen"}
    assert errors["PD"]["low"] > 0
    assert errors["control"]["high"] < 0
    assert any("WRONG for PD, control" in line for line in found["verdict"])
    # As a set, whoever they are said to be, they are real images.
    assert found["features"][0]["mmd"]["p"] > 0.01


def test_one_image_again_and_again_is_not_varied(lineage: Lineage, made: Material) -> None:
    one = others(1)[0][0]
    grain = np.random.default_rng(4).normal(0, 0.001, (30, *one.shape))
    images = (one + grain).astype(np.float32)
    found = judge(lineage, made, synthetic(lineage, made, images, ["control"] * 30))
    pair = found["diversity"]["all"]
    assert pair["synthetic"]["mean"]["low"] > pair["real"]["mean"]["high"]
    assert any("LESS varied" in line for line in found["verdict"])
    assert found["features"][0]["mmd"]["p"] < 0.01
    assert found["features"][0]["coverage"]["recall"]["value"] < 0.2


def test_copies_are_named_with_their_originals(copied: dict[str, Any], made: Material) -> None:
    memory = copied["memorisation"]
    assert memory["result"]["verdict"] == "memorises"
    assert memory["result"]["nearest"] == tuple(range(30))
    assert memory["pairs"][0]["training"] == made.training.names[memory["pairs"][0]["row"]]
    assert any("Memorisation: SHOWN" in line for line in copied["verdict"])


def test_planted_training_images_are_found_where_there_is_nothing_to_find(honest: dict[str, Any]) -> None:
    control = honest["memorisation"]["control"]
    assert control["planted"] == 3
    assert control["named"] == 3
    assert control["verdict"] == "memorises"
    assert "names 3" in honest["verdict"][-1]


def test_a_test_that_finds_no_planted_image_says_so(lineage: Lineage, made: Material) -> None:
    """In one and the same picture with noise nothing tells a copy from another image: the control has to fail."""
    rng = np.random.default_rng(8)

    def noisy(side: Side) -> Side:
        flat = np.full(side.images.shape, 0.5) + rng.normal(0, 1e-4, side.images.shape)
        return replace(side, images=flat.astype(np.float32))

    grey = replace(made, training=noisy(made.training), held_out=noisy(made.held_out))
    grain = rng.normal(0, 0.1, (30, 1, 64, 64))
    images = (0.5 + grain).astype(np.float32)
    from dopascope.generate import copies

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(copies, "GRAIN", 1e4)  # planted images that are buried in noise
        told = copies.copies(grey, images)
    assert told["control"]["named"] == 0
    assert "FAILED" in told["sentences"][-1]


def test_a_reader_is_asked_where_the_frame_holds_what_it_looks_at(
    lineage: Lineage, made: Material, tmp_path: Path
) -> None:
    bundle = store.load(store.SHIPPED_READER, tmp_path)
    whole = material("slab", training=1, held_out=6)
    side = whole.held_out
    same = synthetic(lineage, whole, side.images, side.labels)
    found = reader(bundle, whole, same)
    assert found["why_not"] == ""
    for line in found["classes"]:
        assert line["synthetic"] == line["held_out"]
        assert line["synthetic"]["n"] == 3
    swapped = [{"PD": "control", "control": "PD"}[one] for one in side.labels]
    other = reader(bundle, whole, synthetic(lineage, whole, side.images, swapped))
    by_label = {line["label"]: line for line in found["classes"]}
    for line in other["classes"]:
        theirs = {"PD": "control", "control": "PD"}[line["label"]]
        assert line["synthetic"] == by_label[theirs]["held_out"]
    assert by_label["PD"]["synthetic"]["mean_p"] > by_label["control"]["synthetic"]["mean_p"]
    cut = reader(bundle, made, synthetic(lineage, made, *others(8)))
    assert "frames that hold it: slab" in cut["why_not"]
    assert cut["classes"] == []


def test_the_page_says_it_all_and_nothing_is_fetched(
    honest: dict[str, Any], copied: dict[str, Any], lineage: Lineage, made: Material, tmp_path: Path
) -> None:
    images, labels = others(30)
    for found in (honest, copied):
        path = page.write(found, shown(made, synthetic(lineage, made, images, labels), found), tmp_path)
        text = path.read_text()
        assert "For research and education. Not a medical device." in text
        assert text.count("SYNTHETIC") >= 3
        assert all(line.split(":")[0] in text for line in found["verdict"])
        assert "http" not in text.replace("http-equiv", "")
        assert json.loads((tmp_path / "judgement.json").read_text())["verdict"] == found["verdict"]
    assert "<strong>Every real image here is of a simulated person" not in text


def test_what_cannot_be_judged_is_refused(lineage: Lineage, made: Material) -> None:
    images, labels = others(30)
    good = synthetic(lineage, made, images, labels)
    with pytest.raises(UsageError, match="another generator's"):
        judge(lineage, made, replace(good, record={"generator_sha256": "0" * 64, "request": {}}))
    exchanged = replace(made, training=made.held_out, held_out=made.training)
    with pytest.raises(LeakError, match="not what the generator learned from") as caught:
        judge(lineage, exchanged, good)
    assert caught.value.found.startswith("40 held-out scans")
    few = synthetic(lineage, made, images[:7], labels[:7])
    with pytest.raises(UnsuitableError, match="too few") as small:
        judge(lineage, made, few)
    assert (small.value.where, small.value.found) == ("synthetic images", "7")
