"""Plans: presets hold what their papers state; anything that cannot be meant is refused by its field."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from dopascope.augment import parse as parse_augmentation
from dopascope.cohort import CohortScan
from dopascope.errors import UsageError
from dopascope.learn.recipe import Recipe
from dopascope.nets import known
from dopascope.study import PRESETS, changed, load
from dopascope.study.material import sight_of
from dopascope.study.people import folds
from dopascope.study.plan import differences, parse, to_toml
from small_plan import SMALL


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole_and_comes_back_from_its_own_text(name: str) -> None:
    plan = load(name)
    assert parse(to_toml(plan), where="again") == plan
    for member in plan.networks:
        parse_augmentation(member.augment)
        Recipe(**member.training.model_dump())
        assert len(sight_of(member).shape) == len(known(member.network).input_shape)


def test_s1_is_what_its_paper_states() -> None:
    member = load("s1").networks[0]
    training = member.training
    assert (member.network, member.weights) == ("resnet18", "imagenet")
    assert (training.optimiser, training.learning_rate) == ("adam", 1e-4)
    assert (training.imbalance, training.schedule) == ("both", "plateau")
    assert training.early_stopping > 0
    kinds = [one["kind"] for one in member.augment]
    assert kinds == ["pose", "flip", "jitter", "erasing"]
    assert member.augment[0]["rotation_deg"] > 0
    assert member.augment[0]["crop"] > 0


def test_s3_is_what_its_paper_states() -> None:
    plan = load("s3")
    member = plan.networks[0]
    training = member.training
    assert (member.network, member.weights, member.view) == ("inceptionv3-s3", "imagenet", "rgb_slices")
    assert (training.epochs, training.batch, training.learning_rate) == (500, 16, 1e-3)
    assert (training.schedule, training.floor, training.optimiser) == ("step", 1e-6, "adam")
    assert [one["kind"] for one in member.augment] == ["shift", "flip", "brightness"]
    assert {"width", "height"} <= member.augment[0].keys()
    assert (plan.validation.folds, plan.validation.final, plan.labels.first_session) == (10, "held-out", True)


def test_s2_is_what_its_paper_states() -> None:
    plan = load("s2")
    assert {one.network for one in plan.networks} == {"resnet3d-18"}
    assert {one.name: one.weights for one in plan.networks} == {
        "med3d": "medicalnet",
        "stand-in": "stand-in",
        "scratch": "none",
    }
    assert plan.aside == {"stand-in", "scratch"}
    assert all(one.training.imbalance == "sampler" for one in plan.networks)


def test_s2_splits_662_people_as_its_paper_did() -> None:
    plan = load("s2")
    cells = [{"participant_id": f"p{n:03d}", "label": "control" if n % 5 == 0 else "PD"} for n in range(662)]
    scans = [CohortScan(one["participant_id"], Path(f"{one['participant_id']}.nii"), one) for one in cells]
    final = folds(scans, plan)[0][-1]
    assert (final.name, len(final.test)) == ("final", 67)
    assert (int(final.watched.sum()), int((~final.watched).sum())) == (67, 528)
    controls = [sum(scans[row].label == "control" for row in part) for part in (final.test, final.train[final.watched])]
    assert set(controls) <= {13, 14}, "stratified, as the paper's 10 of 67 is not"


def test_s5_has_three_classes_and_grey_as_the_only_difference() -> None:
    plan = load("s5")
    assert list(plan.labels.classes) == ["PD", "ET", "unclear"]
    colour, grey = plan.networks
    assert (colour.colour, grey.colour, grey.beside) == ("pseudocolour", "grey", "pseudocolour")
    assert differences(grey, colour) == ["colour"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('colour = "grey"', 'colour = "grey"\nweights = "imagenet"', "not in 2 (weights, colour)"),
        ('colour = "grey"', 'colour = "pseudocolour"', "not in 0"),
        ('beside = "pseudocolour"', 'beside = "nobody"', "no network of the answer"),
        ('ET = ["ET"]', 'ET = ["PD"]', "the first class holds the positive labels"),
        ("grade_weight = 1.0", "grade_weight = 0.0", "go together"),
    ],
)
def test_a_matched_null_differs_in_one_setting_and_classes_hold_every_label(old: str, new: str, expected: str) -> None:
    text = (files("dopascope.study") / "presets" / "s5.toml").read_text()
    assert old in text
    with pytest.raises(UsageError) as caught:
        parse(text.replace(old, new), where="p")
    assert expected in caught.value.expected


@pytest.mark.parametrize("name", ["s1", "s2", "s3"])
def test_what_a_paper_leaves_open_is_marked(name: str) -> None:
    plan = load(name)
    for field in ("view", "top"):
        assert any(key.endswith(field) for key in plan.assumed), field
    assert all(len(why) > 3 for why in plan.assumed.values())
    assert plan.paper is not None
    assert plan.paper.reported


@pytest.mark.parametrize(
    ("old", "new", "where", "expected"),
    [
        ("epochs = 2", "epochs = 0", "members.0.training.epochs", "greater than or equal to 1"),
        ("epochs = 2", "epochs = 2\nmomentum = 0.9", "members.0.training.momentum", "not permitted"),
        ("top = 6.5", "top = 6.5\ntint = 1", "members.0.tint", "not permitted"),
        ('kind = "network"', 'kind = "forest"', "members.0", "network"),
        ("folds = 3", "folds = 3\nleave_out = 'camera'", "validation", "either folds or leave_out"),
        ("folds = 3", "", "validation", "either folds or leave_out"),
        ("folds = 3", "folds = 3\ninner = 1", "validation", "inner must be"),
        ('negative = ["control"]', 'negative = ["PD"]', "labels", "PD has two meanings"),
        ("batch = 8", "batch = 8\nearly_stopping = 3", "", "early_stopping needs validation.watched"),
        ("[validation]", "[answer]\ncombine = 'stack'\n[validation]", "", "need validation.inner"),
        ("top = 6.5", "top = nan", "members.0.top", "finite"),
        ('name = "small"', 'name = "Small Plan"', "name", "pattern"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(old: str, new: str, where: str, expected: str) -> None:
    assert old in SMALL
    with pytest.raises(UsageError) as caught:
        parse(SMALL.replace(old, new, 1), where="plan.toml")
    assert caught.value.where.removeprefix("plan.toml").removeprefix(": ") == where
    assert expected in caught.value.expected
    assert caught.value.fix


def test_two_members_of_one_name_are_refused() -> None:
    twice = SMALL + SMALL[SMALL.index("[[members]]") : SMALL.index("[validation]")]
    with pytest.raises(UsageError, match="cannot be meant") as caught:
        parse(twice, where="p")
    assert "two members are called slab" in caught.value.expected


def test_text_that_is_no_toml_and_names_that_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not TOML") as caught:
        parse("form = 1\nname = oops", where="p")
    assert "line 2" in caught.value.found
    for named in ("s9", str(tmp_path / "absent.toml"), str(tmp_path)):
        with pytest.raises(UsageError, match="no such preset") as caught:
            load(named)
        assert "s1, s2, s3, s5, best" in caught.value.expected


def test_what_is_changed_on_the_command_line_stands_in_the_plan() -> None:
    plan = changed(load("s3"), weights="none", epochs=3, minutes=1.5, leave_out="camera")
    member = plan.networks[0]
    assert (member.weights, member.training.epochs, member.training.minutes) == ("none", 3, 1.5)
    assert (plan.validation.leave_out, plan.validation.folds) == ("camera", None)
    told = [key for key, why in plan.assumed.items() if why == "set on the command line"]
    assert told == [
        "members.inceptionv3.weights",
        "members.inceptionv3.training.epochs",
        "members.inceptionv3.training.minutes",
        "validation.leave_out",
    ]
    assert changed(load("best")) == load("best")
    with pytest.raises(UsageError):
        changed(load("s3"), leave_out="colour")
    assert load("s3").networks[0].training.epochs == 500


def test_the_page_of_studies_lists_every_field() -> None:
    """docs/study.md says that it lists them all."""
    page = Path("docs/study.md").read_text()
    from dopascope.study import plan as module

    for part in (module.Labels, module.Validation, module.Answer, module.Training, module.NetworkMember):
        for name in part.model_fields:
            assert re.search(rf"[`.]{name}`", page), f"{part.__name__}.{name}"
