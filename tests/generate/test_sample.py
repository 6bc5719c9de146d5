"""A synthetic cohort: marked, traceable, the same after an interruption, and refused where it cannot be meant."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope.cohort import leaks, read_cohort
from dopascope.cohort.splits import Place
from dopascope.errors import BundleError, LeakError, UnreadableError, UnsuitableError, UsageError
from dopascope.generate import synthetic as drawing
from dopascope.generate.asking import Request, asked, shares
from dopascope.generate.fitting import claim
from dopascope.generate.lineage import FILE, GENERATOR, Lineage, Parent, read_lineage
from dopascope.generate.material import Material, chosen_scans, split_of
from dopascope.generate.synthetic import read_synthetic, sample
from dopascope.learn import checkpoint
from dopascope.provenance import sha256_of
from made_material import WANTED, places

REQUEST = Request(counts={"PD": 12, "control": 10}, seed=7, fixed={})


class StopError(Exception):
    """Raised in the middle of a drawing."""


@pytest.fixture(scope="session")
def drawn(lineage: Lineage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "synthetic"
    assert sample(lineage, REQUEST, out) == out / "cohort.tsv"
    return out


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "cohort.tsv").read_text().splitlines(), delimiter="\t"))


def test_a_fit_leaves_what_every_image_goes_back_to(lineage: Lineage, made: Material, table: Path) -> None:
    assert read_lineage(lineage.folder) == lineage
    assert [one.scan_id for one in lineage.parents] == made.training.names
    assert lineage.cohort_sha256 == sha256_of(table)
    assert lineage.generator_sha256 == sha256_of(lineage.folder / GENERATOR)
    assert not {one.participant_id for one in lineage.parents} & set(made.held_out.people)
    ratios = made.frame.quantities(made.training.images)["putamen"]
    assert [one.conditions["sbr"] for one in lineage.parents] == pytest.approx(ratios.tolist())
    assert (lineage.folder / checkpoint.LOG).read_text().count("\n") == 1 + WANTED.recipe.epochs
    grids = sorted(path.name for path in (lineage.folder / "grids").iterdir())
    assert grids == ["epoch-00006.png", "epoch-00012.png"]


def test_every_image_says_synthetic_and_where_it_came_from(drawn: Path, lineage: Lineage, made: Material) -> None:
    import nibabel

    told = rows(drawn)
    assert [row["label"] for row in told] == ["PD"] * 12 + ["control"] * 10
    parents = ",".join(made.training.names)
    for number, row in enumerate(told):
        assert row["modality"] == "synthetic-dat"
        assert (row["synthetic"], row["number"], row["seed"]) == ("true", str(number), "7")
        assert row["generator_sha256"] == lineage.generator_sha256
        assert (row["parents_fold"], row["parents_splits_sha256"]) == ("1", lineage.splits_sha256)
        assert row["parents"] == parents
        header = nibabel.load(drawn / row["path"]).header  # type: ignore[attr-defined]
        assert bytes(header["descrip"]).startswith(b"SYNTHETIC dopascope " + lineage.generator_sha256[:16].encode())
        assert bytes(header["intent_name"]).rstrip(b"\0") == b"SYNTHETIC"
    assert not ({row["participant_id"] for row in told} & set(made.training.people))
    assert not any(scan.is_dat for scan in read_cohort(drawn / "cohort.tsv"))


def test_images_come_back_without_their_band(drawn: Path, lineage: Lineage) -> None:
    found = read_synthetic(drawn)
    wanted = asked(REQUEST, lineage.generator().plan, lineage.parents)
    expected = lineage.generator().sample(wanted.classes, wanted.conditions, seed=7)
    assert found.images.shape == (22, 1, 64, 64)
    np.testing.assert_allclose(found.images, expected.clamp(0, 1).numpy(), atol=1e-4)
    assert found.asked_for("sbr") == pytest.approx(wanted.conditions["sbr"], rel=1e-4)


def test_a_drawing_that_was_stopped_ends_with_the_same_bytes(
    drawn: Path, lineage: Lineage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, written = tmp_path / "again", []

    def stopping(path: Path, *given: Any) -> None:
        if len(written) == 18:  # in the second batch of 16
            raise StopError
        written.append(path)
        original(path, *given)

    original = drawing.write_image
    with monkeypatch.context() as patched:
        patched.setattr(drawing, "write_image", stopping)
        with pytest.raises(StopError):
            sample(lineage, REQUEST, out)
    with pytest.raises(UsageError, match="no folder of synthetic images") as caught:
        read_synthetic(out)
    assert "did not end" in caught.value.found
    before = {path: path.stat().st_mtime_ns for path in written[:16]}
    told: list[tuple[int, int]] = []
    sample(lineage, REQUEST, out, progress=lambda done, kept: told.append((done, kept)))
    assert told == [(16, 16), (22, 16)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for path in sorted(drawn.rglob("*")):
        if path.is_file():
            assert (out / path.relative_to(drawn)).read_bytes() == path.read_bytes(), path.name


def test_pictures_are_marked_too_and_read_back(lineage: Lineage, tmp_path: Path) -> None:
    from PIL import Image

    request = replace(REQUEST, counts={"PD": 3}, format="png")
    sample(lineage, request, tmp_path)
    found = read_synthetic(tmp_path)
    wanted = asked(request, lineage.generator().plan, lineage.parents)
    expected = lineage.generator().sample(wanted.classes, wanted.conditions, seed=7).clamp(0, 1).numpy()
    np.testing.assert_allclose(found.images, expected, atol=0.51 / 255)
    with Image.open(tmp_path / rows(tmp_path)[0]["path"]) as picture:
        assert picture.text["Description"].startswith("SYNTHETIC ")  # type: ignore[attr-defined]


def test_a_synthetic_image_trained_on_leaks_its_parents(drawn: Path, made: Material) -> None:
    """The tables say enough for `cohort lint-split`: no test scan may be a parent of a training image."""
    scans = [*made.training.scans, *read_cohort(drawn / "cohort.tsv")[:2]]
    name = scans[-1].name
    honest = [Place("1", "train", name, name), Place("1", "train", "s000", "p000")]
    leaking = [Place("1", "train", name, name), Place("1", "test", "s000", "p000")]
    assert leaks.leaks(scans, honest, contents=False) == []
    (found,) = leaks.leaks(scans, leaking, contents=False)
    assert (found.kind, found.trained, found.tested) == ("synthetic", name, "s000")


def test_what_is_asked_follows_from_the_request_and_stays_in_its_class(lineage: Lineage) -> None:
    plan = lineage.generator().plan
    first, again = asked(REQUEST, plan, lineage.parents), asked(REQUEST, plan, lineage.parents)
    assert first == again
    own = {label: {one.conditions["sbr"] for one in lineage.parents if one.label == label} for label in plan.classes}
    assert all(value in own[label] for label, value in zip(first.classes, first.conditions["sbr"], strict=True))
    assert asked(replace(REQUEST, seed=8), plan, lineage.parents) != first
    assert set(asked(replace(REQUEST, fixed={"sbr": 1.25}), plan, lineage.parents).conditions["sbr"]) == {1.25}
    assert np.isnan(asked(replace(REQUEST, open=("sbr",)), plan, lineage.parents).conditions["sbr"]).all()


@pytest.mark.parametrize(("total", "expected"), [(16, (10, 5, 1)), (8, (5, 3, 0)), (3, (2, 1, 0)), (1, (1, 0, 0))])
def test_images_are_shared_out_as_the_training_classes_are(total: int, expected: tuple[int, ...]) -> None:
    parents = [Parent(f"s{n}", f"p{n}", label, {}) for n, label in enumerate("a" * 10 + "b" * 5 + "c")]
    assert shares(total, parents) == dict(zip("abc", expected, strict=True))


@pytest.mark.parametrize(
    ("changes", "where", "found"),
    [
        ({"counts": {"ET": 3}}, "--class", "ET"),
        ({"counts": {"PD": 0}}, "--count", "{'PD': 0}"),
        ({"fixed": {"age": 60.0}}, "--condition", "age"),
        ({"open": ("age",)}, "--condition", "age"),
        ({"guidance": 2.0}, "guidance", "2.0"),
        ({"steps": 10}, "steps", "10"),
        ({"sampler": "ddim"}, "sampler", "ddim"),
        ({"format": "jpeg"}, "--format", "jpeg"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    lineage: Lineage, tmp_path: Path, changes: dict[str, Any], where: str, found: str
) -> None:
    with pytest.raises(UsageError) as caught:
        sample(lineage, replace(REQUEST, **changes), tmp_path / "out")
    assert (caught.value.where, caught.value.found) == (where, found)
    assert caught.value.expected
    assert not (tmp_path / "out").exists()


def test_another_drawing_in_the_folder_is_refused(drawn: Path, lineage: Lineage) -> None:
    before = (drawn / "cohort.tsv").read_bytes()
    with pytest.raises(UsageError, match="another synthetic cohort"):
        sample(lineage, replace(REQUEST, seed=8), drawn)
    assert (drawn / "cohort.tsv").read_bytes() == before


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(lineage: Lineage, tmp_path: Path) -> None:
    table = tmp_path / "cohort" / "cohort.tsv"
    table.parent.mkdir()
    table.write_text("of real people")
    with pytest.raises(UsageError, match="something else") as caught:
        sample(lineage, REQUEST, table.parent)
    assert caught.value.found == "cohort.tsv"
    assert table.read_text() == "of real people"
    assert list(table.parent.iterdir()) == [table]
    with pytest.raises(UsageError, match="something else"):
        sample(lineage, REQUEST, lineage.folder)


def test_a_generator_that_was_changed_draws_nothing(lineage: Lineage, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(lineage.folder, folder)
    data = bytearray((folder / GENERATOR).read_bytes())
    data[-40] ^= 1
    (folder / GENERATOR).write_bytes(data)
    with pytest.raises(BundleError, match="not the one that was meant"):
        sample(read_lineage(folder), REQUEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"form": "other"}', '{"form": "dopascope.generator-fit/1"}'])
def test_a_damaged_record_is_told_of(tmp_path: Path, damage: str) -> None:
    with pytest.raises(UsageError, match="no folder of a fitted generator"):
        read_lineage(tmp_path)
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(UnreadableError, match="damaged") as caught:
        read_lineage(tmp_path)
    assert caught.value.where == str(tmp_path / FILE)


def test_an_image_that_lost_its_mark_is_refused(drawn: Path, tmp_path: Path) -> None:
    from dopascope import formats
    from dopascope.volume import Volume

    folder = tmp_path / "cut"
    shutil.copytree(drawn, folder)
    path = folder / rows(folder)[4]["path"]
    image = formats.load(path)
    assert isinstance(image, Volume)
    formats.save_nifti(Volume(np.ascontiguousarray(image.data[::-1]), image.grid), path)
    with pytest.raises(UnreadableError, match="not marked") as caught:
        read_synthetic(folder)
    assert caught.value.where == str(path)


def test_a_fold_holds_people_out_and_classes_are_those_asked_for(made: Material, table: Path) -> None:
    scans = made.training.scans + made.held_out.scans
    for fold in ("1", "5"):
        chosen = split_of(scans, None, fold)
        people = {role: {one.participant_id for one in chosen if one.role == role} for role in ("train", "test")}
        assert people["train"] | people["test"] == {scan.person for scan in scans}
        assert not people["train"] & people["test"]
    with pytest.raises(UsageError, match="no such fold") as caught:
        split_of(scans, places(made), "2")
    assert caught.value.expected == "1"
    both = [replace(one, participant_id="p000") for one in places(made)]
    twice = [replace(scan, cells={**scan.cells, "participant_id": "p000"}) for scan in scans]
    with pytest.raises(LeakError):
        split_of(twice, both, "1")
    assert {scan.label for scan in chosen_scans(table, ("PD",))} == {"PD"}
    with pytest.raises(UnsuitableError, match="no images to learn from") as empty:
        chosen_scans(table, ("PD", "MSA"))
    assert (empty.value.where, empty.value.found) == ("class MSA", "0 scans")


def test_a_folder_of_another_fold_is_refused(lineage: Lineage, made: Material) -> None:
    claim(lineage.folder, places(made))  # the same goes on
    before = (lineage.folder / "splits.tsv").read_bytes()
    with pytest.raises(UsageError, match="another fold or cohort"):
        claim(lineage.folder, places(made)[1:])
    assert (lineage.folder / "splits.tsv").read_bytes() == before
    assert json.loads((lineage.folder / FILE).read_text())["fold"] == "1"
