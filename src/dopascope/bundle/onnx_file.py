"""Look into an ONNX file before anything loads it, and cut a model down to one output.

Reads the protobuf wire format (protobuf.dev, "Encoding") of the messages in onnx.proto: ModelProto, GraphProto,
NodeProto, AttributeProto, TensorProto. The onnx package is not needed to read a scan, and a file that points to
other files, brings its own operators or may loop for ever is refused before ONNX Runtime sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dopascope.errors import BundleError

MAX_FIELDS: Final = 500_000
"""Most protobuf fields looked at: a file made of millions of tiny fields would keep Python busy for minutes."""

# Field numbers of onnx.proto (IR version 10).
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODES, _GRAPH_TENSORS, _GRAPH_OUTPUTS, _GRAPH_VALUES, _GRAPH_SPARSE = 1, 5, 12, 13, 15
_NODE_INPUTS, _NODE_OUTPUTS, _NODE_TYPE, _NODE_ATTRIBUTES, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_VALUE_NAME = 1
_STANDARD_DOMAINS = ("", "ai.onnx")


class _Field(NamedTuple):
    number: int
    value: int | memoryview
    """The number of a varint field; the bytes of all others."""
    raw: memoryview
    """The whole field, tag included."""

    def message(self) -> memoryview:
        if isinstance(self.value, int):
            raise _damaged(f"field {self.number} is a number where a message belongs")
        return self.value

    def text(self) -> str:
        return bytes(self.message()).decode("utf-8", "replace")


@dataclass(frozen=True)
class OnnxFacts:
    """What a sound model file says of itself."""

    opset: int
    """Version of the standard operators."""
    nodes: int
    outputs: tuple[str, ...]


def check(model: bytes, *, where: object = "model.onnx") -> OnnxFacts:
    """The facts of a self-contained model of standard operators without subgraphs.

    Raises:
        BundleError: damaged protobuf, external data, operators of another domain, local functions,
            training graphs, sparse tensors, or control flow, whose run time cannot be bounded.
    """
    try:
        return _check(model)
    except BundleError as error:
        error.where = str(where)
        raise


def _check(model: bytes) -> OnnxFacts:
    budget = _Budget()
    opset, nodes, graphs, outputs = 0, 0, 0, []
    for field in budget.fields(memoryview(model)):
        if field.number == _MODEL_OPSETS:
            opset = max(opset, _standard_opset(budget, field.message()))
        elif field.number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise _refused("a training graph or a function of its own")
        elif field.number == _MODEL_GRAPH:
            graphs += 1
            for part in budget.fields(field.message()):
                if part.number == _GRAPH_NODES:
                    nodes += 1
                    _check_node(budget, part.message())
                elif part.number == _GRAPH_TENSORS:
                    _check_tensor(budget, part.message())
                elif part.number == _GRAPH_SPARSE:
                    raise _refused("a sparse tensor")
                elif part.number == _GRAPH_OUTPUTS:
                    outputs.append(_name(budget, part.message(), _VALUE_NAME))
    if graphs != 1 or not opset:
        raise _damaged(f"{graphs} graphs, operator set {opset or 'not stated'}")
    return OnnxFacts(opset, nodes, tuple(outputs))


def keep_output(model: bytes, output: str) -> bytes:
    """The same model with `output` as its only output, and without the nodes and tensors only others need.

    ONNX Runtime computes every node of a graph, asked for or not; an evidence map that needs five of fifteen
    networks is three times faster with the rest cut away. `model` has passed `check`.
    """
    budget = _Budget()
    top = list(budget.fields(memoryview(model)))
    graph = next(field for field in top if field.number == _MODEL_GRAPH)
    parts = list(budget.fields(graph.message()))
    needed = _needed_names(budget, parts, output)

    def kept(part: _Field) -> bool:
        if part.number == _GRAPH_NODES:
            return bool(needed.intersection(_names(budget, part.message(), _NODE_OUTPUTS)))
        if part.number == _GRAPH_TENSORS:
            return _name(budget, part.message(), _TENSOR_NAME) in needed
        if part.number == _GRAPH_OUTPUTS:
            return _name(budget, part.message(), _VALUE_NAME) == output
        return part.number != _GRAPH_VALUES  # type notes, also of nodes that are gone

    content = b"".join(part.raw for part in parts if kept(part))
    cut = _varint(_MODEL_GRAPH << 3 | 2) + _varint(len(content)) + content
    return b"".join(cut if field is graph else bytes(field.raw) for field in top)


def _needed_names(budget: _Budget, parts: Sequence[_Field], output: str) -> set[str]:
    needed = {output}
    # Nodes are stored in topological order (onnx.proto, GraphProto.node), so one pass from the end is enough.
    for part in reversed([part for part in parts if part.number == _GRAPH_NODES]):
        node = part.message()
        if needed.intersection(_names(budget, node, _NODE_OUTPUTS)):
            needed.update(_names(budget, node, _NODE_INPUTS))
    return needed


def _check_node(budget: _Budget, node: memoryview) -> None:
    for field in budget.fields(node):
        if field.number == _NODE_DOMAIN and field.text() not in _STANDARD_DOMAINS:
            kind = _name(budget, node, _NODE_TYPE)
            raise _refused(f"the operator {kind!r} of the domain {field.text()!r}")
        if field.number == _NODE_ATTRIBUTES:
            for part in budget.fields(field.message()):
                if part.number in _ATTRIBUTE_TENSORS:
                    _check_tensor(budget, part.message())
                elif part.number in _ATTRIBUTE_GRAPHS:
                    raise _refused(f"control flow ({_name(budget, node, _NODE_TYPE)!r})")
                elif part.number in _ATTRIBUTE_SPARSE:
                    raise _refused("a sparse tensor")


def _check_tensor(budget: _Budget, tensor: memoryview) -> None:
    for field in budget.fields(tensor):
        if field.number == _TENSOR_EXTERNAL or (field.number == _TENSOR_LOCATION and field.value != 0):
            raise _refused("weights in another file (external data)")


def _standard_opset(budget: _Budget, message: memoryview) -> int:
    domain, version = "", 0
    for field in budget.fields(message):
        if field.number == _OPSET_DOMAIN:
            domain = field.text()
        elif field.number == _OPSET_VERSION and isinstance(field.value, int):
            version = field.value
    return version if domain in _STANDARD_DOMAINS else 0


def _names(budget: _Budget, message: memoryview, number: int) -> list[str]:
    return [field.text() for field in budget.fields(message) if field.number == number]


def _name(budget: _Budget, message: memoryview, number: int) -> str:
    return "".join(_names(budget, message, number)[-1:])


class _Budget:
    """Counts the fields of one file, however they are nested."""

    def __init__(self) -> None:
        self.left = MAX_FIELDS

    def fields(self, data: memoryview) -> Iterator[_Field]:
        """The fields of one message, in stored order."""
        at = 0
        while at < len(data):
            self.left -= 1
            if self.left < 0:
                raise _refused(f"more than {MAX_FIELDS} fields")
            start = at
            tag, at = _read_varint(data, at)
            number, wire = tag >> 3, tag & 7
            value: int | memoryview
            if wire == 0:
                value, at = _read_varint(data, at)
            else:
                size, at = _size(data, at, wire)
                if size > len(data) - at:
                    raise _damaged(f"field {number} claims {size} bytes, {len(data) - at} are there")
                value, at = data[at : at + size], at + size
            yield _Field(number, value, data[start:at])


def _size(data: memoryview, at: int, wire: int) -> tuple[int, int]:
    if wire == 2:
        return _read_varint(data, at)
    if wire in (1, 5):
        return (8 if wire == 1 else 4), at
    raise _damaged(f"wire type {wire}")


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _damaged("it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _damaged("a number of more than ten bytes")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _damaged(found: str) -> BundleError:
    return BundleError(
        "The model is not a sound ONNX file.",
        found=found,
        expected="an ONNX model (protobuf) with one graph",
        fix="Add the model again from where it came from.",
    )


def _refused(found: str) -> BundleError:
    return BundleError(
        "The model holds something that a bundle may not hold.",
        found=found,
        expected="one graph of standard ONNX operators with all weights inside the file",
        fix="Export the model again as plain inference, weights embedded, without loops or custom operators.",
    )
