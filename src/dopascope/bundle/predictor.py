"""A saved predictor, loaded and run by ONNX Runtime. No torch, and nothing in the folder is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.bundle import onnx_file, runtime, spec, view
from dopascope.bundle.answer import Prediction, answer
from dopascope.bundle.spec import BundleSpec
from dopascope.errors import BundleError, UsageError
from dopascope.volume import Volume

MAX_THREADS: Final = 64
BATCH: Final = 8
"""Images run at once. On a core, more is no faster, and less memory is held."""


class Bundle:
    """One saved predictor, ready to answer. Build it with `Bundle.load`."""

    def __init__(self, folder: Path, loaded: BundleSpec, model: bytes, threads: int) -> None:
        self.folder = folder
        self.spec = loaded
        self._model = model
        self._threads = threads
        self._session = _session(model, threads, where=folder / spec.MODEL_FILE)
        _check_signature(self._session, loaded, where=folder / spec.MODEL_FILE)

    @classmethod
    def load(cls, folder: str | Path, *, threads: int = 1) -> Bundle:
        """The bundle in `folder`, after every check.

        Args:
            folder: holds bundle.json, model.onnx and MODEL_CARD.md.
            threads: cores that ONNX Runtime may use; the answer is the same for one number of threads.

        Raises:
            BundleError: a part is missing, unknown, changed (sha256) or too large, or the model is damaged, is
                not self-contained, or does not have the inputs and outputs that bundle.json states.
            UsageError: `threads` is not 1 to 64.
        """
        if not 1 <= threads <= MAX_THREADS:
            raise UsageError(
                "This number of threads cannot be meant.",
                where="threads",
                found=threads,
                expected=f"1 to {MAX_THREADS}",
            )
        folder = Path(folder)
        loaded = spec.read(folder)
        content = verified_files(folder, loaded)
        where = folder / spec.MODEL_FILE
        facts = onnx_file.check(content[spec.MODEL_FILE], where=where)
        if facts.opset != loaded.opset:
            raise _mismatch(where, f"operator set {facts.opset}", f"operator set {loaded.opset}")
        view.check_known(loaded.input, where=folder / spec.SPEC_FILE)
        return cls(folder, loaded, content[spec.MODEL_FILE], threads)

    @property
    def id(self) -> str:
        """The bundle's name, such as `dat-spect-ud`."""
        return self.spec.id

    @property
    def model_sha256(self) -> str:
        """SHA-256 of model.onnx."""
        return self.spec.files[spec.MODEL_FILE]

    def run(self, views: ArrayLike) -> dict[str, NDArray[np.float32]]:
        """Raw outputs for views `(B, I, J)` in units of the intensity reference: output name to `(B, ...)`.

        Raises:
            BundleError: the model fails on them, or answers with values that are not finite.
        """
        return self._batched(self._session, list(self.spec.outputs), views)

    def run_one_output(self, output: str, views: ArrayLike) -> NDArray[np.float32]:
        """`run` for a single output, by a model from which all that only others need is cut away."""
        session = self._session if list(self.spec.outputs) == [output] else self._sessions[output]
        return self._batched(session, [output], views)[output]

    def differences(self, views: ArrayLike, present: ArrayLike, wanted: ArrayLike) -> NDArray[np.float32]:
        """What an editor adds to views `(B, I, J)` so that they have other values; rows that are alike get exactly 0.

        Args:
            views: in units of the intensity reference.
            present: (B, values) that they have.
            wanted: (B, values) that they shall have.

        Raises:
            UsageError: the bundle is not an editor.
            BundleError: as `run`.
        """
        rule = self.spec.edit
        if rule is None:
            raise UsageError(
                "This bundle does not change pictures.",
                where=self.id,
                found=self.spec.kind,
                expected="editor",
                fix="Choose an editor (dopascope models list).",
            )
        beside = {rule.present: np.asarray(present, np.float32), rule.wanted: np.asarray(wanted, np.float32)}
        found = self._batched(self._session, [rule.output], views, beside)[rule.output]
        return view.put_back(found, self.spec.input)

    def predict(self, volume_mni: Volume) -> Prediction:
        """The answer for a scan with raw intensities on `MNI_2MM`.

        Raises:
            UsageError: the volume is not on `MNI_2MM`, or the bundle is not a classifier.
            UnsuitableError: the scan cannot be scaled, or has values that are not finite.
            BundleError: the model fails.
        """
        self.require_classifier()
        return self.predict_view(view.take(volume_mni, self.spec.input))

    def predict_view(self, picture: ArrayLike) -> Prediction:
        """The answer for a view `(I, J)` in units of the intensity reference, x from left to right (RAS).

        Raises:
            UsageError: the bundle is not a classifier.
            UnsuitableError: another shape, or values that are not finite.
            BundleError: the model fails.
        """
        self.require_classifier()
        outputs = self.run(view.checked(picture, self.spec.input)[None])
        return answer({name: values[0] for name, values in outputs.items()}, self.spec)

    def require_classifier(self) -> None:
        """Raise UsageError for a segmenter or an editor."""
        if self.spec.kind != "classifier":
            raise UsageError(
                "This bundle does not classify scans.",
                where=self.id,
                found=self.spec.kind,
                expected="classifier",
                fix="Choose a classifier (dopascope models list).",
            )

    @cached_property
    def _sessions(self) -> Mapping[str, Any]:
        return _SessionsByOutput(self._model, self._threads, self.folder / spec.MODEL_FILE)

    def _batched(
        self, session: Any, names: list[str], views: ArrayLike, beside: Mapping[str, NDArray[np.float32]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        given = {self.spec.input.name: view.prepare(np.asarray(views, np.float32), self.spec.input), **(beside or {})}
        count = len(given[self.spec.input.name])
        parts = [
            self._run(session, names, {name: values[at : at + BATCH] for name, values in given.items()})
            for at in range(0, count, BATCH)
        ]
        joined = {name: np.concatenate([part[index] for part in parts]) for index, name in enumerate(names)}
        for name, values in joined.items():
            if not np.isfinite(values).all():
                raise BundleError(
                    "The model's answer is not finite.",
                    where=f"{self.id}: {name}",
                    expected="finite numbers",
                    fix="Check the scan (dopascope inspect); if it is sound, do not use this bundle.",
                )
        return joined

    def _run(self, session: Any, names: list[str], given: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        try:
            outputs: list[NDArray[np.float32]] = session.run(names, given)
        except Exception as error:  # ONNX Runtime raises its own kinds, which its C++ side may extend
            raise BundleError("The model fails on this image.", where=self.id, found=_first_line(error)) from error
        return outputs


class _SessionsByOutput(dict[str, Any]):
    """Sessions of the model cut down to one output, each made when first asked for."""

    def __init__(self, model: bytes, threads: int, where: Path) -> None:
        super().__init__()
        self._parts = (model, threads, where)

    def __missing__(self, output: str) -> Any:
        model, threads, where = self._parts
        self[output] = _session(onnx_file.keep_output(model, output), threads, where=where)
        return self[output]


def verified_files(folder: Path, loaded: BundleSpec) -> dict[str, bytes]:
    """The bytes of every file that the bundle lists, after comparing their sha256.

    What is hashed is what is used: no file is read a second time.

    Raises:
        BundleError: a file is missing, is a link or no file, is too large, or was changed.
    """
    content = {}
    for name, expected in loaded.files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(
                "A file of the bundle is missing.",
                where=path,
                found="a link or folder" if path.exists() or path.is_symlink() else "nothing",
                expected="a plain file",
                fix="Add the bundle again from where it came from.",
            )
        with open(path, "rb") as stream:
            data = stream.read(spec.MAX_MODEL_BYTES + 1)
        found = hashlib.sha256(data).hexdigest()
        if len(data) > spec.MAX_MODEL_BYTES or found != expected:
            large = len(data) > spec.MAX_MODEL_BYTES
            raise BundleError(
                "A file of the bundle is too large." if large else "A file of the bundle was changed.",
                where=path,
                found=f"> {spec.MAX_MODEL_BYTES} bytes" if large else f"sha256 {found}",
                expected=f"<= {spec.MAX_MODEL_BYTES} bytes" if large else f"sha256 {expected}",
                fix="Do not use it; add the bundle again from where it came from.",
            )
        content[name] = data
    return content


def _session(model: bytes, threads: int, *, where: Path) -> Any:
    onnxruntime = runtime.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as in _run
        raise BundleError(
            "ONNX Runtime cannot load the model.",
            where=where,
            found=_first_line(error),
            expected=f"a model that onnxruntime {onnxruntime.__version__} knows",
            fix="Update onnxruntime, or export the model with an older operator set.",
        ) from error


def _check_signature(session: Any, loaded: BundleSpec, *, where: Path) -> None:
    stated_in = {loaded.input.name: loaded.input.shape}
    if loaded.edit is not None:
        stated_in |= {name: [len(loaded.edit.values)] for name in (loaded.edit.present, loaded.edit.wanted)}
    stated_out = {name: output.shape for name, output in loaded.outputs.items()}
    for found, stated in ((session.get_inputs(), stated_in), (session.get_outputs(), stated_out)):
        shapes = {one.name: list(one.shape[1:]) for one in found}
        floats = all(one.type == "tensor(float)" for one in found)
        any_batch = all(one.shape and not isinstance(one.shape[0], int) for one in found)
        if shapes != stated or not floats or not any_batch:
            told = {one.name: f"{one.type} {one.shape}" for one in found}
            raise _mismatch(where, json.dumps(told), json.dumps(stated) + " after a free batch axis, float")


def _mismatch(where: Path, found: str, expected: str) -> BundleError:
    return BundleError(
        "model.onnx is not the model that bundle.json describes.",
        where=where,
        found=found,
        expected=expected,
        fix="Get the bundle again from where it came from.",
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
