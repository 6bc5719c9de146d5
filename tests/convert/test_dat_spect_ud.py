from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope import phantom
from dopascope.bundle import Bundle, Prediction, default_readers, occlusion, store, view
from dopascope.convert import add_dat_spect_ud
from dopascope.convert.dat_spect_recipes import MEMBERS, PUBLISHED_SHA256, RECIPES
from dopascope.convert.dat_spect_ud import ensembles, write_bundle
from dopascope.errors import BundleError, HostileError, MissingExtraError, UsageError
from dopascope.learn import torch_file
from dopascope.nets import create
from dopascope.provenance import sha256_of
from dopascope.space.resample import resample
from dopascope.volume import MNI_2MM, Volume

NAMES = [recipe.id for recipe in RECIPES]


@pytest.mark.data
def test_the_three_bundles_are_the_default_readers(models_dir: Path) -> None:
    assert default_readers(models_dir) == NAMES == list(store.DEFAULT_READERS)
    for found in (one for one in store.list_models(models_dir) if one.id in NAMES):
        assert found.licence == "MIT"
        assert (found.folder / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
        told = store.inspect(found.id, models_dir)
        assert told["sources"] == {name: PUBLISHED_SHA256[name] for name in told["sources"]}
        assert "right to left" in told["laterality"]
        card = (found.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
        for needed in (
            "Not a medical device",
            "not calibrated",
            "MIT",
            told["papers"][0]["doi"],
            str(told["input"]["mean"]),
        ):
            assert needed in card, needed
    sources = [name for one in NAMES for name in store.inspect(one, models_dir)["sources"]]
    assert sorted(sources) == sorted(PUBLISHED_SHA256)


def head(group: str = "healthy", seed: int = 3, **sbr: float) -> Volume:
    """A phantom on the MNI grid at its true pose; ratios named in `sbr` replace the person's own."""
    person = phantom.draw_person(seed, group)
    person = replace(person, sbr={**person.sbr, **sbr})
    scan, truth = phantom.scan(person, phantom.CAMERAS["lehr-osem"], seed=seed)
    return resample(scan, MNI_2MM, to_image=truth.mni_to_scan)


def loss(side: str) -> dict[str, float]:
    return {f"caudate_{side}": 1.6, f"anterior_putamen_{side}": 0.7, f"posterior_putamen_{side}": 0.4}


@pytest.fixture(scope="module")
def heads() -> dict[str, Volume]:
    return {"normal": head(), "right": head(**loss("right")), "left": head(**loss("left"))}


def grades(said: Prediction, bundle: Bundle) -> dict[str, int]:
    assert said.grades is not None
    assert bundle.spec.grades is not None
    return {region: bundle.spec.grades.grades.index(one.grade) for region, one in said.grades.items()}


@pytest.mark.data
def test_a_loss_on_one_side_is_graded_on_that_side(models_dir: Path, heads: dict[str, Volume]) -> None:
    bundle = store.load("dat-spect-regional", models_dir)
    normal = grades(bundle.predict(heads["normal"]), bundle)
    assert max(normal.values()) <= 1
    for side, other in (("right", "left"), ("left", "right")):
        found = grades(bundle.predict(heads[side]), bundle)
        assert found[f"caudate_{side}"] >= 2
        assert found[f"putamen_{side}"] >= 3
        assert found[f"caudate_{other}"] <= 1
        assert found[f"putamen_{other}"] <= 2
        assert bundle.predict(heads[side]).verdict == "reduced"


@pytest.mark.data
def test_without_the_turn_left_and_right_would_be_exchanged(models_dir: Path, heads: dict[str, Volume]) -> None:
    """The trap itself: the same pixels in array order are graded on the wrong side."""
    bundle = store.load("dat-spect-regional", models_dir)
    picture = view.take(heads["right"], bundle.spec.input)
    wrong = grades(bundle.predict_view(picture[::-1]), bundle)
    assert wrong["putamen_left"] > wrong["putamen_right"]
    right = grades(bundle.predict_view(picture), bundle)
    assert right["putamen_right"] > right["putamen_left"]


@pytest.mark.data
@pytest.mark.parametrize("name", ["dat-spect-ud", "dat-spect-robust"])
def test_normal_and_reduced_phantoms_are_told_apart(models_dir: Path, heads: dict[str, Volume], name: str) -> None:
    bundle = store.load(name, models_dir)
    normal, reduced = bundle.predict(heads["normal"]), bundle.predict(heads["left"])
    assert (normal.verdict, reduced.verdict) == ("normal", "reduced")
    assert normal.p_abnormal is not None
    assert reduced.p_abnormal is not None
    assert normal.p_abnormal < 0.1 < 0.9 < reduced.p_abnormal
    assert not normal.calibrated
    assert "not calibrated" in normal.calibration
    assert bundle.predict(heads["left"]) == reduced


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_torch_and_onnx_agree_on_noise_and_on_heads(
    models_dir: Path, published: Path, heads: dict[str, Volume], name: str
) -> None:
    bundle = store.load(name, models_dir)
    recipe = next(one for one in RECIPES if one.id == name)
    files = [file for names in recipe.weights().values() for file in names]
    weights = dict(zip(files, torch_file.read_weights([published / file for file in files]), strict=True))
    pictures = [view.take(volume, bundle.spec.input) for volume in heads.values()]
    noise = np.random.default_rng(1).gamma(2.0, 0.5, (4, 91, 109)).astype(np.float32)
    images = np.concatenate([np.stack(pictures), noise])
    found = bundle.run(images)
    prepared = torch.from_numpy(view.prepare(images, bundle.spec.input))
    with torch.inference_mode():
        for output, members in ensembles(recipe, weights).items():
            for number, net in enumerate(members):
                expected = torch.sigmoid(net(prepared)).numpy()
                assert np.abs(1 / (1 + np.exp(-found[output][:, number])) - expected).max() <= 1e-4


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_evidence_comes_from_the_striatum(models_dir: Path, heads: dict[str, Volume], name: str) -> None:
    bundle = store.load(name, models_dir)
    for volume in heads.values():
        found = occlusion(bundle, volume)
        assert found.share_inside_striatum > 0.5 > 2 * found.area_inside_striatum


@pytest.mark.data
def test_covering_what_is_left_of_a_striatum_speaks_for_normal_on_that_side(
    models_dir: Path, heads: dict[str, Volume]
) -> None:
    """The uptake that is left on the good side is what speaks against 'reduced', on its own side."""
    bundle = store.load("dat-spect-ud", models_dir)
    for side, sign in (("right", -1), ("left", 1)):
        found = occlusion(bundle, heads[side])
        at = np.unravel_index(found.map.argmin(), found.map.shape)
        x = MNI_2MM.to_world([at[0], 0, 0])[0]
        assert sign * x > 0, f"loss {side}, strongest evidence for normal at x = {x} mm"


@pytest.mark.data
def test_converting_again_gives_the_same_files(models_dir: Path, published: Path, tmp_path: Path) -> None:
    recipe = RECIPES[2]
    files = [file for names in recipe.weights().values() for file in names]
    weights = dict(zip(files, torch_file.read_weights([published / file for file in files]), strict=True))
    again = write_bundle(recipe, weights, PUBLISHED_SHA256, published / "LICENSE", tmp_path / recipe.id)
    for path in again.iterdir():
        assert sha256_of(path) == sha256_of(models_dir / recipe.id / path.name), path.name


def stand_ins(folder: Path) -> Path:
    """Files of the right names, with weights that nobody published."""
    folder.mkdir()
    (folder / "LICENSE").write_text("MIT License\n")
    for recipe in RECIPES:
        for output, names in recipe.weights().items():
            for name in names:
                torch.save(create(recipe.networks[output]).state_dict(), folder / name)
    return folder


def test_missing_files_are_named(tmp_path: Path) -> None:
    for nothing in (None, tmp_path / "absent"):
        with pytest.raises(UsageError, match="not there"):
            add_dat_spect_ud(nothing, tmp_path / "models")
    folder = stand_ins(tmp_path / "weights")
    for name in ("network_weights_sens_3", "LICENSE"):
        (folder / name).unlink()
    with pytest.raises(UsageError, match="missing") as caught:
        add_dat_spect_ud(folder, tmp_path / "models")
    assert "network_weights_sens_3" in caught.value.found
    assert "LICENSE" in caught.value.found
    assert not (tmp_path / "models").exists()


@pytest.mark.promise(
    "Torch files are opened in a child process, weights only; a pickle that would run code is refused",
    asvs="1.5.2",
    threats="T12",
)
def test_weights_that_are_not_the_published_ones_are_not_even_opened(tmp_path: Path) -> None:
    folder = stand_ins(tmp_path / "weights")
    with pytest.raises(BundleError, match="not the published") as caught:
        add_dat_spect_ud(folder, tmp_path / "models")
    assert "network_weights_acc_0" in caught.value.where
    (folder / "network_weights_spec_4").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(HostileError):
        add_dat_spect_ud(folder, tmp_path / "models", published_only=False)
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_other_weights_can_be_asked_for_and_their_digests_are_kept(tmp_path: Path) -> None:
    folder = stand_ins(tmp_path / "weights")
    added = add_dat_spect_ud(folder, tmp_path / "models", published_only=False)
    assert [one.id for one in added] == NAMES
    for one in added:
        spec = Bundle.load(one.folder).spec
        assert spec.sources == {name: sha256_of(folder / name) for name in spec.sources}
        assert all(len(spec.outputs[name].shape) and spec.outputs[name].shape[0] == MEMBERS for name in spec.outputs)
        assert re.fullmatch(r"\d+\.\d+.*", spec.made_by["torch"])


def test_without_torch_the_pip_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stand_ins(tmp_path / "weights")
    monkeypatch.setattr(torch_file.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        add_dat_spect_ud(folder, tmp_path / "models")
    assert "pip install -e '.[learn]' -c constraints/cpu.txt" in caught.value.fix
