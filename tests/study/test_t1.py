"""Studies of T1 scans: presets s2 and s5 to their pages, matched nulls, classes, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope import formats, score
from dopascope.batch.viewing import T1_LIFT, Seen, ViewSettings, see
from dopascope.cohort import read_cohort
from dopascope.errors import DopascopeError, LeakError, UnsuitableError, UsageError
from dopascope.formats.save import save_nifti
from dopascope.learn import weights as learn_weights
from dopascope.report import study as page
from dopascope.report.study_words import two_aurocs
from dopascope.study import changed, load, members
from dopascope.study.folder import claim
from dopascope.study.metrics import reader_figures
from dopascope.study.modality import DAT, T1, check, modality_of
from dopascope.study.plan import Plan, parse, to_toml
from dopascope.study.pretrain import learn_parts, parts_of
from dopascope.study.run import Watch, answered
from dopascope.tasks.classify import Sight, new_network
from dopascope.tasks.tabular import VOLUME_FEATURES, volume_features
from dopascope.volume import LabelMap, Volume
from simulated_brain import mask_of, simulated
from t1_people import seen_of, write_table


def small(name: str, **more: str) -> Plan:
    """A preset of one epoch and two folds; further words are exchanged."""
    text = to_toml(changed(load(name), epochs=1)).replace("seeds = [1, 2]", "seeds = [1]")
    for old, new in {"folds = 5\n": "folds = 2\n", **more}.items():
        assert old in text
        text = text.replace(old, new)
    return parse(text, where="test")


def go(plan: Plan, table: Path, out: Path, views: tuple[str, ...], weights: Path | None = None) -> dict[str, Any]:
    plan, first = members.available(plan, weights)
    seen = seen_of(table, (*views, "slab_12mm"))
    claim(out, plan, [table], resume=False)
    figures = answered(plan, seen, {one.name for one in seen.scans}, out, first, Watch())
    page.write(out)
    return figures


@pytest.fixture(scope="module")
def s5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s5")
    go(small("s5"), write_table(folder, 24), folder / "run", ("striatal_slice",))
    return folder / "run"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def test_s5_is_told_from_its_matched_null_in_the_same_folds(s5: Path) -> None:
    metrics = json.loads((s5 / "metrics.json").read_text())
    assert metrics["matched_nulls"] == [
        {"null": "grey", "of": "pseudocolour", "setting": "colour", "values": ["grey", "pseudocolour"]}
    ]
    readers = metrics["pooled"]["readers"]
    assert set(readers) == {"answer", "grey", "majority", "volumes-logistic"}, "the only member of the answer is it"
    less = {(one["less"], one["figure"]) for one in metrics["pooled"]["differences"]}
    assert {("grey", "auroc"), ("grey", "log_loss"), ("volumes-logistic", "auroc"), ("majority", "auroc")} <= less
    facts = {path.parent.name: json.loads(path.read_text()) for path in sorted(s5.glob("fold-1/*/facts.json"))}
    assert set(facts) == {"pseudocolour-seed-1", "grey-seed-1"}
    same = ("network", "seed", "first_weights", "prior", "epochs")
    assert len({tuple(one[key] for key in same) for one in facts.values()}) == 1


def test_s5_answers_three_classes_whose_first_is_the_probability(s5: Path) -> None:
    told = {row["scan_id"]: row for row in rows(s5 / "predictions.tsv")}
    classes = rows(s5 / "predictions-classes.tsv")
    assert len(classes) == 2 * 24
    for row in classes:
        p = [float(row[f"p_{name}"]) for name in ("PD", "ET", "unclear")]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        if row["member"] == "pseudocolour":
            assert float(told[row["scan_id"]]["p_abnormal"]) == pytest.approx(p[0], abs=2e-6)
        assert row["true"] == {"PD": "PD", "ET": "ET", "control": "unclear"}[told[row["scan_id"]]["label"]]
    for one in json.loads((s5 / "metrics.json").read_text())["classes"]:
        own = [row for row in classes if row["member"] == one["member"]]
        assert one["accuracy"]["value"] == pytest.approx(np.mean([row["true"] == row["class"] for row in own]))
        assert np.sum(one["confusion"]) == one["n"] == 24
        assert np.sum(one["confusion"], axis=1).tolist() == [8, 8, 8]


def test_the_pages_say_what_must_be_said(s5: Path) -> None:
    text = (s5 / "report.html").read_text()
    for words in (
        *("Not a medical device", "Every scan is simulated", "24 scans of 24 people", "3 classes", "T1-weighted scans"),
        *("grey is the matched null of pseudocolour", "logistic regression on volumes", "brain mask", "N4"),
        *("balanced accuracy under another name", "49 intervals", "Smaller putamen"),
    ):
        assert words in text, words
    written = re.sub(r"data:image[^\"]*", "", text)
    for words in ("binding ratio", "sbr", "passport"):
        assert words not in written, words


def test_s2s_67_labels_have_two_aurocs_side_by_side() -> None:
    """57 of 57 and 6 of 10: what the paper calls its AUC is the balanced accuracy."""
    truth = np.arange(67) < 57
    p = np.where(np.arange(67) < 57, 0.9, 0.7)
    p[61:] = 0.1
    p[:3] = 0.6
    figures = reader_figures(p, truth, [str(n) for n in range(67)])
    assert figures["balanced_accuracy"]["value"] == pytest.approx(0.8)
    scores = (54 * 10 + 3 * 6) / 570  # three of PD lie below the four controls that were called PD
    assert figures["auroc"]["value"] == pytest.approx(scores)
    said = two_aurocs({"readers": {"answer": figures}})
    assert "0.979" in said
    assert "0.800" in said
    with pytest.raises(UsageError, match="balanced accuracy under another name"):
        score.auroc((p >= 0.5).astype(float), truth)


def test_plans_and_scans_of_two_modalities_do_not_meet(tmp_path: Path) -> None:
    seen = seen_of(write_table(tmp_path, 3), ())
    assert modality_of(seen.scans) is T1
    with pytest.raises(UsageError, match="not for scans of this modality") as caught:
        check(load("s1"), T1)
    assert caught.value.where == "resnet18: intensity"
    with pytest.raises(UsageError, match="not for scans of this modality"):
        check(load("s2"), DAT)
    check(load("s5"), T1)
    check(load("best"), DAT)
    mixed = tmp_path / "mixed.tsv"
    mixed.write_text((tmp_path / "cohort.tsv").read_text().replace("\tt1\tET", "\tdat\tET"))
    with pytest.raises(UnsuitableError, match="of one modality"):
        modality_of(seen_of(mixed, ()).scans)


def test_s5_is_explained_on_a_t1s_own_grid(command: Any, s5: Path, tmp_path: Path) -> None:
    """Of both networks, in the one slice that they see, by its own chain."""
    head = simulated()
    save_nifti(head.volume, tmp_path / "t1.nii.gz")
    save_nifti(mask_of(head), tmp_path / "brain.nii.gz")
    words = ("explain", s5, tmp_path / "t1.nii.gz", "--mask", tmp_path / "brain.nii.gz", "--out", tmp_path / "maps")
    told = command(*words, "--method", "integrated-gradients", "--json")
    assert told.exit_code == 0, told.stderr
    maps = json.loads(told.stdout)["maps"]
    assert [one["network"] for one in maps] == ["grey-seed-1", "pseudocolour-seed-1"]
    for one in maps:
        found = formats.load(one["map"])
        assert isinstance(found, Volume)
        assert found.grid.same_as(head.volume.grid)
        on_mni = head.volume.grid.to_world(np.argwhere(found.data)) @ np.linalg.inv(head.mni_to_scan)[:3, :3].T
        on_mni += np.linalg.inv(head.mni_to_scan)[:3, 3]
        assert len(on_mni)
        assert np.abs(on_mni[:, 2] - 4).max() < 8, "slice 38 lies at z = +4 mm"


SMALLER = {
    "resnet3d-18": "resnet3d-10",
    "crop = []": "crop = [[14, 31], [20, 37], [14, 31]]",
}
"""For `small`: what two cores can do in a minute."""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Seen]:
    """The folder of `resnet3d-10` pretrained on parts of four painted people, what is said of it, and these people."""
    folder = tmp_path_factory.mktemp("weights")
    seen = seen_of(write_table(folder, 4), ("volume_4mm",))
    seen = replace(seen, records=[one | {"sha256": f"another {one['sha256']}"} for one in seen.records])
    parts = [np.digitize(one[0], [0.5, 3.5, 4.5]).astype(np.uint8) for one in seen.views["volume_4mm"]]
    told = learn_parts(seen, parts, folder / "stand-in-resnet3d-10.npz", "resnet3d-10", 1, 1)
    return folder, told, seen


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can be asked for published weights."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(learn_weights, "download", unreachable)


def test_the_stand_in_is_the_networks_core_and_names_whom_it_learned_from(
    stand_in: tuple[Path, dict[str, Any], Seen],
) -> None:
    folder, told, seen = stand_in
    assert (told["scans"], told["network"]) == (4, "resnet3d-10")
    assert 0 < told["voxels_of_the_largest_part"] < 1
    member = next(one for one in small("s2", **SMALLER).networks if one.name == "stand-in")
    first = members.weights_of(member, folder)
    assert first.state is not None
    assert not [name for name in first.state if ".fc." in name], "the last layer is a study's own"
    sight = Sight("volume_4mm", ("zscore_brain",), 8.0)
    drawn, taken = (new_network("resnet3d-10", sight, 1, one, "test").state_dict() for one in (None, first.state))
    moved = [name for name, value in drawn.items() if not value.equal(taken[name])]
    assert "net.backbone.layer4.0.conv1.weight" in moved
    assert not [name for name in moved if ".fc." in name]
    with pytest.raises(LeakError, match="learned from scans of this study"):
        members.check_apart(seen.scans, seen.records, {"stand-in": first})


@pytest.mark.usefixtures("offline")
def test_s2_leads_with_the_best_weights_that_can_be_had_and_says_so(
    stand_in: tuple[Path, dict[str, Any], Seen], tmp_path: Path
) -> None:
    """Without MedicalNet's the stand-in leads; without both, the network from scratch; each beside the others."""
    plan = small("s2", **SMALLER)
    led, first = members.available(plan, stand_in[0])
    assert [(one.name, one.beside) for one in led.networks] == [("stand-in", None), ("scratch", "stand-in")]
    assert "left out" in led.assumed["members.med3d"]
    assert list(first) == ["stand-in", "scratch"]
    alone, _ = members.available(plan, tmp_path)
    assert [(one.name, one.beside) for one in alone.networks] == [("scratch", None)]
    (tmp_path / "resnet_10_23dataset.pth").write_bytes(b"no torch file")
    with pytest.raises(DopascopeError):
        members.weights_of(plan.networks[0], tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_s2_goes_from_plan_to_page(stand_in: tuple[Path, dict[str, Any], Seen], tmp_path: Path) -> None:
    out, table = tmp_path / "run", write_table(tmp_path, 24, ("PD", "control"))
    figures = go(small("s2", **SMALLER), table, out, ("volume_4mm",), stand_in[0])
    assert set(figures["pooled"]["readers"]) == {"answer", "scratch", "majority", "volumes-logistic"}
    assert figures["matched_nulls"] == [
        {"null": "scratch", "of": "stand-in", "setting": "weights", "values": ["none", "stand-in"]}
    ]
    assert figures["final"]["readers"]["answer"]["auroc"]["n"] == len(rows(out / "predictions-final.tsv"))
    assert figures["pooled"]["readers"]["answer"]["balanced_accuracy"]["n"] == 24
    text = (out / "report.html").read_text()
    for words in ("left out", "called AUC-ROC", "scratch is the matched null of stand-in", "528"):
        assert words in text, words


class Known:
    """A finder of brains that knows the answer."""

    name = "the truth"

    def __call__(self, volume: Volume) -> LabelMap:
        return mask_of(simulated())


def test_a_t1_scan_is_seen_by_its_own_chain(tmp_path: Path) -> None:
    """Masked, evened, placed, z-scored, measured: as `study run` and `study pretrain` do with each."""
    head = simulated()
    save_nifti(head.volume, tmp_path / "s.nii.gz")
    save_nifti(head.brain, tmp_path / "brain.nii.gz")
    (tmp_path / "t1.tsv").write_text(
        "participant_id\tscan_id\tpath\tmodality\tmask\np\ts\ts.nii.gz\tt1\tbrain.nii.gz\n"
    )
    wanted = ["volume_4mm", "striatal_slice"]
    settings = ViewSettings(n4=(8,))
    found = see(read_cohort(tmp_path / "t1.tsv"), wanted, tmp_path / "views", settings, cache=tmp_path / "cache")
    volume, slice_ = found.views["volume_4mm"][0, 0], found.views["striatal_slice"][0, 0]
    assert (volume.shape, slice_.shape) == ((45, 54, 45), (91, 109))
    brain = volume > 0.5 * T1_LIFT
    assert volume[brain].mean() == pytest.approx(T1_LIFT, abs=0.3)
    assert volume[0].max() == 0
    volumes = found.records[0]["volumes"]
    for name, tolerance in (("brain", 0.05), ("putamen_left", 0.3), ("caudate_right", 0.3), ("pons", 0.3)):
        assert volumes[name] == pytest.approx(head.body.volumes_ml[name], rel=tolerance), name
    assert len(volume_features(volumes)) == len(VOLUME_FEATURES)
    (tmp_path / "bare.tsv").write_text("participant_id\tscan_id\tpath\tmodality\np\ts\ts.nii.gz\tt1\n")
    known = {"cache": tmp_path / "cache", "finder": Known()}
    by_finder = see(read_cohort(tmp_path / "bare.tsv"), wanted, tmp_path / "views", settings, **known)
    assert by_finder.records[0]["mask"]["source"] == Known.name
    np.testing.assert_array_equal(by_finder.views["volume_4mm"], found.views["volume_4mm"])
    parts = parts_of(found.scans[0], found.records[0])
    assert set(np.unique(parts)) == set(range(7))
    assert 2 * (brain & (parts > 0)).sum() / (brain.sum() + (parts > 0).sum()) > 0.9
    across = np.argwhere(parts == 4)[:, 0]
    assert 0.5 < (across < 22).sum() / (across > 22).sum() < 2, "caudate and putamen of both sides"
