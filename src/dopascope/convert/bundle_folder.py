"""The folder of a bundle, written whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from dopascope import __version__
from dopascope.bundle import Bundle, spec
from dopascope.bundle.spec import BundleSpec
from dopascope.errors import UsageError


def check_new(target: Path) -> None:
    """See that nothing would be overwritten.

    Raises:
        UsageError: `target` exists.
    """
    if target.exists():
        raise UsageError("The target exists already.", where=target, found="a file or folder", fix="Name a new folder.")


def write(target: Path, content: Mapping[str, bytes], described: Callable[[dict[str, str]], BundleSpec]) -> Path:
    """Write a bundle into the new folder `target`, which appears once the bundle has been loaded; returns it.

    Args:
        target: must not exist.
        content: file name to bytes, all but the description.
        described: the description, of file names and their SHA-256.

    Raises:
        UsageError: `target` exists.
        BundleError: the parts do not make a bundle.
    """
    check_new(target)
    told = described({name: hashlib.sha256(data).hexdigest() for name, data in content.items()})
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=target.parent) as temporary:
        made = Path(temporary) / target.name
        made.mkdir()
        for name, data in {**content, spec.SPEC_FILE: told.to_json().encode()}.items():
            (made / name).write_bytes(data)
        Bundle.load(made)
        made.rename(target)
    return target


def made_by() -> dict[str, str]:
    """The versions that a converted network depends on."""
    return {"dopascope": __version__} | {name: version(name) for name in ("torch", "onnx", "onnxscript")}
