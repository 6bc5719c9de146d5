"""The pages of generators: no figure typed in by hand, and their arithmetic on known figures."""

from __future__ import annotations

import json
from typing import Any

import pytest

import generators
import s1_claim
from dopascope.cohort import read_cohort
from dopascope.study.plan import NetworkMember


def test_the_page_is_made_from_the_figures() -> None:
    text = generators.PAGE.read_text(encoding="utf-8")
    figures = json.loads(generators.RESULTS.read_text(encoding="utf-8"))
    assert generators.with_figures(text, figures) == text
    claim = json.loads(s1_claim.RESULTS.read_text(encoding="utf-8"))
    assert s1_claim.with_claim(text, claim) == text


def test_families_had_the_same_time_and_the_same_people() -> None:
    sets = json.loads(generators.RESULTS.read_text(encoding="utf-8"))["sets"]
    assert [one["family"] for one in sets[0]["families"]] == list(generators.FAMILIES)
    for figures in sets:
        families = figures["families"]
        assert {one["minutes"] for one in families} == {figures["minutes"]}
        assert len({json.dumps(one["n"]) for one in families}) == 1


def test_figures_of_another_frame_or_time_stand_beside_the_recorded_ones() -> None:
    figures = json.loads(generators.RESULTS.read_text(encoding="utf-8"))
    first = figures["sets"][0]
    anew, longer = {**first, "machine": "another"}, {**first, "minutes": first["minutes"] + 1}
    guided = {**first, "guidance": 9.0}
    sets = generators.merged(figures, {"form": generators.FORM, "sets": [longer, anew, guided]})["sets"]
    assert sets == [anew, *figures["sets"][1:], longer, guided]
    assert generators._guided(first) == ""
    assert generators._guided(guided) == ", drawn with guidance 9"


def test_what_stands_around_the_figures_is_left_alone() -> None:
    figures = json.loads(generators.RESULTS.read_text(encoding="utf-8"))
    page = f"Before.\n\n{generators.BEGIN}\nSTALE\n{generators.END}\n\nAfter.\n"
    made = generators.with_figures(page, figures)
    assert made.startswith(f"Before.\n\n{generators.BEGIN}\n")
    assert made.endswith(f"{generators.END}\n\nAfter.\n")
    assert "STALE" not in made
    assert generators.with_figures(made, figures) == made


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (None, "cannot be said"),
        ({"value": 0.1, "high": 0.25}, "reached, 0.10"),
        ({"value": 0.25, "high": 0.4}, "the range is not (to 0.40), the value is, 0.25"),
        ({"value": 0.26, "high": 0.4}, "MISSED, 0.26"),
    ],
)
def test_an_aim_is_a_quarter_of_the_way_and_its_range_is_said(share: dict[str, float] | None, said: str) -> None:
    assert generators._reached(share) == said


def test_readers_agree_within_three_points_or_the_worst_class_is_said() -> None:
    def reader(synthetic: float, real: float) -> dict[str, Any]:
        told = {"synthetic": {"abnormal": {"value": synthetic}}, "held_out": {"abnormal": {"value": real}}}
        return {"classes": [told]}

    assert generators._agreement([]) == "cannot be said"
    assert generators._agreement([{"classes": []}]) == "cannot be said"
    assert generators._agreement([reader(0.96, 0.98)]).startswith("reached")
    assert generators._agreement([reader(0.96, 0.98), reader(0.5, 0.9)]) == "MISSED, at most 40 points off"


@pytest.fixture
def table(tmp_path: Any) -> Any:
    lines = ["participant_id\tscan_id\tpath\tmodality\tlabel"]
    lines += [f"p{n}\ts{n:02d}\tscans/s{n}.nii.gz\tdat\t{'PD' if n < 16 else 'control'}" for n in range(24)]
    path = tmp_path / "all" / "cohort.tsv"
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")
    return path


def test_people_are_enough_that_four_folds_are_the_size(table: Any, tmp_path: Any) -> None:
    scans = s1_claim.chosen(read_cohort(table), 12)
    assert len(scans) == 15
    assert [one.name for one in scans] == [f"s{n:02d}" for n in range(15)]
    made = read_cohort(s1_claim.table_of(table, scans, tmp_path / "work" / "size" / "cohort.tsv"))
    assert sorted(one.path.resolve() for one in made) == sorted(one.path.resolve() for one in scans)
    with pytest.raises(SystemExit, match="has 24 scans, 125 are needed"):
        s1_claim.chosen(read_cohort(table), 100)


def test_an_arm_differs_from_its_null_in_the_extra_images_alone() -> None:
    arm, null = (s1_claim.plan_of(name, [1, 2], 3, 5).members[0] for name in ("cvae", s1_claim.NULL))
    assert isinstance(arm, NetworkMember)
    assert isinstance(null, NetworkMember)
    assert (arm.seeds, arm.training.epochs, arm.weights) == ([1, 2], 3, "none")
    assert arm.extra is not None
    assert (arm.extra.source, arm.extra.epochs, arm.extra.share) == ("cvae", 5, 1.0)
    assert arm.model_copy(update={"extra": None}) == null.model_copy(update={"extra": None})


def test_a_gain_is_said_where_its_interval_leaves_zero_behind() -> None:
    def said(auroc: tuple[float, float], log_loss: tuple[float, float]) -> str:
        found = {"auroc": auroc, "log_loss": log_loss}
        differences = [{"figure": name, "low": low, "high": high} for name, (low, high) in found.items()]
        return s1_claim._verdict({"differences": differences})

    assert said((0.01, 0.1), (-0.1, 0.1)) == "by AUROC"
    assert said((-0.01, 0.1), (-0.1, 0.1)) == "not shown"
    assert said((-0.01, 0.1), (-0.2, -0.1)) == "by log loss"
    assert said((-0.2, -0.1), (0.01, 0.1)) == "LOSS by AUROC, LOSS by log loss"
    assert said((0.01, 0.1), (0.01, 0.1)) == "by AUROC, LOSS by log loss"


def test_a_null_of_fewer_seeds_takes_the_trainings_of_the_larger_one(tmp_path: Any) -> None:
    plan = s1_claim.plan_of(s1_claim.NULL, [1], None, None)
    larger = tmp_path / "size-0050-seeds-3" / s1_claim.NULL
    for seed in (1, 2):
        training = larger / "fold-2" / f"resnet18-seed-{seed}"
        training.mkdir(parents=True)
        (training / "facts.json").write_text(str(seed))
    out = tmp_path / "size-0050-seeds-1" / s1_claim.NULL
    s1_claim.lend(tmp_path, 50, plan, out)
    assert not out.exists(), "the larger null is not whole"
    (larger / "metrics.json").touch()
    s1_claim.lend(tmp_path, 100, plan, out)
    assert not out.exists(), "another size"
    s1_claim.lend(tmp_path, 50, plan, out)
    assert [str(one.relative_to(out)) for one in out.rglob("*.json")] == ["fold-2/resnet18-seed-1/facts.json"]


def test_what_was_found_before_stays_beside_what_is_found_now() -> None:
    def one(size: int, arm: str, seeds: int, scans: int) -> dict[str, Any]:
        return {"size": size, "arm": arm, "seeds": list(range(seeds)), "scans": scans}

    before = {"found": [one(50, "cvae", 3, 1), one(100, "ddpm", 1, 2)], "form": "old"}
    now = {"found": [one(100, "cvae", 3, 3), one(50, "cvae", 3, 4)], "form": "new"}
    made = s1_claim.merged(before, now)
    assert made["form"] == "new"
    assert [(told["size"], told["arm"], told["scans"]) for told in made["found"]] == [
        (50, "cvae", 4),
        (100, "cvae", 3),
        (100, "ddpm", 2),
    ]
