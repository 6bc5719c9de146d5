"""Networks that make images: their shapes, what they depend on, and the sizes that they refuse."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dopascope.errors import UsageError
from dopascope.nets.generative.adversarial import Artist, Critic
from dopascope.nets.generative.autoencoder import Autoencoder
from dopascope.nets.generative.condition import NO_CLASS, Condition, asked, forget, nothing
from dopascope.nets.generative.cvae import Cvae
from dopascope.nets.generative.denoiser import Denoiser
from dopascope.nets.generative.patches import from_patches, to_patches
from dopascope.nets.generative.sizes import check_halving

FLAT, SOLID = (2, 8, 12), (1, 8, 4, 12)
"""Images of two and of three axes, none equal."""


def cvae(shape: tuple[int, ...]) -> Cvae:
    return Cvae(shape, 2, 1, width=8, halvings=2, latent=3)


def artist(shape: tuple[int, ...]) -> Artist:
    return Artist(shape, 2, 1, width=8, halvings=2, latent=3)


def critic(shape: tuple[int, ...]) -> Critic:
    return Critic(shape, 2, 1, width=8, halvings=1)


def denoiser(shape: tuple[int, ...]) -> Denoiser:
    return Denoiser(shape, 2, 1, width=8, halvings=1, blocks=1, patch=2, attention=True)


def autoencoder(shape: tuple[int, ...]) -> Autoencoder:
    return Autoencoder(shape, width=8, patch=2, halvings=1, channels=3)


BUILDERS: list[Callable[[tuple[int, ...]], nn.Module]] = [cvae, artist, critic, denoiser, autoencoder]
SHAPES = pytest.mark.parametrize("shape", [FLAT, SOLID], ids=["2-D", "3-D"])


def images(shape: tuple[int, ...], count: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def wanted(count: int = 3) -> Tensor:
    """Both classes and an open one, values known and not."""
    values = torch.tensor([[0.5], [torch.nan], [-1.0]])
    return asked(torch.tensor([0, 1, NO_CLASS]), values)[:count]


def awake(net: nn.Module) -> nn.Module:
    """The network without weights of zero, behind which nothing is seen at first."""
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return net


def answer(net: nn.Module, shape: tuple[int, ...], x: Tensor, condition: Tensor) -> Tensor:
    """All of what a network says, whichever it is."""
    if isinstance(net, Cvae):
        mean, log_variance = net.encode(x, condition)
        return torch.cat([net.decode(mean, condition).flatten(1), log_variance], 1)
    if isinstance(net, Artist):
        return net(x.flatten(1)[:, :3], condition)
    if isinstance(net, Denoiser):
        return net(x, torch.full((len(x),), 0.3), condition)
    if isinstance(net, Autoencoder):
        mean, spread = net.encode(x)
        return torch.cat([net.decode(mean).flatten(1), spread.flatten(1)], 1)
    return net(x, condition)


@SHAPES
def test_images_come_in_the_shape_that_was_planned(shape: tuple[int, ...]) -> None:
    x, condition = images(shape), wanted()
    code, log_variance = cvae(shape).encode(x, condition)
    assert code.shape == log_variance.shape == (3, 3)
    assert cvae(shape).decode(code, condition).shape == x.shape
    assert artist(shape)(code, condition).shape == x.shape
    assert denoiser(shape)(x, torch.rand(3), condition).shape == x.shape
    coder = autoencoder(shape)
    mean, spread = coder.encode(x)
    assert mean.shape == spread.shape == (3, *coder.code_shape)
    assert (spread > 0).all()
    assert coder.decode(mean).shape == x.shape
    scores = critic(shape)(x, condition)
    assert scores.shape[:2] == (3, 1)
    assert scores.ndim == x.ndim


@SHAPES
@pytest.mark.parametrize("make", BUILDERS)
def test_every_weight_learns(make: Callable[[tuple[int, ...]], nn.Module], shape: tuple[int, ...]) -> None:
    net = awake(make(shape)).train()
    answer(net, shape, images(shape), wanted()).square().sum().backward()
    silent = [name for name, one in net.named_parameters() if one.grad is None or not one.grad.any()]
    assert silent == []


@SHAPES
@pytest.mark.parametrize("make", BUILDERS)
def test_an_image_is_answered_alone(make: Callable[[tuple[int, ...]], nn.Module], shape: tuple[int, ...]) -> None:
    net, x, condition = awake(make(shape)).eval(), images(shape), wanted()
    with torch.inference_mode():
        together = answer(net, shape, x, condition)
        apart = torch.cat([answer(net, shape, x[one : one + 1], condition[one : one + 1]) for one in range(3)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


@SHAPES
@pytest.mark.parametrize("make", [cvae, artist, critic, denoiser])
def test_class_and_value_are_heard(make: Callable[[tuple[int, ...]], nn.Module], shape: tuple[int, ...]) -> None:
    net, x = awake(make(shape)).eval(), images(shape, 1).expand(5, *shape)
    condition = asked(torch.tensor([0, 1, NO_CLASS, 0, 0]), torch.tensor([[0.0], [0.0], [0.0], [1.0], [torch.nan]]))
    with torch.inference_mode():
        said = answer(net, shape, x, condition).flatten(1)
    differences = torch.cdist(said, said) + 9 * torch.eye(5)
    assert differences.min() > 1e-4


@SHAPES
def test_the_denoiser_hears_the_time(shape: tuple[int, ...]) -> None:
    net, x = awake(denoiser(shape)).eval(), images(shape, 1).expand(2, *shape)
    with torch.inference_mode():
        early, late = net(x, torch.tensor([0.1, 0.9]), wanted(1).expand(2, 2))
    assert (early - late).abs().max() > 1e-3


@pytest.mark.parametrize("make", BUILDERS)
@pytest.mark.parametrize("shape", [(1, 91, 109), (1, 12, 91, 16)])
def test_sizes_that_cannot_be_halved_are_refused(
    make: Callable[[tuple[int, ...]], nn.Module], shape: tuple[int, ...]
) -> None:
    with pytest.raises(UsageError, match="halves an image twice") as caught:
        make(shape)
    error = caught.value
    assert error.found == " x ".join(str(size) for size in shape[1:])
    assert "88 or 92 instead of 91" in error.expected
    assert ("108 or 112 instead of 109" in error.expected) == (109 in shape)
    assert "multiples of 4" in error.fix


@given(st.lists(st.integers(1, 300), min_size=2, max_size=3), st.integers(0, 6))
def test_what_is_refused_is_what_does_not_divide_and_what_is_named_fits(sizes: list[int], halvings: int) -> None:
    unit = 2**halvings
    if all(size % unit == 0 for size in sizes):
        check_halving((1, *sizes), halvings)
        return
    with pytest.raises(UsageError) as caught:
        check_halving((1, *sizes), halvings)
    named = dict(part.split(" ", 1) for part in caught.value.expected.split("; "))
    mended = list(sizes)
    for axis, told in named.items():
        near = [int(one) for one in told.split(" instead")[0].split(" or ")]
        place = "IJK".index(axis)
        assert near == [one for one in (sizes[place] // unit * unit, ceil(sizes[place] / unit) * unit) if one]
        mended[place] = near[-1]
    check_halving((1, *mended), halvings)


@given(
    st.integers(2, 3),
    st.integers(1, 3),
    st.sampled_from([1, 2, 4]),
    st.lists(st.integers(1, 3), min_size=3, max_size=3),
)
def test_patches_become_channels_and_voxels_again(axes: int, channels: int, patch: int, counts: list[int]) -> None:
    shape = (2, channels, *(patch * count for count in counts[:axes]))
    x = torch.arange(float(torch.tensor(shape).prod())).reshape(shape)
    packed = to_patches(x, patch)
    assert packed.shape == (2, channels * patch**axes, *counts[:axes])
    assert torch.equal(from_patches(packed, patch), x)
    corner = x[(slice(None), slice(None), *[slice(0, patch)] * axes)].flatten(1)
    assert torch.equal(packed[(slice(None), slice(None), *[0] * axes)], corner)


def test_an_open_value_says_nothing_of_what_it_was() -> None:
    embed = Condition(2, 2, 8)
    condition = asked(torch.tensor([1, 1]), torch.tensor([[torch.nan, 2.0], [0.0, 2.0]]))
    first, second = embed(condition)
    assert torch.isfinite(first).all()
    assert not torch.allclose(first, second)  # not known is not the mean


def test_forgetting_leaves_parts_open_as_often_as_it_should() -> None:
    condition = asked(torch.arange(4000) % 2, torch.ones(4000, 2))
    generator = torch.Generator().manual_seed(1)
    kept = forget(condition, 0.2, generator, everything=False)
    assert torch.equal(kept[:, 0], condition[:, 0])
    shares = kept[:, 1:].isnan().double().mean(0)
    assert shares.tolist() == pytest.approx([0.2, 0.2], abs=4 * (0.16 / 4000) ** 0.5)
    whole = forget(condition, 0.2, generator, everything=True)
    gone = whole[:, 0] == NO_CLASS
    assert float(gone.double().mean()) == pytest.approx(0.2, abs=4 * (0.16 / 4000) ** 0.5)
    assert whole[gone, 1:].isnan().all()
    assert torch.equal(forget(condition, 0.0, generator, everything=True), condition)
    assert torch.equal(nothing(condition)[:, 0], torch.full((4000,), float(NO_CLASS)))


def test_the_critic_stretches_no_direction_more_than_once() -> None:
    net = critic(FLAT).train()
    for seed in range(60):  # each call is one step of the power iteration
        net(images(FLAT, seed=seed), wanted())
    net.eval()
    largest = [
        float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2))
        for module in net.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    assert len(largest) >= 4
    assert largest == pytest.approx([1.0] * len(largest), abs=0.02)
