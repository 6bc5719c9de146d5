"""The published network against a second writing of its description, straight from the stored parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from dopascope.errors import BundleError
from dopascope.nets import create
from dopascope.nets.dat_spect import load_published

KINDS = {
    "acc": "dat-spect-two-class",
    "sens": "dat-spect-two-class",
    "spec": "dat-spect-two-class",
    "robust": "dat-spect-one-logit",
    "reg": "dat-spect-regional",
}


def oracle(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The network as functions of the stored tensors, in the stored number of dimensions."""
    deep = next(iter(state.values())).ndim == 5
    conv, start = (F.conv3d, "body") if deep else (F.conv2d, "seq" if "seq.3.linear.bias" in state else "body")
    x = x[:, :, None] if deep else x

    def half(x: Tensor, key: str, at: int) -> Tensor:
        x = conv(x, state[f"{key}.{at}.weight"], padding=(0, 1, 1) if deep else 1)
        norm = [state[f"{key}.{at + 1}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.leaky_relu(F.batch_norm(x, *norm), 0.01)

    for stage, stride, blocks in ((0, 1, 1), (1, 3, 1), (2, 3, 2)):
        x = conv(x, state[f"{start}.{stage}.first_conv.weight"], stride=(1, stride, stride) if deep else stride)
        for block in range(blocks):
            key = f"{start}.{stage}.blocks.{block}"
            x = x + state[f"{start}.{stage}.skip_inits.{block}"] * half(half(x, key, 0), key, 3)
    if deep:
        return F.softmax(F.linear(x.flatten(2).amax(2), state["logits.weight"], state["logits.bias"]), 1)[:, 1]
    if start == "seq":
        logits = F.linear(x.flatten(2).mean(2), state["seq.3.linear.weight"], state["seq.3.linear.bias"])
        return F.softmax(logits.view(-1, 4, 5), 2)
    return torch.sigmoid(conv(x, state["logits.weight"], state["logits.bias"]).flatten(1).amax(1))


def probabilities(kind: str, logits: Tensor) -> Tensor:
    return F.softmax(logits, 2) if kind == "reg" else torch.sigmoid(logits)


@pytest.mark.data
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_published_weights_answer_as_described(data_dir: Path, kind: str) -> None:
    images = torch.randn(3, 1, 72, 72, generator=torch.Generator().manual_seed(5))
    for number in range(5):
        path = data_dir / "models" / "dat_spect_ud" / f"network_weights_{kind}_{number}"
        state = torch.load(path, weights_only=True, map_location="cpu")
        net = load_published(create(KINDS[kind]), state, name=path.name)
        assert not net.training
        with torch.inference_mode():
            found, expected = probabilities(kind, net(images)), oracle(state, images)
        assert expected.std() > 1e-6
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def published(name: str) -> dict[str, Tensor]:
    """Random weights under the published names and in the published shapes."""
    state = create(name).state_dict()
    if name == "dat-spect-two-class":
        return {key: value[:, :, None] if value.ndim == 4 else value for key, value in state.items()}
    if name == "dat-spect-regional":
        return {key.replace("body.", "seq.").replace("logits.", "seq.3.linear."): value for key, value in state.items()}
    return dict(state)


@pytest.mark.parametrize("name", sorted(set(KINDS.values())))
def test_published_names_and_shapes_are_understood(name: str) -> None:
    torch.manual_seed(3)
    state = published(name)
    kind = next(kind for kind, network in KINDS.items() if network == name)
    images = torch.randn(2, 1, 72, 72)
    with torch.inference_mode():
        found = probabilities(kind, load_published(create(name), state)(images))
        torch.testing.assert_close(found, oracle(state, images), rtol=1e-4, atol=1e-6)


def test_weights_of_another_network_are_refused_by_name() -> None:
    state = published("dat-spect-one-logit")
    with pytest.raises(BundleError, match="not of the DaT SPECT network") as caught:
        load_published(create("dat-spect-regional"), state, name="network_weights_reg_0")
    assert caught.value.where == "network_weights_reg_0"
    assert "logits" in caught.value.found
    del state["body.2.skip_inits.1"]
    with pytest.raises(BundleError) as caught:
        load_published(create("dat-spect-one-logit"), state)
    assert "body.2.skip_inits.1 missing" in caught.value.found


def test_weights_that_are_not_finite_are_refused() -> None:
    state = published("dat-spect-one-logit")
    state["logits.bias"] = torch.tensor([float("nan")])
    with pytest.raises(BundleError, match="finite"):
        load_published(create("dat-spect-one-logit"), state)
