"""A torch module as one self-contained ONNX file, the same bytes each time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dopascope.errors import BundleError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

OPSET: Final = 18
"""Operator set of the files written: the exporter's own, known to every ONNX Runtime since 1.14."""
PARITY: Final = 1e-4
"""Largest difference between torch and ONNX Runtime that is accepted, in probability or logit."""


def to_onnx(net: nn.Module, example: Tensor, *, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """`net` in evaluation mode as ONNX bytes; the first axis of its one input is the free batch.

    The exporter's stack traces (which hold paths), its names and its order of weights depend on what ran before;
    all are replaced by numbers in order of use, so that the same weights give the same sha256.
    """
    import torch

    with _quiet():
        program = torch.onnx.export(
            net.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:
        raise BundleError("The torch exporter gave no model.", where=type(net).__name__)
    model = program.model_proto
    _plain(model, {*inputs, *outputs})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def check_parity(net: nn.Module, model: bytes, images: Tensor, *, where: str, tolerance: float = PARITY) -> float:
    """Largest difference between the answers of `net` and of its ONNX form on `images`.

    Raises:
        BundleError: it is above `tolerance`.
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.inference_mode():
        expected = net(images)
    pairs = zip(found, expected, strict=True)
    worst = max(float(np.abs(_bounded(one) - _bounded(other.numpy())).max()) for one, other in pairs)
    if not worst <= tolerance:
        raise BundleError(
            "The converted model does not answer like the original.",
            where=where,
            found=f"difference {worst:.2e}",
            expected=f"<= {tolerance:.0e}",
            fix="Report this with the versions of torch and onnxruntime.",
        )
    return worst


def _bounded(logits: Any) -> Any:
    """Logits as probabilities: far out on a logit's scale, float32 rounding alone exceeds any fixed tolerance."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -30, 30)))


def _plain(model: onnx.ModelProto, kept: set[str]) -> None:
    graph = model.graph
    names: dict[str, str] = {name: name for name in kept} | {"": ""}
    for number, node in enumerate(graph.node):
        for name in (*node.input, *node.output):
            names.setdefault(name, f"v{len(names)}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.name = f"n{number}"
        node.doc_string = ""
        node.ClearField("metadata_props")
    weights = sorted(
        (weight for weight in graph.initializer if weight.name in names), key=lambda w: _rank(names[w.name])
    )
    for weight in weights:
        weight.name = names[weight.name]
        weight.doc_string = ""
    copies = [type(weight).FromString(weight.SerializeToString(deterministic=True)) for weight in weights]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    for value in (*graph.input, *graph.output):
        value.ClearField("metadata_props")
        value.doc_string = ""
    graph.name = "dopascope"
    for owner, fields in (
        (graph, ("value_info", "metadata_props", "doc_string")),
        (model, ("metadata_props", "doc_string")),
    ):
        for field in fields:
            owner.ClearField(field)


def _rank(name: str) -> tuple[int, str]:
    return len(name), name


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not needed here."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
