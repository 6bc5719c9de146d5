from __future__ import annotations

import contextlib

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dopascope.bundle import onnx_file
from dopascope.errors import BundleError

pytestmark = pytest.mark.promise(
    "Nothing inside a bundle can execute, and a changed bundle is refused", asvs="1.5.2", threats="T12"
)


def refused(model: onnx.ModelProto, found: str) -> None:
    with pytest.raises(BundleError) as caught:
        onnx_file.check(model.SerializeToString(), where="here")
    assert found in caught.value.found
    assert caught.value.where == "here"


@pytest.fixture
def three(models) -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    shapes = {"acc": (5,), "sens": (5,), "spec": (2,)}
    weights = {name: rng.normal(0, 0.01, (models.side**2, shape[0])) for name, shape in shapes.items()}
    return models.linear(weights, {name: rng.normal(0, 1, shape) for name, shape in shapes.items()})


def test_facts_are_those_of_the_onnx_package(three: onnx.ModelProto) -> None:
    onnx.checker.check_model(three)
    facts = onnx_file.check(three.SerializeToString())
    assert facts == onnx_file.OnnxFacts(18, len(three.graph.node), ("acc", "sens", "spec"))


def test_weights_in_another_file_are_refused(three: onnx.ModelProto) -> None:
    weight = three.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    refused(three, "external data")
    weight.data_location = TensorProto.DEFAULT
    weight.external_data.add(key="location", value="../../etc/passwd")
    refused(three, "external data")


def test_external_data_hidden_in_an_attribute_is_refused(three: onnx.ModelProto) -> None:
    hidden = TensorProto(name="x", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    three.graph.node.append(helper.make_node("Constant", [], ["x"], value=hidden))
    refused(three, "external data")


def test_foreign_operators_functions_training_and_sparse_tensors_are_refused(three: onnx.ModelProto) -> None:
    def changed() -> onnx.ModelProto:
        copy = onnx.ModelProto()
        copy.CopyFrom(three)
        return copy

    foreign = changed()
    foreign.graph.node.append(helper.make_node("Run", ["acc"], ["y"], domain="evil.ops"))
    refused(foreign, "'Run' of the domain 'evil.ops'")
    function = changed()
    function.functions.append(helper.make_function("f", "f", ["x"], ["y"], [], [helper.make_opsetid("", 18)]))
    refused(function, "function")
    training = changed()
    training.training_info.add()
    refused(training, "training")
    sparse = changed()
    sparse.graph.sparse_initializer.add()
    refused(sparse, "sparse")
    attribute = changed()
    attribute.graph.node[0].attribute.add(name="a", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.SetInParent()
    refused(attribute, "sparse")


@pytest.mark.parametrize("operator", ["If", "Loop", "Scan"])
def test_control_flow_is_refused(three: onnx.ModelProto, operator: str) -> None:
    body = helper.make_graph([], "body", [], [])
    three.graph.node.append(helper.make_node(operator, ["c"], ["y"], body=body))
    refused(three, f"control flow ('{operator}')")


def test_no_graph_two_graphs_or_no_operator_set_is_no_model(three: onnx.ModelProto) -> None:
    data = three.SerializeToString()
    refused(onnx.ModelProto(), "0 graphs")
    with pytest.raises(BundleError, match="sound"):
        onnx_file.check(data + data)
    three.opset_import[0].domain = "other"
    refused(three, "operator set not stated")


def test_a_file_of_countless_fields_is_refused_at_once() -> None:
    with pytest.raises(BundleError) as caught:
        onnx_file.check(b"\x08\x01" * (onnx_file.MAX_FIELDS + 1))
    assert "fields" in caught.value.found


def test_every_truncation_gives_a_typed_error(five_votes: onnx.ModelProto) -> None:
    five_votes.graph.initializer[0].ClearField("raw_data")
    data = five_votes.SerializeToString()
    assert onnx_file.check(data).opset == 18
    refusals = 0
    for end in range(len(data)):
        try:
            onnx_file.check(data[:end])
        except BundleError:
            refusals += 1
    # Some cuts fall between two fields of ModelProto and leave a smaller sound model.
    assert refusals > 0.9 * len(data)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_bytes_give_facts_or_a_typed_error(data: st.DataObject) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 2])
    weight = numpy_helper.from_array(np.ones(3, np.float32), "w")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [], [weight])
    sound = bytearray(helper.make_model(graph).SerializeToString())
    for at, byte in data.draw(st.dictionaries(st.integers(0, len(sound) - 1), st.integers(0, 255), max_size=6)).items():
        sound[at] = byte
    tail = data.draw(st.binary(max_size=40))
    with contextlib.suppress(BundleError):
        assert onnx_file.check(bytes(sound) + tail).opset >= 1


def test_one_output_alone_answers_the_same_and_the_rest_is_gone(three: onnx.ModelProto, models) -> None:
    data = three.SerializeToString()
    images = np.random.default_rng(0).normal(0, 1, (3, 1, models.side, models.side)).astype(np.float32)
    whole = onnxruntime.InferenceSession(data).run(["sens"], {"image": images})[0]
    cut = onnx_file.keep_output(data, "sens")
    session = onnxruntime.InferenceSession(cut)
    assert [one.name for one in session.get_outputs()] == ["sens"]
    np.testing.assert_array_equal(session.run(None, {"image": images})[0], whole)
    left = onnx.load_from_string(cut)
    assert [node.output[0] for node in left.graph.node] == ["flat", "sens_flat", "sens"]
    assert {weight.name for weight in left.graph.initializer} == {"sens_w", "sens_b", "sens_shape"}
