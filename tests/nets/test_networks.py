"""One conformance suite for every registered network."""

from __future__ import annotations

import pytest
import torch

from dopascope.errors import UsageError
from dopascope.nets import NETWORKS, create
from dopascope.nets.ensemble import Ensembles

EVERY = pytest.mark.parametrize("name", sorted(NETWORKS))


def images(name: str, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *NETWORKS[name].input_shape, generator=torch.Generator().manual_seed(seed))


@EVERY
def test_the_answer_has_the_stated_shape(name: str) -> None:
    with torch.inference_mode():
        answer = create(name).eval()(images(name, 3))
    assert answer.shape == (3, *NETWORKS[name].output_shape)
    assert torch.isfinite(answer).all()
    assert NETWORKS[name].description


@EVERY
def test_every_parameter_learns(name: str) -> None:
    net = create(name).train()
    # A scalar that starts at zero hides its whole branch from the first step.
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 0:
                parameter.fill_(0.5)
    net(images(name, 4)).square().sum().backward()
    assert [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()] == []


@EVERY
def test_in_evaluation_an_image_is_judged_alone(name: str) -> None:
    net = create(name).eval()
    with torch.inference_mode():
        together = net(images(name, 5))
        apart = torch.cat([net(one[None]) for one in images(name, 5)])
    torch.testing.assert_close(together, apart)


@EVERY
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
