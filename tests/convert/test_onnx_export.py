from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from dopascope.bundle import onnx_file
from dopascope.convert import onnx_export
from dopascope.errors import BundleError
from dopascope.nets import create
from dopascope.nets.ensemble import Ensembles


def trained(name: str, seed: int) -> nn.Module:
    """A network whose batch norms and scalars are not at their starting values."""
    torch.manual_seed(seed)
    net = create(name)
    for key, value in net.state_dict().items():
        if value.dtype.is_floating_point:
            noise = torch.randn(value.shape) * 0.2
            value.add_(noise.abs() if key.endswith("running_var") else noise)
    return net.eval()


@pytest.fixture(scope="module")
def groups() -> dict[str, list[nn.Module]]:
    kinds = {"first": "dat-spect-two-class", "second": "dat-spect-one-logit", "third": "dat-spect-regional"}
    return {output: [trained(name, seed) for seed in range(2)] for output, name in kinds.items()}


@pytest.fixture(scope="module")
def model(groups: dict[str, list[nn.Module]]) -> bytes:
    return onnx_export.to_onnx(groups, torch.zeros(2, 1, 72, 72), image="image")


def test_every_network_answers_as_in_torch(groups: dict[str, list[nn.Module]], model: bytes) -> None:
    images = torch.randn(5, 1, 72, 72)
    session = onnxruntime.InferenceSession(model)
    found = dict(zip(groups, session.run(list(groups), {"image": images.numpy()}), strict=True))
    with torch.inference_mode():
        for output, members in groups.items():
            assert found[output].shape[:2] == (5, 2)
            for number, net in enumerate(members):
                np.testing.assert_allclose(found[output][:, number], net(images).numpy(), rtol=1e-3, atol=1e-4)
    assert onnx_export.check_parity(Ensembles(list(groups.values())), model, (images,), where="here") <= 1e-4


def test_the_file_is_self_contained_and_names_no_machine(model: bytes) -> None:
    facts = onnx_file.check(model)
    assert facts.opset == onnx_export.OPSET
    assert facts.outputs == ("first", "second", "third")
    loaded = onnx.load_from_string(model)
    onnx.checker.check_model(loaded, full_check=True)
    assert "BatchNormalization" not in {node.op_type for node in loaded.graph.node}
    for trace in (b".py", b"site-packages", b"Traceback", b"/home", b"stack_trace"):
        assert trace not in model


@pytest.mark.slow
def test_the_same_weights_give_the_same_bytes_whatever_ran_before(groups: dict[str, list[nn.Module]]) -> None:
    one = {"first": groups["first"]}
    first = onnx_export.to_onnx(one, torch.zeros(2, 1, 72, 72), image="image")
    onnx_export.to_onnx({"x": groups["second"]}, torch.zeros(2, 1, 72, 72), image="image")
    assert onnx_export.to_onnx(one, torch.zeros(3, 1, 72, 72), image="image") == first
    other = onnx_export.to_onnx({"first": groups["first"][::-1]}, torch.zeros(2, 1, 72, 72), image="image")
    assert other != first


def test_another_model_fails_the_parity_check(groups: dict[str, list[nn.Module]], model: bytes) -> None:
    swapped = Ensembles([members[::-1] for members in groups.values()])
    with pytest.raises(BundleError, match="does not answer"):
        onnx_export.check_parity(swapped, model, (torch.randn(2, 1, 72, 72),), where="here")


def test_nothing_to_export_is_refused() -> None:
    with pytest.raises(BundleError, match="no network"):
        onnx_export.to_onnx({}, torch.zeros(2, 1, 72, 72), image="image")


def test_weights_that_the_exporter_drops_are_noticed_where_a_graph_is_repeated() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 1), nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)[:, 0]

    with pytest.raises(BundleError, match="renamed or merged") as caught:
        onnx_export.to_onnx({"y": [Idle(), Idle()]}, torch.zeros(2, 4), image="image")
    assert "unused" in caught.value.found
    alone = Idle()
    model = onnx_export.to_onnx({"y": [alone]}, torch.zeros(2, 4), image="image")
    onnx_export.check_parity(Ensembles([[alone]]), model, (torch.randn(3, 4),), where="here")
