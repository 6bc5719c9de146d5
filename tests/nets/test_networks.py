"""One conformance suite for every registered network."""

from __future__ import annotations

import pytest
import torch

from dopascope.errors import UsageError
from dopascope.nets import NETWORKS, create, torchvision_operators
from dopascope.nets.ensemble import Ensembles

DEEPEST = ("resnet3d-34", "resnet3d-50")
"""Hundreds of megabytes each, built as their smaller siblings are: one test of them is enough for every run."""
EVERY = pytest.mark.parametrize("name", sorted(NETWORKS))
MOST = pytest.mark.parametrize("name", sorted(NETWORKS.keys() - set(DEEPEST)))


def images(name: str, count: int, seed: int = 0) -> torch.Tensor:
    """In two dimensions as large as they were designed for; in three a small block, sides unequal."""
    channels, *axes = NETWORKS[name].input_shape
    shape = axes if len(axes) == 2 else (33, 40, 36)
    return torch.randn(count, channels, *shape, generator=torch.Generator().manual_seed(seed))


@EVERY
def test_the_answer_has_the_stated_shape(name: str) -> None:
    with torch.inference_mode():
        answer = create(name).eval()(images(name, 3))
    assert answer.shape == (3, *NETWORKS[name].output_shape)
    assert torch.isfinite(answer).all()
    assert NETWORKS[name].description


@MOST
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(3)
    net = create(name).train()
    for part in net.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    # A scale that starts at zero hides its whole branch from the first step.
    with torch.no_grad():
        for parameter_name, parameter in net.named_parameters():
            if parameter.ndim == 0 or (parameter_name.endswith("weight") and not parameter.any()):
                parameter.fill_(0.5)
    net(images(name, 4)).square().sum().backward()
    assert [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()] == []


@MOST
def test_in_evaluation_an_image_is_judged_alone(name: str) -> None:
    net = create(name).eval()
    with torch.inference_mode():
        together = net(images(name, 5))
        apart = torch.cat([net(one[None]) for one in images(name, 5)])
    torch.testing.assert_close(together, apart, rtol=1e-3, atol=1e-4)


@MOST
def test_weights_survive_saving(name: str) -> None:
    torch.manual_seed(1)
    first, second = create(name).eval(), create(name).eval()
    assert not torch.equal(first(images(name, 1)), second(images(name, 1)))
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(images(name, 1)), second(images(name, 1)), rtol=0, atol=0)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        create("no-such-net")
    assert "dat-spect-regional" in caught.value.expected


def test_ensembles_put_their_networks_on_axis_one() -> None:
    name = "dat-spect-regional"
    members = [create(name).eval() for _ in range(3)]
    with torch.inference_mode():
        first, second = Ensembles([members[:2], members[2:]]).eval()(images(name, 4))
        assert first.shape == (4, 2, 4, 5)
        torch.testing.assert_close(second[:, 0], members[2](images(name, 4)))


@MOST
def test_other_numbers_of_channels_are_taken(name: str) -> None:
    channels = 2 * NETWORKS[name].input_shape[0]
    image = torch.randn(2, channels, *images(name, 1).shape[2:])
    with torch.inference_mode():
        assert create(name, channels=channels).eval()(image).shape == (2, *NETWORKS[name].output_shape)


@EVERY
def test_the_layer_of_evidence_is_there(name: str) -> None:
    with torch.device("meta"):  # no memory for weights that nobody looks at
        net = create(name)
    assert NETWORKS[name].evidence_layer in dict(net.named_modules())


def test_the_slab_network_is_small() -> None:
    assert 0.15e6 < sum(one.numel() for one in create("slab").parameters()) < 0.25e6


def test_any_backbone_of_timm_by_its_name() -> None:
    with torch.inference_mode():
        answer = create("timm:mobilenetv3_small_050").eval()(torch.randn(2, 3, 91, 109))
    assert answer.shape == (2,)
    with pytest.raises(UsageError) as caught:
        create("timm:resnet18x")
    assert "resnet18" in caught.value.expected


def test_the_sequence_sees_the_order_of_slices() -> None:
    net, image = create("sequence").eval(), images("sequence", 1)
    with torch.inference_mode():
        assert not torch.allclose(net(image), net(image.flip(1)))


def test_declaring_operators_twice_is_harmless() -> None:
    assert torchvision_operators.declare() is torchvision_operators.declare()
    import torchvision

    assert torchvision.ops is not None
