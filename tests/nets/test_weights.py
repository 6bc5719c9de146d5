"""Weights of the published layouts are accepted; anything else is refused by the name of its first mismatch."""

from __future__ import annotations

import pytest
import torch

from dopascope.errors import BundleError
from dopascope.nets import create, known
from dopascope.nets.weights import fill


def published(name: str, head: dict[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """A backbone's weights as they are published: without our wrapper, with a head of 1,000 classes."""
    torch.manual_seed(7)
    backbone = {key.removeprefix("backbone."): value for key, value in create(name).state_dict().items()}
    ours = tuple(one.removeprefix("backbone.") for one in known(name).head)
    bare = {key: value for key, value in backbone.items() if not key.startswith((*ours, "dense."))}
    return {prefix + key: value for key, value in (bare | head).items()}


IMAGENET_HEAD = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize(
    ("name", "head", "prefix"),
    [
        ("resnet18", IMAGENET_HEAD, ""),
        ("inceptionv3-s3", {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, ""),
        ("resnet3d-10", {}, "module."),
        ("resnet3d-18", {"conv_seg.0.weight": torch.zeros(512, 32, 2, 2, 2)}, "module."),
    ],
)
def test_published_layouts_fill_all_but_the_head(name: str, head: dict[str, torch.Tensor], prefix: str) -> None:
    state = published(name, head, prefix)
    net = create(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    kept = fill(net, state, known(name), where="made.pth")
    assert kept
    assert all(key.startswith(known(name).head) for key in kept)
    for key, value in net.state_dict().items():
        expected = before[key] if key in kept else state[prefix + key.removeprefix("backbone.")]
        torch.testing.assert_close(value, expected)


def test_one_channel_gets_the_sum_of_the_colours() -> None:
    state = published("resnet18", IMAGENET_HEAD)
    net = create("resnet18", channels=1).eval()
    fill(net, state, known("resnet18"), where="made.pth")
    colour = create("resnet18").eval()
    fill(colour, state, known("resnet18"), where="made.pth")
    head = {key: value for key, value in net.state_dict().items() if key.startswith("backbone.fc.")}
    colour.load_state_dict(head, strict=False)
    grey = torch.randn(1, 1, 91, 109)
    with torch.inference_mode():
        torch.testing.assert_close(net(grey), colour(grey.expand(1, 3, 91, 109)), rtol=1e-3, atol=1e-4)


def test_our_own_weights_fill_the_head_too() -> None:
    torch.manual_seed(1)
    first, second = create("slab"), create("slab")
    assert fill(second, first.state_dict(), known("slab"), where="own") == []
    torch.testing.assert_close(second.scan.weight, first.scan.weight)


@pytest.mark.parametrize("name", ["resnet18", "inceptionv3-s3", "resnet3d-10"])
def test_another_networks_file_is_refused_by_the_first_mismatch(name: str) -> None:
    other = {"resnet18": "inceptionv3-s3"}.get(name, "resnet18")
    net = create(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(BundleError) as caught:
        fill(net, published(other, {}), known(name), where="wrong.pth")
    first = next(key for key in before if not key.startswith(known(name).head)).removeprefix("backbone.")
    assert caught.value.where == f"wrong.pth: {first}"
    assert caught.value.expected
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_another_shape_and_a_nan_are_named() -> None:
    state = published("resnet18", IMAGENET_HEAD)
    state["layer2.0.conv1.weight"] = torch.zeros(128, 65, 3, 3)
    with pytest.raises(BundleError, match="not of this network") as caught:
        fill(create("resnet18"), state, known("resnet18"), where="f")
    assert caught.value.where == "f: layer2.0.conv1.weight"
    assert "(128, 65, 3, 3)" in caught.value.found
    state = published("resnet18", IMAGENET_HEAD)
    state["bn1.weight"] = torch.full((64,), torch.nan)
    with pytest.raises(BundleError) as caught:
        fill(create("resnet18"), state, known("resnet18"), where="f")
    assert (caught.value.where, caught.value.found) == ("f: bn1.weight", "values that are not finite")


def test_files_older_than_the_batch_counter_are_accepted() -> None:
    state = {key: value for key, value in published("resnet18", IMAGENET_HEAD).items() if "num_batches" not in key}
    fill(create("resnet18"), state, known("resnet18"), where="old")
