"""A generator as an editor bundle: the same differences without torch, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope.bundle import Bundle
from dopascope.bundle.spec import EditedValue, EditRule, InputSpec, Normal
from dopascope.convert.editor_bundle import DIFFERENCE, IMAGE, PRESENT, WANTED, EditorNamed, bundle_of_editor
from dopascope.errors import BundleError, UsageError
from dopascope.learn.generative.counterfactual import counterfactual
from dopascope.learn.generative.fit import fit_generator
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.plan import Plan
from dopascope.learn.generative.recipe import GeneratorRecipe

NAMES = ("caudate_left", "putamen_left")
CROP = [(10, 26), (20, 44)]
"""Unequal axes."""
SHAPE = (1, 16, 24)
SEEN = InputSpec(
    name=IMAGE,
    view="slab_12mm",
    intensity="p75_nonstriatal",
    flip_x=True,
    crop=CROP,
    clip=(0.0, 10.0),
    mean=0.0,
    sd=10.0,
    axes="x from right to left",
    shape=list(SHAPE),
)
RULE = EditRule(
    present=PRESENT,
    wanted=WANTED,
    output=DIFFERENCE,
    measure="slab_ratios",
    values=[
        EditedValue(name=name, low=0.5, high=4.0, normal=Normal(at_reference_age=3.0, per_decade=-0.2, sd=0.5))
        for name in NAMES
    ],
    reference_age=65,
    ages=(40, 85),
    people=20,
    source="a test",
)
NAMED = EditorNamed("tiny-editor", "Tiny", "noise", "A test.", "pytest", "Nothing.", "CC0-1.0", "nobody")


@pytest.fixture(scope="module")
def generator() -> Generator:
    draw = torch.Generator().manual_seed(1)
    images = 0.1 * torch.rand(24, *SHAPE, generator=draw)
    ratios = {name: (0.5 + 3 * torch.rand(24, generator=draw)).tolist() for name in NAMES}
    images[:, :, 4:8, 6:12] += 0.1 * torch.tensor(ratios[NAMES[0]]).reshape(-1, 1, 1, 1)
    plan = Plan("cvae", SHAPE, ("person",), NAMES, {"width": 8, "halvings": 2, "latent": 4})
    return fit_generator(plan, images, ["person"] * 24, ratios, GeneratorRecipe(epochs=6, learning_rate=3e-3), seed=1)


def images_of(count: int) -> torch.Tensor:
    return 0.3 * torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def folder(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "tiny-editor"
    return bundle_of_editor(generator, SEEN, RULE, images_of(2), target, NAMED)


def test_it_adds_what_torch_adds_in_its_place(generator: Generator, folder: Path) -> None:
    """Five views, another number than it was exported with, turned and cut by hand."""
    views = 3 * np.random.default_rng(2).random((5, 91, 109)).astype(np.float32)
    present = np.random.default_rng(3).uniform(1, 3, (5, 2)).astype(np.float32)
    wanted = present + np.array([[0.5, -0.5]], np.float32)
    found = Bundle.load(folder).differences(views, present, wanted)
    cut = views[:, ::-1][:, CROP[0][0] : CROP[0][1], CROP[1][0] : CROP[1][1]] / 10
    told = [dict(zip(NAMES, one.T.tolist(), strict=True)) for one in (present, wanted)]
    made = counterfactual(generator, torch.from_numpy(cut.copy())[:, None], ["person"] * 5, told[0], wanted=told[1])
    expected = np.zeros_like(views)
    expected[:, CROP[0][0] : CROP[0][1], CROP[1][0] : CROP[1][1]] = 10 * made.difference[:, 0].numpy()
    np.testing.assert_allclose(found, expected[:, ::-1], atol=0.02)
    assert np.abs(found).max() > 0.1


def test_rows_where_nothing_is_asked_get_exactly_nothing(folder: Path) -> None:
    views = np.random.default_rng(4).random((3, 91, 109)).astype(np.float32)
    present = np.full((3, 2), 1.7, np.float32)
    wanted = present + np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.0]], np.float32)
    found = Bundle.load(folder).differences(views, present, wanted)
    assert [bool(one.any()) for one in found] == [False, True, False]


@pytest.mark.slow
def test_the_same_weights_give_the_same_bytes(generator: Generator, folder: Path, tmp_path: Path) -> None:
    again = bundle_of_editor(generator, SEEN, RULE, images_of(3), tmp_path / "tiny-editor", NAMED)
    for name in ("model.onnx", "MODEL_CARD.md", "bundle.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_card_says_what_it_is(folder: Path) -> None:
    card = (folder / "MODEL_CARD.md").read_text()
    for said in (
        "no evidence",
        "Not a medical device",
        "| caudate left | 3.00 | -0.20 | 0.50 | 0.50 to 4.00 |",
        "pytest",
    ):
        assert said in card, said


def test_what_cannot_become_an_editor_is_refused(generator: Generator, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        bundle_of_editor(generator, SEEN, RULE, images_of(2), folder, NAMED)
    other = RULE.model_copy(update={"values": RULE.values[:1]})
    with pytest.raises(UsageError, match="cannot become an editor") as caught:
        bundle_of_editor(generator, SEEN, other, images_of(2), tmp_path / "other", NAMED)
    assert "caudate_left, putamen_left" in str(caught.value.found)
    assert not any(tmp_path.iterdir())


def test_a_rule_that_is_not_the_models_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiny-editor"
    copy.mkdir()
    for name in ("model.onnx", "MODEL_CARD.md"):
        (copy / name).write_bytes((folder / name).read_bytes())
    text = (folder / "bundle.json").read_text()
    (copy / "bundle.json").write_text(text.replace('"wanted": "wanted"', '"wanted": "present"'))
    with pytest.raises(BundleError, match="does not follow"):
        Bundle.load(copy)
    (copy / "bundle.json").write_text(text.replace('"wanted": "wanted"', '"wanted": "wished"'))
    with pytest.raises(BundleError, match="not the model"):
        Bundle.load(copy)
