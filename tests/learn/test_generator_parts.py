"""What generators are made of: plans, examples, losses in closed form, averages, and files that are not theirs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dopascope.errors import BundleError, DopascopeError, HostileError, UnsuitableError, UsageError
from dopascope.learn import checkpoint
from dopascope.learn.generative import fit as loop
from dopascope.learn.generative import generator as files
from dopascope.learn.generative.cvae import VariationalGenerator
from dopascope.learn.generative.diffusion import guided
from dopascope.learn.generative.examples import examples_of, plan_for
from dopascope.learn.generative.fit import fit_generator
from dopascope.learn.generative.gan import AdversarialGenerator, less_varied
from dopascope.learn.generative.generator import load
from dopascope.learn.generative.model import Batch
from dopascope.learn.generative.noise import ImageNoise
from dopascope.learn.generative.plan import Plan, build
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.nets.generative.condition import NO_CLASS, asked
from generator_cases import CASES, FLAT, SMALL, examples, fitted

CPU = torch.device("cpu")
WRONG = pytest.mark.parametrize


def batch(plan: Plan, count: int = 6, share: float = 1.0) -> Batch:
    images = torch.randn(count, *plan.shape, generator=torch.Generator().manual_seed(1))
    condition = asked(torch.arange(count) % 2, torch.zeros(count, len(plan.conditions)))
    return Batch(images, condition, share, torch.Generator().manual_seed(2))


# Plans


@WRONG(
    ("changes", "where", "expected"),
    [
        ({"family": "stylegan"}, "family", "cvae, ddpm, gan, ldm, rflow"),
        ({"family": "gan", "shape": (1, 8, 8, 8)}, "shape", "2-D images with their channels"),
        ({"shape": (8, 8)}, "shape", "2-D or 3-D"),
        ({"classes": ()}, "classes", "one at least"),
        ({"classes": ("PD", "PD")}, "classes", "different names"),
        ({"conditions": ("age", "")}, "conditions", "none empty"),
        ({"settings": {"depth": 3}}, "settings.depth", "beta, drop, halvings"),
        ({"settings": {"width": 12}}, "settings.width", "a multiple of 8"),
        ({"settings": {"width": 8.5}}, "settings.width", "a whole number from 8"),
        ({"settings": {"latent": 0}}, "settings.latent", "from 1"),
        ({"settings": {"drop": True}}, "settings.drop", "a number from 0 to 0.9"),
        ({"settings": {"beta": "much"}}, "settings.beta", "a number from 0"),
        ({"family": "rflow", "settings": {"patch": 3}}, "settings.patch", "1 or 2 or 4"),
        ({"family": "ldm", "settings": {"process": "linear"}}, "settings.process", "cosine or straight"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(changes: dict[str, Any], where: str, expected: str) -> None:
    known: dict[str, Any] = {"family": "cvae", "shape": (1, 8, 8), "classes": ("PD", "control")}
    with pytest.raises(UsageError) as caught:
        Plan(**(known | changes))
    assert caught.value.where == where
    assert expected in caught.value.expected


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_plan_survives_being_written(name: str) -> None:
    plan = CASES[name].plan()
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan


def test_a_plan_names_its_default_settings() -> None:
    assert Plan("cvae", (1, 8, 8), ("PD",)).settings["beta"] == 1.0


@pytest.mark.parametrize("name", sorted(CASES))
def test_images_that_the_networks_cannot_halve_are_refused(name: str) -> None:
    case = CASES[name]
    with pytest.raises(UsageError, match="halves an image") as caught:
        build(Plan(case.family, (1, *(size + 1 for size in case.shape[1:])), ("a",), (), case.settings))
    assert "I 8 or" in caught.value.expected


@WRONG(("name", "value"), [("epochs", 0), ("batch", -1), ("learning_rate", 0.0), ("average", 1.0), ("minutes", 0.0)])
def test_a_recipe_that_cannot_be_meant_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError) as caught:
        GeneratorRecipe(**({"epochs": 1} | {name: value}))  # type: ignore[arg-type]
    assert caught.value.where == f"training.{name}"


# Examples


def _spoiled(change: Callable[[Tensor], None]) -> Tensor:
    images = examples(FLAT)[0].clone()
    change(images)
    return images


@WRONG(
    ("changes", "kind", "where", "found"),
    [
        ({"images": torch.zeros(32, 1, 8, 13)}, UsageError, "images", "1 x 8 x 13"),
        ({"classes": ["high"] * 31}, UsageError, "classes", "31 classes"),
        ({"classes": ["high"] * 31 + ["ET"]}, UsageError, "classes", "ET"),
        ({"classes": ["high"] * 32}, UnsuitableError, "class low", "0 images"),
        ({"conditions": {"sbr": [1.0] * 32}}, UsageError, "conditions", "sbr"),
        ({"conditions": {"age": [1.0] * 31}}, UsageError, "conditions.age", "31 values"),
        ({"conditions": {"age": [torch.nan] * 32}}, UnsuitableError, "conditions.age", "not known of any"),
        ({"conditions": None}, UnsuitableError, "conditions.age", "not known of any"),
        ({"images": _spoiled(lambda x: x[7].fill_(torch.nan))}, UnsuitableError, "image 7", "not finite"),
        ({"images": _spoiled(lambda x: x[9, 0, 0, 0].fill_(torch.inf))}, UnsuitableError, "image 9", "not finite"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(
    changes: dict[str, Any], kind: type[DopascopeError], where: str, found: str
) -> None:
    plan = CASES["cvae-2d"].plan()
    images, classes, conditions = examples(FLAT)
    given = {"images": images, "classes": classes, "conditions": conditions} | changes
    with pytest.raises(kind) as caught:
        examples_of(plan, **given)
    assert (caught.value.where, caught.value.found) == (where, found)
    assert caught.value.expected
    assert caught.value.fix


def test_scales_come_from_what_is_known() -> None:
    images, classes, _ = examples(FLAT)
    ages = [40.0, 60.0, torch.nan, 80.0] * 8
    plan = plan_for("cvae", images, classes, {"age": ages}, **SMALL)
    model = build(plan)
    model.adjust(images, examples_of(plan, images, classes, {"age": ages}).values)
    scaled = model.scaled(images)
    assert float(scaled.mean()) == pytest.approx(0, abs=1e-5)
    assert float(scaled.std()) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(model.unscaled(scaled), images)
    values = model.scaled_values(torch.tensor([[60.0], [torch.nan], [80.0]]))
    assert float(values[0]) == pytest.approx(0, abs=1e-6)
    assert float(values[2]) == pytest.approx(20 / np.std([40.0, 60.0, 80.0]), rel=1e-5)
    assert values[1].isnan()


# Losses


def test_the_bound_is_the_gaussian_likelihood_at_its_best_variance_and_the_divergence() -> None:
    plan = Plan("cvae", FLAT, ("a", "b"), (), {**SMALL, "drop": 0.0})
    torch.manual_seed(1)
    model = build(plan)
    assert isinstance(model, VariationalGenerator)
    given = batch(plan)
    losses = model.losses(given)
    mean, log_variance = model.net.encode(given.images, given.condition)
    codes = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(codes, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses["kl_nats"], divergence)
    # What is forgotten is drawn first, from the same generator.
    generator = torch.Generator().manual_seed(2)
    torch.rand(given.condition.shape, generator=generator)
    drawn = torch.randn(mean.shape, generator=generator)
    made = model.net.decode(mean + drawn * (log_variance / 2).exp(), given.condition)
    spread = (made - given.images).square().mean().sqrt()
    likelihood = torch.distributions.Normal(made, spread).log_prob(given.images).mean()
    constant = np.log(2 * np.pi) / 2 + 0.5
    torch.testing.assert_close(losses["bound"], -likelihood - constant + divergence / given.images[0].numel())


@WRONG(("share", "weight"), [(0.0, 0.0), (0.125, 0.5), (0.25, 1.0), (0.9, 1.0)])
def test_the_divergence_comes_in_slowly(share: float, weight: float) -> None:
    plan = Plan("cvae", FLAT, ("a", "b"), (), {**SMALL, "warm_up": 0.25, "beta": 2.0})
    torch.manual_seed(1)
    losses = build(plan).losses(batch(plan, share=share))  # type: ignore[operator]
    expected = losses["squared_error"].log() / 2 + 2 * weight * losses["kl_nats"] / 96
    torch.testing.assert_close(losses["bound"], expected)


class Slope(nn.Module):
    """A critic that is linear in the image: its slope is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 96).reshape(FLAT))

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        return (images * self.weight).sum((1, 2, 3)).reshape(-1, 1, 1, 1)


def test_the_critic_pays_for_the_margin_and_for_its_slope() -> None:
    plan = Plan("gan", FLAT, ("a", "b"), (), {**SMALL, "critic_width": 8, "penalty": 3.0})
    torch.manual_seed(1)
    model = build(plan)
    assert isinstance(model, AdversarialGenerator)
    model.critic = Slope()  # type: ignore[assignment]
    given = batch(plan)
    losses = model.critic_losses(given)
    generator = torch.Generator().manual_seed(2)
    torch.rand(given.condition.shape, generator=generator)
    with torch.no_grad():
        drawn = model.artist(torch.randn(6, 4, generator=generator), given.condition)
        real, false = (model.critic(images, given.condition) for images in (given.images, drawn))
    hinge = (1 - real).clamp_min(0).mean() + (1 + false).clamp_min(0).mean()
    torch.testing.assert_close(losses["critic"], hinge + 1.5 * model.critic.weight.square().sum())
    torch.testing.assert_close(losses["critic_real"], real.mean())


def test_guidance_is_linear_in_what_is_said_with_and_without_the_condition() -> None:
    class Told(nn.Module):
        def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
            said = torch.where(condition[:, 0] == NO_CLASS, 1.0, 3.0)
            return said.reshape(-1, 1, 1, 1).expand_as(x)

    x, condition = torch.zeros(2, *FLAT), asked(torch.tensor([0, 1]), torch.zeros(2, 1))
    for guidance, expected in ((0.0, 1.0), (1.0, 3.0), (0.5, 2.0), (4.0, 9.0)):
        assert (guided(Told(), condition, guidance)(x, 0.5) == expected).all()


# The loop


def test_the_average_is_of_the_weights() -> None:
    """Without averaging the last weights are kept; else a mean that starts at the first ones and forgets them."""
    case = CASES["cvae-2d"]
    recipe = case.recipe(epochs=2, average=0.5)
    assert [recipe.averaging(step) for step in (0, 1, 8, 99)] == [0.1, pytest.approx(2 / 11), 0.5, 0.5]
    seen: list[dict[str, Tensor]] = []
    trace = loop._Training._average

    def traced(training: Any, kept: dict[str, Tensor], step: int) -> None:
        before = {name: value.clone() for name, value in kept.items()}
        trace(training, kept, step)
        now = dict(training.model.named_parameters())
        stays = recipe.averaging(step)
        for name, value in now.items():
            torch.testing.assert_close(kept[name], stays * before[name] + (1 - stays) * value.detach())
        seen.append(before)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop._Training, "_average", traced)
        fit_generator(case.plan(), *examples(case.shape), recipe, seed=1)
    assert len(seen) == 4


def test_the_autoencoder_rests_while_its_codes_are_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.0)
    case = CASES["ldm-2d"]
    told: list[dict[str, Any]] = []

    def look_at(_: object) -> None:
        with np.load(tmp_path / checkpoint.FILE, allow_pickle=False) as stored:
            told.append({name: stored[name] for name in stored.files if "coder." in name or "code_" in name})

    recipe = case.recipe(epochs=5)  # two of five epochs are the autoencoder's
    made = fit_generator(case.plan(), *examples(case.shape), recipe, seed=1, folder=tmp_path, progress=look_at)
    coder = [name for name in told[0] if name.startswith("net/coder.")]
    assert any((told[0][name] != told[1][name]).any() for name in coder)
    assert any((told[1][name] != told[2][name]).any() for name in coder)  # from now on it is its average
    for name in coder:
        assert (told[2][name] == told[4][name]).all()
        assert (told[1][name.replace("net/", "best/")] == told[2][name]).all()
        assert (told[4][name.replace("net/", "best/")] == told[2][name]).all()
    images = made.model.scaled(examples(case.shape)[0])
    with torch.no_grad():
        mean, spread = made.model.coder.encode(images)  # type: ignore[operator, union-attr]
        codes = mean + spread * torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
        standard = (codes - made.model.code_mean) / made.model.code_spread  # type: ignore[operator]
    assert float(standard.mean()) == pytest.approx(0, abs=0.05)
    assert float(standard.square().mean()) == pytest.approx(1, abs=0.1)


def test_balanced_batches_show_every_class_equally_often() -> None:
    case = CASES["cvae-2d"]
    images, _, conditions = examples(case.shape)
    classes = ["high"] * 28 + ["low"] * 4
    seen: list[Tensor] = []

    def counting(batch: Callable[..., Batch]) -> Callable[..., Batch]:
        def counted(*given: Any) -> Batch:
            made = batch(*given)
            seen.append(made.condition[:, 0])
            return made

        return counted

    for balanced, expected in ((True, 0.5), (False, 4 / 32)):
        seen.clear()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(loop._Training, "_batch", counting(loop._Training._batch))
            fit_generator(case.plan(), images, classes, conditions, case.recipe(epochs=12, balanced=balanced), seed=1)
        drawn = torch.cat(seen)
        assert len(drawn) == 12 * 32
        share = float(drawn.mean())
        assert share == (pytest.approx(expected, abs=4 * (0.25 / 384) ** 0.5) if balanced else expected)


def test_a_cosine_rate_falls_from_its_start_to_nothing() -> None:
    recipe = GeneratorRecipe(epochs=10, learning_rate=2e-3, schedule="cosine")
    assert [recipe.rate(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([2e-3, 1e-3, 0.0])
    assert GeneratorRecipe(epochs=10, learning_rate=2e-3).rate(0.7) == 2e-3


def test_the_noise_of_an_image_is_its_own_and_normal() -> None:
    one, other = ImageNoise(5, [0, 1, 2], CPU), ImageNoise(5, [2], CPU)
    first, second = one((3, 5)), one((3, 5))
    assert torch.equal(first[2:], other((3, 5)))
    assert torch.equal(second[2:], other((3, 5)))
    assert not torch.equal(first, second)
    many = ImageNoise(5, range(200), CPU)((10, 10))
    assert float(many.mean()) == pytest.approx(0, abs=4 / 20000**0.5)
    assert float(many.square().mean()) == pytest.approx(1, abs=4 * (2 / 20000) ** 0.5)
    between = np.corrcoef(many.flatten(1).numpy())
    assert np.abs(between - np.eye(200)).max() < 0.6


# Files


def _packed(path: Path, **changes: Any) -> None:
    """Write the file anew with some of its arrays changed; None leaves one out."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files} | changes
    stream = io.BytesIO()
    np.savez(stream, **{name: value for name, value in arrays.items() if value is not None})
    path.write_bytes(stream.getvalue())


def _facts(path: Path, **changes: Any) -> None:
    with np.load(path, allow_pickle=False) as stored:
        facts = json.loads(stored[files.FACTS].tobytes()) | changes
    _packed(path, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8))


def _other_plan(path: Path) -> None:
    _facts(path, plan=Plan("cvae", FLAT, ("a", "b", "c"), ("age",), {**SMALL}).as_dict())


@WRONG(
    ("damage", "what"),
    [
        (lambda path: path.write_bytes(b""), "is no generator, or is damaged"),
        (lambda path: path.write_bytes(b"PK\x03\x04 not a zip"), "is no generator, or is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "is no generator, or is damaged"),
        (lambda path: _packed(path, facts=None), "is no generator, or is damaged"),
        (lambda path: _packed(path, mean=np.array([object()], object)), "is no generator, or is damaged"),
        (lambda path: _facts(path, format="dopascope.generator/9"), "is no generator"),
        (lambda path: _facts(path, plan={"family": "cvae"}), "holds a plan that cannot be meant"),
        (lambda path: _facts(path, plan=None), "holds a plan that cannot be meant"),
        (_other_plan, "holds the weights of another model"),
        (lambda path: _packed(path, **{"net/mean": None}), "holds the weights of another model"),
        (lambda path: _packed(path, **{"net/extra": np.zeros(3)}), "holds the weights of another model"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, damage: Callable[[Path], object], what: str
) -> None:
    path = tmp_path / "generator.npz"
    fitted("cvae-2d").save(path)
    damage(path)
    with pytest.raises(BundleError) as caught:
        load(path)
    assert caught.value.what == f"The file {what}."
    assert caught.value.where == str(path)
    assert caught.value.found
    assert caught.value.expected


def test_a_file_that_is_not_the_one_meant_is_refused(tmp_path: Path) -> None:
    sha256 = fitted("cvae-2d").save(tmp_path / "generator.npz")
    _facts(tmp_path / "generator.npz", training={})
    with pytest.raises(BundleError, match="not the one that was meant") as caught:
        load(tmp_path / "generator.npz", sha256=sha256)
    assert caught.value.expected == f"sha256 {sha256}"
    with pytest.raises(UsageError, match="no such generator"):
        load(tmp_path / "nothing.npz")


def test_a_file_that_would_unpack_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "generator.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/mean.npy", bytes(2 << 20))
    assert path.stat().st_size < 1 << 14
    monkeypatch.setattr(files, "MAX_BYTES", 1 << 20)
    with pytest.raises(HostileError) as caught:
        load(path)
    assert caught.value.found == f"{2 << 20} bytes"


def test_drawn_images_of_a_class_are_less_varied_by_the_share_that_they_lie_nearer() -> None:
    generator = torch.Generator().manual_seed(4)
    real = torch.randn(9, 1, 4, 6, generator=generator)
    classes = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 2.0])
    mean = torch.stack([real[classes == one].mean(0) for one in classes])
    assert float(less_varied(real, real, classes)) == 0
    assert float(less_varied(mean, real, classes)) == 1
    assert float(less_varied(mean + 0.25 * (real - mean), real, classes)) == pytest.approx(0.75, abs=1e-6)
    assert float(less_varied(2 * real, real, classes)) == 0, "more varied is not punished"
    apart = torch.arange(9.0)
    assert float(less_varied(mean, real, apart)) == 0, "no two of a class"
