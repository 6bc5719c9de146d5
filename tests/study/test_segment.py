"""A segmenter's plan, its split, what is shown of its failures, and when it makes a bundle."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest

from dopascope.bundle.brain import SIDE as BUNDLE_SIDE
from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.slices import judge
from dopascope.study.segment import NETWORK, material_of_table
from dopascope.study.segment_pictures import Answered, outside_piece, stages, worst
from dopascope.study.segment_plan import PAINTED, SegmentPlan, plan_text, why_no_bundle
from dopascope.tasks.masked_slices import Gathered, MaskedSlice

SHAPE = (64, 80)


def disc(row: float, column: float, radius: float) -> np.ndarray:
    i, j = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray((i - row) ** 2 + (j - column) ** 2 < radius**2)


def one_slice(name: str, person: str, mask: np.ndarray) -> MaskedSlice:
    image = np.where(mask, 0.6, 0.1).astype(np.float16)
    return MaskedSlice(name, name, person, "axial", image, mask, 1.0)


def answered(name: str, said: np.ndarray, truth: np.ndarray) -> Answered:
    return Answered(one_slice(name, "p1", truth), said, {NETWORK: judge(said, truth, "p1")})


BRAIN = disc(32, 35, 18)


def test_a_sinus_is_a_piece_and_a_border_drawn_too_far_is_none() -> None:
    sinus = disc(32, 65, 5)
    rim = disc(32, 35, 19) & ~BRAIN
    assert not outside_piece(BRAIN | rim, BRAIN).any()
    found = outside_piece(BRAIN | rim | sinus, BRAIN)
    assert (found & sinus).sum() > 0.7 * sinus.sum()
    assert not (found & ~sinus).any()
    assert not outside_piece(BRAIN, BRAIN).any()


def test_of_two_pieces_the_larger_is_marked() -> None:
    eye, neck = disc(10, 70, 4), disc(50, 68, 8)
    found = outside_piece(BRAIN | eye | neck, BRAIN)
    assert found[50, 68]
    assert not found[10, 70]


def cases() -> list[Answered]:
    return [
        answered("good", BRAIN, BRAIN),
        answered("fair", disc(32, 37, 18), BRAIN),
        answered("missed", disc(32, 35, 4), BRAIN),
        answered("sinus", BRAIN | disc(32, 65, 7), BRAIN),
        answered("nothing there", np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)),
        answered("neck", disc(50, 60, 6), np.zeros(SHAPE, bool)),
    ]


def test_stages_show_the_best_the_middle_the_worst_and_the_sinus() -> None:
    known = cases()
    shown = [known[number].slice.name for number in stages(known)]
    assert shown[0] == "good"
    assert shown[2] == "missed"
    assert "sinus" in shown
    assert len(shown) == len(set(shown))


def test_failures_are_listed_by_dice_and_by_what_lies_outside() -> None:
    known = cases()
    told = [(known[number].slice.name, why) for number, why in worst(known)]
    low = [name for name, why in told if why == "lowest Dice"]
    assert low[:2] == ["neck", "missed"]
    assert "nothing there" not in low, "an empty mask that was rightly said empty is no failure"
    assert {name for name, why in told if why == "largest piece outside"} == {"sinus", "neck"}


def gathered(people: dict[str, int], masks: dict[str, np.ndarray]) -> Gathered:
    slices = [
        one_slice(f"{person}-{number}", person, masks[person])
        for person, count in people.items()
        for number in range(count)
    ]
    return Gathered(slices, ["a note"], ["00"])


def test_the_split_is_by_people_and_said() -> None:
    people = {f"p{number}": 20 for number in range(5)}
    material = material_of_table(gathered(people, dict.fromkeys(people, BRAIN)), [], 1)
    assert {one.participant_id for one in material.control} == set(material.split["control_people"])
    assert not set(material.split["control_people"]) & set(material.split["train_people"])
    assert (len(material.control), material.train_slices) == (20, 80)
    assert "80 training slices of 4 people and 20 control slices of 1 person: 20.0% where 20%" in material.sentence


@pytest.mark.parametrize(
    ("masks", "word"),
    [
        ({"p1": BRAIN, "p2": np.zeros(SHAPE, bool)}, "have no brain"),
        ({"p1": np.ones(SHAPE, bool), "p2": np.ones(SHAPE, bool)}, "training slices have no background"),
    ],
)
def test_a_class_that_is_missing_is_refused(masks: dict[str, np.ndarray], word: str) -> None:
    with pytest.raises(UnsuitableError, match=word):
        material_of_table(gathered({"p1": 8, "p2": 8}, masks), [], 1)


def text_of(**changes: Any) -> str:
    plan = SegmentPlan(**changes)
    split = {"control_people": ['o"ne'], "train_people": ["two"], "control_slices": 3, "train_slices": 13}
    return plan_text(plan, plan.recipe(13), (512, 512), split, plan.assumed([]), ["square pixels"], ["ab"])


def test_the_plan_is_toml_that_holds_every_number_and_what_was_assumed() -> None:
    plan = tomllib.loads(text_of(size=512))
    assert plan["training"]["epochs"] == 200
    assert plan["training"]["slices_per_epoch"] == 16
    assert plan["training"]["loss"] == "cross-entropy"
    assert plan["split"]["control_people"] == ['o"ne']
    assert plan["assumed"]["images"] == ["square pixels"]
    for name in ("encoder", "batch", "learning_rate", "optimiser", "first_weights", "augmentation"):
        assert "paper" in plan["assumed"][name]
    assert "encoder" not in SegmentPlan(encoder="resnet50").assumed(["encoder"])
    assert tomllib.loads(text_of())["slices"]["size"] == "native"


@pytest.mark.parametrize("change", [{"epochs": 3}, {"seed": 2}, {"batch": 4}, {"encoder": "resnet34"}, {"size": 64}])
def test_another_training_has_another_plan(change: dict[str, Any]) -> None:
    assert text_of(**change) != text_of()


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"batch": 1}, "--batch"),
        ({"epochs": 0}, "segment.epochs"),
        ({"learning_rate": -1.0}, "segment.learning_rate"),
        ({"size": 100}, "--size"),
        ({"source": PAINTED, "size": None}, "--size"),
    ],
)
def test_plans_that_cannot_be_meant(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        SegmentPlan(**changes)
    assert caught.value.where == where


def test_a_bundle_needs_its_size_its_planes_and_scans() -> None:
    three = {"sagittal", "coronal", "axial"}
    side = (BUNDLE_SIDE, BUNDLE_SIDE)
    plan = SegmentPlan(size=BUNDLE_SIDE)
    assert why_no_bundle(plan, side, {*three}) is None
    assert why_no_bundle(SegmentPlan(source=PAINTED, size=BUNDLE_SIDE), side, {None}) is None
    assert "512 x 512" in str(why_no_bundle(SegmentPlan(size=512), (512, 512), {*three}))
    assert "no coronal or sagittal" in str(why_no_bundle(plan, side, {"axial"}))
    assert "pictures" in str(why_no_bundle(plan, side, {None, *three}))
