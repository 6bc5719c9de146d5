"""What was done, with what, on which bytes: hashes, versions, and writing that leaves no half file."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20

REPORTED_PACKAGES: Final = ("numpy", "scipy", "nibabel", "pydicom", "SimpleITK", "onnxruntime", "matplotlib", "isal")
"""Packages whose versions can change a number in a reading, or a byte of what is written."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def software() -> dict[str, str]:
    """Versions of dopascope, Python, the platform and the packages that can change a number or a byte."""
    found = {"dopascope": _version("dopascope"), "python": platform.python_version(), "platform": sys.platform}
    return found | {name: _version(name) for name in REPORTED_PACKAGES}


@cache  # looking a version up takes a millisecond
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def now() -> str:
    """The present moment as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends well, and vanishes when not.

    The temporary name keeps the suffixes, since writers choose the format by them. A private file can be read by this
    account alone, at every moment.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix="-" + path.name, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if not private:
            _use_default_mode(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Make `folder` where it is missing and try whether files can be written there; leaves no file.

    Raises:
        OSError: they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder):
        pass


def _use_default_mode(path: Path) -> None:
    # mkstemp makes 0600; what we write should have the mode an ordinary open() gives.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
