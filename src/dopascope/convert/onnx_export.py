"""Torch networks as one self-contained ONNX file, the same bytes each time."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.bundle import runtime
from dopascope.errors import BundleError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

OPSET: Final = 18
"""Operator set of the files written: the exporter's own, known to every ONNX Runtime since 1.14."""
PARITY: Final = 1e-4
"""Largest difference of a probability between torch and ONNX Runtime that is accepted."""
ANSWER: Final = "answer"
HALVED: Final = 64
"""Fewer numbers than that may be such as must not become 0."""


@dataclass(frozen=True)
class Part:
    """Some columns of a group's answer `(B, networks, columns)`, as an output of its own."""

    start: int
    stop: int
    shape: tuple[int, ...]
    """Of one network's columns in the output `(B, networks, *shape)`."""


def to_onnx(
    groups: Mapping[str, Sequence[nn.Module]],
    example: Tensor,
    *,
    image: str,
    parts: Mapping[str, Mapping[str, Part]] | None = None,
    half: bool = False,
) -> bytes:
    """Groups of networks that see the same image as ONNX bytes.

    One network of each group is exported; its graph is repeated with the weights of the others, which saves most
    of the exporter's time and gives every network the same operators. A network that is alone in its group may also
    have weights that the exporter merges: it stands as it was exported.

    Args:
        groups: output name to its networks, all of one architecture, with one tensor `(B, ...)` as answer.
        example: an image `(B, ...)` with B of 2 or more; the first axis becomes the free batch.
        image: name of the input.
        parts: of some groups, outputs by name that stand in the place of the group's own.
        half: keep the weights in half the bytes (float16); they are spread to float32 again when the model is loaded.

    Returns:
        A model whose outputs are `(B, networks, ...)`. The same weights give the same bytes.

    Raises:
        BundleError: the exporter gives another kind of graph than can be repeated.
    """
    from onnx import TensorProto, helper

    exported: dict[type[nn.Module], onnx.ModelProto] = {}
    nodes, weights, outputs = [], [], []
    for output, members in groups.items():
        plain = [_without_batch_norm(net) for net in members]
        kind = type(plain[0])
        if kind not in exported:
            exported[kind] = _export(_with_distinct_weights(plain[0]), (example,), [image])
        single = len(plain) == 1 and not _every_weight_named(exported[kind].graph, plain[0])
        if single:
            exported[kind] = _export(plain[0], (example,), [image])
        more_nodes, more_weights, shape = _repeated(exported[kind].graph, plain, output, image, as_it_is=single)
        nodes += more_nodes
        weights += more_weights
        found = {output: shape}
        if parts and output in parts:
            more_nodes, more_weights, found = _divided(output, len(members), parts[output])
            nodes += more_nodes
            weights += more_weights
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, one) for name, one in found.items()]
    if not exported:
        raise BundleError("There is no network to export.", where="groups")
    if half:
        nodes, weights = _halved(nodes, weights)
    model = next(iter(exported.values()))
    for field, content in (("node", nodes), ("initializer", weights), ("output", outputs)):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(content)
    _plain(model, {image, *(one.name for one in model.graph.output)})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def one_to_onnx(net: nn.Module, examples: Mapping[str, Tensor], *, answer: str, half: bool = False) -> bytes:
    """A network with several inputs as ONNX bytes, the same bytes for the same weights.

    Args:
        net: in evaluation mode; takes the examples in this order and gives one tensor.
        examples: input name to an example `(B, ...)` with B of 2 or more; the first axis becomes the free batch.
        answer: name of the output.
        half: as `to_onnx`.

    Raises:
        BundleError: the exporter gives no model.
    """
    from onnx import helper

    model = _export(net, tuple(examples.values()), list(examples))
    nodes = [*model.graph.node, helper.make_node("Identity", [ANSWER], [answer])]
    weights = list(model.graph.initializer)
    if half:
        nodes, weights = _halved(nodes, weights)
    model.graph.output[0].name = answer
    for field, content in (("node", nodes), ("initializer", weights)):
        kept = [type(one).FromString(one.SerializeToString()) for one in content]
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(kept)
    _plain(model, {*examples, answer})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def probability(logits: Any) -> NDArray[np.float64]:
    """Logits as probabilities."""
    # On the scale of logits, rounding alone passes any fixed tolerance where a network is very sure.
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -30, 30)))


def check_parity(
    net: nn.Module,
    model: bytes,
    given: Sequence[Tensor],
    *,
    where: str,
    tolerance: float = PARITY,
    scale: Callable[[Any], NDArray[np.float64]] = probability,
) -> float:
    """Largest difference between the answers of `net` and of its ONNX form to the same inputs.

    Args:
        net: takes `given`; answers with one tensor or several.
        model: its ONNX form, inputs in this order.
        given: a tensor for each input.
        where: what an error names.
        tolerance: largest difference that is let through.
        scale: of an answer, before the difference is taken.

    Raises:
        BundleError: it is above `tolerance`.
    """
    import torch

    session = runtime.onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    found = session.run(None, {name: one.numpy() for name, one in zip(names, given, strict=True)})
    with torch.inference_mode():
        answer = net(*given)
    expected = (answer,) if isinstance(answer, torch.Tensor) else answer
    pairs = zip(found, expected, strict=True)
    worst = max(float(np.abs(scale(one) - scale(other.numpy())).max()) for one, other in pairs)
    if not worst <= tolerance:
        raise BundleError(
            "The converted model does not answer like the original.",
            where=where,
            found=f"difference {worst:.2e}",
            expected=f"<= {tolerance:.0e}",
            fix="Report this with the versions of torch and onnxruntime.",
        )
    return worst


def _without_batch_norm(net: nn.Module) -> nn.Module:
    """A copy in evaluation mode with each batch norm that follows a convolution folded into it.

    Any other becomes the scale and shift that it is: the exporter would fold it, and its parameters would be gone.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    plain = copy.deepcopy(net).eval()
    for block in [one for one in plain.modules() if isinstance(one, nn.Sequential)]:
        for at in range(len(block) - 1):
            first, second = block[at], block[at + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[at], block[at + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    for parent in [*plain.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, _scaled_and_shifted(child))
    return plain


def _scaled_and_shifted(norm: nn.BatchNorm2d) -> nn.Module:
    """A batch norm in evaluation mode, with timm's drop-out and activation where it has them."""
    import torch
    from torch import nn

    class Affine(nn.Module):
        """A scale and a shift of each channel."""

        def __init__(self, scale: Tensor, shift: Tensor) -> None:
            super().__init__()
            self.scale = nn.Parameter(scale[:, None, None])
            self.shift = nn.Parameter(shift[:, None, None])

        def forward(self, x: Tensor) -> Tensor:
            """(B, C, I, J), each channel by its own numbers."""
            return x * self.scale + self.shift

    if norm.running_mean is None or norm.running_var is None:
        return norm
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var.double() + norm.eps) * (1 if norm.weight is None else norm.weight)
        shift = (0 if norm.bias is None else norm.bias) - norm.running_mean * scale
    after = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    affine = Affine(scale.float(), shift.float())
    return nn.Sequential(affine, *after) if after else affine


def _with_distinct_weights(net: nn.Module) -> nn.Module:
    """A copy with random weights: the exporter merges weights that happen to be equal, and these never are."""
    import torch

    probe = copy.deepcopy(net)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in probe.state_dict().values():
            if value.dtype.is_floating_point:
                value.normal_(generator=generator)
    return probe


def _export(net: nn.Module, examples: tuple[Tensor, ...], names: list[str]) -> onnx.ModelProto:
    import torch

    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            net,
            examples,
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=[ANSWER],
            dynamic_shapes=tuple({0: batch} for _ in examples),
            verbose=False,
        )
    if program is None:
        raise BundleError("The torch exporter gave no model.", where=type(net).__name__)
    return program.model_proto


def _every_weight_named(graph: onnx.GraphProto, net: nn.Module) -> bool:
    return set(net.state_dict()) <= {weight.name for weight in graph.initializer}


def _repeated(
    graph: onnx.GraphProto, members: Sequence[nn.Module], output: str, image: str, *, as_it_is: bool
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[int | str]]:
    """Nodes and weights of all members, their answers stacked on axis 1 as `output`, and the shape of that."""
    from onnx import helper, numpy_helper

    trained = set() if as_it_is else set(members[0].state_dict())
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer if one.name not in trained}
    if not trained <= {weight.name for weight in graph.initializer}:
        raise BundleError(
            "The torch exporter has renamed or merged weights.",
            where=output,
            found=", ".join(sorted(trained - {weight.name for weight in graph.initializer})[:3]),
            expected="every parameter under its own name",
            fix="Install the tested versions; in dopascope's folder: pip install -e '.[learn]' -c constraints/cpu.txt",
        )
    nodes, weights, answers = [], [], []
    for number, member in enumerate(members):
        start = f"{output}.{number}."
        names = {image: image, "": ""} | {name: f"{output}.{name}" for name in constants}
        for node in graph.node:
            twin = type(node).FromString(node.SerializeToString())
            twin.input[:] = [names.get(name, start + name) for name in node.input]
            twin.output[:] = [start + name for name in node.output]
            nodes.append(twin)
        for name, value in member.state_dict().items():
            if name in trained:
                weights.append(numpy_helper.from_array(value.numpy(), start + name))
        nodes.append(helper.make_node("Unsqueeze", [start + ANSWER, f"{output}.axis"], [f"{start}row"]))
        answers.append(f"{start}row")
    nodes.append(helper.make_node("Concat", answers, [output], axis=1))
    shared = constants | {"axis": np.array([1], np.int64)}
    weights += [numpy_helper.from_array(value, f"{output}.{name}") for name, value in shared.items()]
    shape = [dim.dim_value for dim in graph.output[0].type.tensor_type.shape.dim[1:]]
    return nodes, weights, ["batch", len(members), *shape]


def _halved(
    nodes: Sequence[onnx.NodeProto], weights: Sequence[onnx.TensorProto]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The same with all but the smallest float32 weights as float16, each spread again by a cast before all else."""
    from onnx import TensorProto, helper, numpy_helper

    casts, kept = [], []
    for weight in weights:
        values = numpy_helper.to_array(weight)
        if weight.data_type == TensorProto.FLOAT and values.size >= HALVED:
            small = values.astype(np.float16)
            kept.append(numpy_helper.from_array(small, f"{weight.name}.half"))
            casts.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
        else:
            kept.append(weight)
    return [*casts, *nodes], kept


def _divided(
    output: str, networks: int, parts: Mapping[str, Part]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], dict[str, list[int | str]]]:
    """Nodes and constants that cut a group's answer into outputs, and their shapes."""
    from onnx import helper, numpy_helper

    nodes, constants = [], []
    shapes: dict[str, list[int | str]] = {}
    for name, part in parts.items():
        numbers = {"start": [part.start], "stop": [part.stop], "axis": [2], "shape": [0, networks, *part.shape]}
        inputs = {key: f"{output}.{name}.{key}" for key in numbers}
        constants += [numpy_helper.from_array(np.array(value, np.int64), inputs[key]) for key, value in numbers.items()]
        cut = f"{output}.{name}.cut"
        nodes.append(helper.make_node("Slice", [output, inputs["start"], inputs["stop"], inputs["axis"]], [cut]))
        nodes.append(helper.make_node("Reshape", [cut, inputs["shape"]], [name]))
        shapes[name] = ["batch", networks, *part.shape]
    return nodes, constants, shapes


def _plain(model: onnx.ModelProto, kept: set[str]) -> None:
    """Drop the exporter's notes, which hold paths of this machine, and number all names in order of use."""
    graph = model.graph
    names: dict[str, str] = {name: name for name in kept} | {"": ""}
    for number, node in enumerate(graph.node):
        for name in (*node.input, *node.output):
            names.setdefault(name, f"v{len(names):05}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.name = f"n{number}"
        node.doc_string = ""
        node.ClearField("metadata_props")
    weights = [type(one).FromString(one.SerializeToString()) for one in graph.initializer if one.name in names]
    for weight in weights:
        weight.name = names[weight.name]
        for field in ("doc_string", "metadata_props"):
            weight.ClearField(field)
    graph.ClearField("initializer")
    graph.initializer.extend(sorted(weights, key=lambda weight: weight.name))
    for owner in (*graph.input, *graph.output, graph, model):
        for field in ("doc_string", "metadata_props"):
            owner.ClearField(field)
    graph.ClearField("value_info")
    graph.name = "dopascope"


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
