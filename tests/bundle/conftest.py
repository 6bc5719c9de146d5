"""Bundles made by code: a linear model whose every answer has a closed form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dopascope.bundle import Bundle
from dopascope.volume import MNI_2MM, Volume

SIDE = 72


def linear_model(weights: dict[str, np.ndarray], biases: dict[str, np.ndarray], opset: int = 18) -> onnx.ModelProto:
    """Each output is `flat(image) @ weights[name] + biases[name]`, reshaped to the shape of the bias."""
    nodes = [helper.make_node("Flatten", ["image"], ["flat"], axis=1)]
    tensors, outputs = [], []
    for name, weight in weights.items():
        shape = np.array([-1, *biases[name].shape], np.int64)
        nodes.append(helper.make_node("Gemm", ["flat", f"{name}_w", f"{name}_b"], [f"{name}_flat"]))
        nodes.append(helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [name]))
        tensors += [
            numpy_helper.from_array(weight.astype(np.float32), f"{name}_w"),
            numpy_helper.from_array(biases[name].astype(np.float32).ravel(), f"{name}_b"),
            numpy_helper.from_array(shape, f"{name}_shape"),
        ]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *biases[name].shape]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])
    graph = helper.make_graph(nodes, "linear", [image], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def spec_of(model: onnx.ModelProto, **changes: Any) -> dict[str, Any]:
    """A bundle.json for a linear model with votes; `changes` replace whole fields."""
    outputs = {
        one.name: {
            "role": "logit",
            "shape": [dim.dim_value for dim in one.type.tensor_type.shape.dim[1:]],
            "meaning": "logit of 'reduced'",
        }
        for one in model.graph.output
    }
    first = next(iter(outputs))
    members = outputs[first]["shape"][0]
    spec = {
        "schema": "dopascope.bundle/1",
        "id": "linear",
        "kind": "classifier",
        "title": "A linear model",
        "modality": "dat",
        "input": {
            "name": "image",
            "view": "slab_12mm",
            "intensity": "p75_nonstriatal",
            "flip_x": True,
            "crop": [[9, 81], [29, 101]],
            "clip": None,
            "mean": 0.0,
            "sd": 1.0,
            "axes": "(batch, 1, x right to left, y back to front)",
            "shape": [1, SIDE, SIDE],
        },
        "outputs": outputs,
        "vote": {
            "groups": {first: {"threshold": 0.5, "votes_needed": (members + 1) // 2}},
            "decides": first,
            "agree": [],
            "probability": first,
            "source": "made for a test",
        },
        "calibration_reason": "made for a test",
        "opset": model.opset_import[0].version,
        "training": {"summary": "nothing", "details": ""},
        "licence": {"spdx": "MIT", "holder": "nobody", "file": None},
        "papers": [],
        "laterality": "x right to left",
        "limits": ["a test"],
        "files": {},
        "sources": {},
        "made_by": {"test": "1"},
    }
    return spec | changes


GRADING: dict[str, Any] = {
    "vote": None,
    "grades": {
        "output": "grades",
        "regions": ["putamen_left"],
        "grades": ["normal", "reduced"],
        "reduced_from": "reduced",
        "source": "a test",
    },
    "outputs": {"grades": {"role": "grade_logit", "shape": [1, 1, 2], "meaning": "grades"}},
}
"""Fields of a bundle that grades one region and votes on nothing."""


def write_bundle(folder: Path, model: onnx.ModelProto, spec: dict[str, Any]) -> Path:
    """A bundle folder with right hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "MODEL_CARD.md").write_text("# A linear model\n", encoding="utf-8")
    listed = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.onnx", "MODEL_CARD.md")
    }
    (folder / "bundle.json").write_text(json.dumps(spec | {"files": listed}), encoding="utf-8")
    return folder


@pytest.fixture
def five_votes() -> onnx.ModelProto:
    """Five networks, each the mean of the image times a gain of its own, minus 1."""
    gains = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    return linear_model({"acc": np.ones((SIDE * SIDE, 1)) * gains / SIDE**2}, {"acc": np.full(5, -1.0)})


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle folder: `make_folder(model, **changed_fields)`."""

    def make(model: onnx.ModelProto, *, name: str = "linear", **changes: Any) -> Path:
        return write_bundle(tmp_path / name, model, spec_of(model, **changes))

    return make


@pytest.fixture
def make_bundle(make_folder: Callable[..., Path]) -> Callable[..., Bundle]:
    """Write and load a bundle: `make_bundle(model, **changed_fields)`."""
    return lambda model, **changes: Bundle.load(make_folder(model, **changes))


@pytest.fixture
def models() -> Any:
    """The builders above, for tests that need another model."""
    from types import SimpleNamespace

    return SimpleNamespace(linear=linear_model, spec=spec_of, write=write_bundle, side=SIDE, grading=GRADING)


@pytest.fixture
def scan() -> Volume:
    """A lopsided head on the MNI grid: a bright left half, a dark right one, a hot left striatum."""
    from dopascope import atlas

    x = MNI_2MM.centres_mm()[..., 0]
    data = atlas.tissue("brain").data * np.where(x < 0, 120.0, 90.0)
    data = data + 250.0 * atlas.striatum_labels().mask("caudate_left")
    return Volume(data, MNI_2MM)
