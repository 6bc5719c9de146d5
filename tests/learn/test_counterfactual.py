"""One image with another binding ratio: nothing asked is nothing changed, and what is asked for moves steadily."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.learn.generative.counterfactual import Editor, counterfactual
from dopascope.learn.generative.examples import plan_for
from dopascope.learn.generative.fit import fit_generator
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.recipe import GeneratorRecipe
from generator_cases import fitted

SHAPE = (1, 8, 12)
CASES = {
    "cvae": ({"width": 8, "halvings": 2, "latent": 4}, 60, 3e-3),
    "rflow": ({"width": 16, "halvings": 1, "attention": False}, 50, 5e-3),
}
"""Settings, epochs and learning rate."""
INVERTIBLE = pytest.mark.parametrize("family", sorted(CASES))


def spot(images: Tensor) -> Tensor:
    """Mean of the small bright place, which stands for a striatum."""
    return images[:, 0, 2:6, 3:7].mean((1, 2))


def around(images: Tensor) -> Tensor:
    """Mean of everything else."""
    return (images[:, 0].sum((1, 2)) - 16 * spot(images)) / (96 - 16)


def scans(
    count: int = 64, seed: int = 0, ratios: tuple[float, float] = (1.0, 4.0)
) -> tuple[Tensor, list[str], dict[str, list[float]]]:
    """A spot as bright as its binding ratio on a background as bright as each image's own, and noise.

    Classes overlap, so that each has been seen with most ratios.
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = ratios
    ratio = low + (high - low) * torch.rand(count, generator=generator)
    background = 1 + 0.5 * torch.rand(count, generator=generator)
    images = background.reshape(-1, 1, 1, 1) + 0.1 * torch.randn(count, *SHAPE, generator=generator)
    images[:, :, 2:6, 3:7] += ratio.reshape(-1, 1, 1, 1)
    controls = ratio + torch.randn(count, generator=generator) > 2.5
    return images, ["control" if one else "PD" for one in controls.tolist()], {"sbr": ratio.tolist()}


@cache
def fitted_to_ratios(family: str) -> Generator:
    settings, epochs, rate = CASES[family]
    images, classes, conditions = scans()
    plan = plan_for(family, images, classes, conditions, **settings)  # type: ignore[arg-type]
    recipe = GeneratorRecipe(epochs=epochs, learning_rate=rate, average=0.95)
    return fit_generator(plan, images, classes, conditions, recipe, seed=1)


def moved(family: str, change: float) -> tuple[Tensor, Tensor]:
    """New scans, and the same with another binding ratio that the generator has seen."""
    images, classes, conditions = scans(12, seed=9, ratios=(2.0, 3.0))
    wanted = {"sbr": [one + change for one in conditions["sbr"]]}
    made = counterfactual(fitted_to_ratios(family), images, classes, conditions, wanted=wanted, batch=5)
    return images, made.images


@INVERTIBLE
def test_no_change_returns_the_input_itself(family: str) -> None:
    images, made = moved(family, 0.0)
    assert torch.equal(made, images)


@INVERTIBLE
def test_the_binding_ratio_moves_with_what_is_asked(family: str) -> None:
    changes = (-1.0, -0.5, 0.0, 0.5, 1.0)
    images = moved(family, 0.0)[0]
    spots = torch.stack([spot(moved(family, change)[1]) - spot(images) for change in changes])
    assert (spots.diff(dim=0) > 0).all()  # of every image, at every step
    slope = float((spots[-1] - spots[0]).mean()) / (changes[-1] - changes[0])
    assert slope == pytest.approx(1.0, abs=0.35)


@INVERTIBLE
def test_what_was_not_asked_for_stays(family: str) -> None:
    images, made = moved(family, 1.0)
    assert float((around(made) - around(images)).abs().mean()) < 0.25 * float((spot(made) - spot(images)).mean())
    # The grain of each image is its own and is kept.
    grain = images - images.mean((2, 3), keepdim=True)
    kept = made - images
    away = torch.ones(SHAPE[1:], dtype=torch.bool)
    away[1:7, 2:8] = False
    assert kept[:, 0, away].std() < 0.8 * grain[:, 0, away].std()


@INVERTIBLE
def test_there_and_back_is_close_to_the_start(family: str) -> None:
    images, classes, conditions = scans(12, seed=9, ratios=(2.0, 3.0))
    generator = fitted_to_ratios(family)
    up = {"sbr": [one + 0.8 for one in conditions["sbr"]]}
    there = counterfactual(generator, images, classes, conditions, wanted=up).images
    back = counterfactual(generator, there, classes, up, wanted=conditions).images
    assert float((spot(back) - spot(images)).abs().mean()) < 0.4 * float((spot(there) - spot(images)).abs().mean())


def test_the_class_moves_too() -> None:
    images, classes, conditions = scans(12, seed=9, ratios=(2.0, 3.0))
    generator = fitted_to_ratios("cvae")
    other = ["control"] * 12
    made = counterfactual(generator, images, classes, conditions, wanted={}, wanted_classes=other)
    changed = (made.difference != 0).flatten(1).any(1)
    assert changed.tolist() == [one != "control" for one in classes]


def test_one_image_is_changed_as_among_others() -> None:
    images, classes, conditions = scans(4, seed=9)
    generator, wanted = fitted_to_ratios("cvae"), {"sbr": [2.0] * 4}
    together = counterfactual(generator, images, classes, conditions, wanted=wanted).images
    alone = counterfactual(
        generator, images[2:3], classes[2:3], {"sbr": conditions["sbr"][2:3]}, wanted={"sbr": [2.0]}
    ).images
    torch.testing.assert_close(together[2:3], alone, atol=1e-4, rtol=0)


def test_what_cannot_be_changed_is_refused() -> None:
    images, classes, conditions = scans(2)
    with pytest.raises(UsageError, match="code of a given image") as caught:
        counterfactual(fitted("gan-2d"), images, ["high", "low"], {"age": [60.0, 70.0]}, wanted={"age": [61.0, 71.0]})
    assert caught.value.found == "gan"
    generator = fitted_to_ratios("cvae")
    with pytest.raises(UsageError, match="not those") as caught:
        counterfactual(generator, images[:, :, :4], classes, conditions, wanted={})
    assert (caught.value.found, caught.value.expected) == ("1 x 4 x 12", "1 x 8 x 12")
    with pytest.raises(UsageError, match="does not know this condition"):
        counterfactual(generator, images, classes, conditions, wanted={"age": [60.0, 61.0]})


def test_the_change_is_a_network_that_onnx_can_run(tmp_path: Path) -> None:
    """The same differences without torch: what a bundle of kind `editor` needs."""
    onnxruntime = pytest.importorskip("onnxruntime")
    generator = fitted_to_ratios("cvae")
    images, classes, conditions = scans(3, seed=9)
    present = generator.condition(classes, conditions)
    wanted = generator.condition(classes, {"sbr": [2.0, 2.0, conditions["sbr"][2]]})
    editor = Editor(generator.model).eval()
    path = tmp_path / "editor.onnx"
    torch.onnx.export(
        editor,
        (images, present, wanted),
        path,
        input_names=["images", "present", "wanted"],
        output_names=["difference"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {"images": images.numpy(), "present": present.numpy(), "wanted": wanted.numpy()}
    (found,) = session.run(None, given)
    with torch.inference_mode():
        expected = editor(images, present, wanted).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert not found[2].any()
