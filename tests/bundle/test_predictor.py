from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from dopascope.bundle import Bundle
from dopascope.errors import BundleError, UnsuitableError, UsageError
from dopascope.volume import Volume


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 2, (91, 109)).astype(np.float32)


def test_the_answer_is_the_closed_form_of_the_linear_model(make_bundle: Callable[..., Bundle], five_votes) -> None:
    said = make_bundle(five_votes).predict_view(picture())
    mean = picture()[::-1][9:81, 29:101].mean()
    members = 1 / (1 + np.exp(-(mean * np.arange(1, 6) - 1)))
    np.testing.assert_allclose(said.member_probabilities["acc"], members, rtol=1e-5)
    assert said.p_abnormal == pytest.approx(members.mean(), rel=1e-5)
    assert said.interval == (pytest.approx(members.min()), pytest.approx(members.max()))
    assert said.interval_means is not None
    assert "not a confidence interval" in said.interval_means
    assert said.votes["acc"].reduced == (members > 0.5).sum() == 4
    assert said.verdict == "reduced"
    assert said.networks == 5
    assert said.grades is None
    assert said.reasons["grades"]
    assert not said.calibrated
    assert said.calibration == "not calibrated: made for a test"


def test_left_and_right_reach_their_own_regions(make_bundle: Callable[..., Bundle], models) -> None:
    """Two region outputs that look at one half each: a mirrored picture exchanges them, and each is on its side."""
    half = np.zeros((models.side, models.side))
    half[:36] = 1 / (36 * models.side)  # the first half of the input's x axis: the subject's right
    weights = np.stack([half.ravel(), half[::-1].ravel()], axis=1)
    per_grade = np.repeat(weights, 2, axis=1) * np.tile([-1.0, 1.0], 2)
    model = models.linear({"grades": per_grade}, {"grades": np.tile([1.0, -1.0], 2).reshape(1, 2, 2)})
    rule = {
        "output": "grades",
        "regions": ["putamen_right", "putamen_left"],
        "grades": ["normal", "reduced"],
        "reduced_from": "reduced",
        "source": "a test",
    }
    outputs = {"grades": {"role": "grade_logit", "shape": [1, 2, 2], "meaning": "grades"}}
    bundle = make_bundle(model, vote=None, grades=rule, outputs=outputs)
    hot_left = np.full((91, 109), 0.5, np.float32)
    hot_left[:40] = 5.0  # small i is the subject's left in RAS
    said = bundle.predict_view(hot_left)
    assert said.grades is not None
    assert (said.grades["putamen_left"].grade, said.grades["putamen_right"].grade) == ("reduced", "normal")
    mirrored = bundle.predict_view(hot_left[::-1])
    assert mirrored.grades is not None
    assert (mirrored.grades["putamen_left"].grade, mirrored.grades["putamen_right"].grade) == ("normal", "reduced")
    assert sum(said.grades["putamen_left"].probabilities) == pytest.approx(1.0)
    assert said.verdict == "reduced"
    assert said.p_abnormal is None
    assert said.reasons["p_abnormal"]


def test_a_whole_scan_gives_the_answer_of_its_view(
    make_bundle: Callable[..., Bundle], five_votes, scan: Volume
) -> None:
    from dopascope.bundle import view

    bundle = make_bundle(five_votes)
    assert bundle.predict(scan) == bundle.predict_view(view.take(scan, bundle.spec.input))


def test_batches_and_threads_do_not_change_an_answer(make_folder: Callable[..., Path], five_votes) -> None:
    folder = make_folder(five_votes)
    one, two = Bundle.load(folder), Bundle.load(folder, threads=2)
    pictures = np.stack([picture(seed) for seed in range(19)])
    together = one.run(pictures)["acc"]
    apart = np.concatenate([one.run(single[None])["acc"] for single in pictures])
    np.testing.assert_allclose(together, apart, rtol=1e-6)
    np.testing.assert_array_equal(together, one.run(pictures)["acc"])
    np.testing.assert_allclose(together, two.run(pictures)["acc"], rtol=1e-6)
    np.testing.assert_array_equal(together, one.run_one_output("acc", pictures))


def test_one_of_several_outputs_is_the_same_alone(make_bundle: Callable[..., Bundle], models) -> None:
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(0, 0.01, (models.side**2, 5)) for name in ("acc", "sens")}
    bundle = make_bundle(models.linear(weights, {name: np.zeros(5) for name in weights}))
    pictures = np.stack([picture(seed) for seed in range(3)])
    both = bundle.run(pictures)
    np.testing.assert_array_equal(bundle.run_one_output("sens", pictures), both["sens"])


@pytest.mark.promise(
    "Nothing inside a bundle can execute, and a changed bundle is refused", asvs="1.5.2", threats="T12, T31"
)
@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md"])
def test_a_changed_file_is_refused(make_folder: Callable[..., Path], five_votes, name: str) -> None:
    folder = make_folder(five_votes)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(BundleError, match="changed") as caught:
        Bundle.load(folder)
    assert name in caught.value.where
    assert "sha256" in caught.value.expected


@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md", "bundle.json"])
def test_a_missing_or_linked_file_is_refused(make_folder: Callable[..., Path], five_votes, name: str) -> None:
    folder = make_folder(five_votes)
    elsewhere = folder.parent / "elsewhere"
    (folder / name).rename(elsewhere)
    with pytest.raises(BundleError):
        Bundle.load(folder)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(BundleError):
        Bundle.load(folder)


def test_external_data_is_refused_before_onnx_runtime_sees_it(make_folder: Callable[..., Path], five_votes) -> None:
    weight = five_votes.graph.initializer[0]
    raw = weight.raw_data
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    folder = make_folder(five_votes)
    (folder / "weights.bin").write_bytes(raw)
    with pytest.raises(BundleError, match="may not hold"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"opset": 17},
        {"input": "name"},
        {"input": "shape"},
        {"outputs": {"acc": {"role": "logit", "shape": [4], "meaning": "x"}}},
        {"outputs": "another"},
    ],
    ids=str,
)
def test_a_model_that_is_not_as_described_is_refused(
    make_folder: Callable[..., Path], five_votes, models, changes: dict
) -> None:
    sound = models.spec(five_votes)
    if changes.get("input") == "name":
        changes = {"input": sound["input"] | {"name": "picture"}}
    elif changes.get("input") == "shape":
        changes = {"input": sound["input"] | {"shape": [1, 70, 72], "crop": [[9, 79], [29, 101]]}}
    elif changes.get("outputs") == "another":
        changes = {"outputs": sound["outputs"] | {"sens": sound["outputs"]["acc"]}}
    elif "outputs" in changes:
        changes = changes | {"vote": sound["vote"] | {"groups": {"acc": {"threshold": 0.5, "votes_needed": 2}}}}
    with pytest.raises(BundleError, match="not the model"):
        Bundle.load(make_folder(five_votes, **changes))


def test_a_fixed_batch_is_refused(make_folder: Callable[..., Path], five_votes) -> None:
    five_votes.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(BundleError, match="not the model"):
        Bundle.load(make_folder(five_votes))


def test_what_onnx_runtime_cannot_load_or_run_is_a_typed_error(
    make_folder: Callable[..., Path], five_votes, models
) -> None:
    five_votes.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(BundleError, match="cannot load"):
        Bundle.load(make_folder(five_votes))
    failing = models.linear({"acc": np.ones((models.side**2, 5))}, {"acc": np.zeros(5)})
    shape = next(one for one in failing.graph.initializer if one.name == "acc_shape")
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([7, 11]), "acc_shape"))
    del failing.graph.output[0].type.tensor_type.shape.dim[:]
    for size in ("batch", 5):
        dim = failing.graph.output[0].type.tensor_type.shape.dim.add()
        dim.dim_param, dim.dim_value = ("batch", 0) if size == "batch" else ("", 5)
    with pytest.raises(BundleError):
        Bundle.load(make_folder(failing, name="failing")).predict_view(picture())


def test_an_answer_that_is_not_finite_is_no_answer(make_bundle: Callable[..., Bundle], models) -> None:
    model = models.linear({"acc": np.full((models.side**2, 5), 3e38)}, {"acc": np.zeros(5)})
    with pytest.raises(BundleError, match="not finite"):
        make_bundle(model).predict_view(picture())


def test_pictures_that_are_none_are_refused(make_bundle: Callable[..., Bundle], five_votes) -> None:
    bundle = make_bundle(five_votes)
    with pytest.raises(UnsuitableError):
        bundle.predict_view(np.zeros((109, 91)))
    with pytest.raises(UnsuitableError):
        bundle.predict_view(np.full((91, 109), np.inf))


def test_only_a_classifier_classifies(make_bundle: Callable[..., Bundle], five_votes, scan: Volume) -> None:
    bundle = make_bundle(five_votes, kind="segmenter", vote=None)
    for ask in (lambda: bundle.predict(scan), lambda: bundle.predict_view(picture())):
        with pytest.raises(UsageError, match="classify"):
            ask()


@pytest.mark.parametrize("threads", [0, -1, 65])
def test_impossible_numbers_of_threads_are_refused(make_folder: Callable[..., Path], five_votes, threads: int) -> None:
    with pytest.raises(UsageError, match="threads"):
        Bundle.load(make_folder(five_votes), threads=threads)


def test_a_model_over_the_size_limit_is_refused(
    make_folder: Callable[..., Path], five_votes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dopascope.bundle import spec

    folder = make_folder(five_votes)
    monkeypatch.setattr(spec, "MAX_MODEL_BYTES", 1000)
    with pytest.raises(BundleError, match="too large"):
        Bundle.load(folder)


def test_calibration_moves_the_probability_and_its_interval_but_no_vote(
    make_bundle: Callable[..., Bundle], five_votes
) -> None:
    plain = make_bundle(five_votes).predict_view(picture())
    shift = {"method": "logistic", "slope": 1.0, "intercept": -2.0, "scans": 50, "data": "fifty scans"}
    moved = make_bundle(five_votes, name="moved", calibration=shift, calibration_reason=None).predict_view(picture())
    assert plain.p_abnormal is not None
    logit = np.log(plain.p_abnormal / (1 - plain.p_abnormal))
    assert moved.p_abnormal == pytest.approx(1 / (1 + np.exp(2 - logit)))
    assert moved.interval is not None
    assert moved.interval[0] < moved.p_abnormal < moved.interval[1]
    assert moved.votes == plain.votes
    assert moved.calibrated
    assert moved.calibration == "calibrated on 50 scans: fifty scans"


def test_loading_needs_no_torch(make_folder: Callable[..., Path], five_votes) -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from dopascope.bundle import Bundle; "
        f"Bundle.load({str(make_folder(five_votes))!r}).predict_view(np.ones((91, 109))); "
        "print(sorted({'torch', 'onnx', 'matplotlib', 'SimpleITK'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(out.replace("'", '"')) == []
