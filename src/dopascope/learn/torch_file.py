"""Read weights from torch files without trusting them.

A torch file is a pickle, and a pickle is a program. `weights_only=True` refuses programs, but has itself been
broken (CVE-2025-32434, CVE-2026-24747), so the file is opened in a child process with bounded memory and time,
and only plain arrays come back, as npz without pickle.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import HostileError, MissingExtraError, UnreadableError, UsageError

MAX_FILE_BYTES: Final = 1 << 30
TIMEOUT_S: Final = 600
_LEARN_PACKAGES: Final = ("torch", "onnx", "onnxscript")


def require_learn(doing: str = "Converting torch weights", packages: Sequence[str] = _LEARN_PACKAGES) -> None:
    """Raise unless the packages that `doing` needs are installed; by default torch and its ONNX exporter.

    Raises:
        MissingExtraError: with the pip command.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{doing} needs an optional part of dopascope.",
            where="[learn]",
            found=f"not installed: {', '.join(missing)}",
            expected=", ".join(packages),
            fix="In the folder of dopascope: pip install -e '.[learn]' -c constraints/cpu.txt",
        )


def read_weights(paths: Sequence[Path], *, timeout_s: float = TIMEOUT_S) -> list[dict[str, NDArray[Any]]]:
    """For each torch file its parameters, name to array, read in one child process.

    Raises:
        MissingExtraError: torch is not installed.
        UsageError: a path is not a file.
        HostileError: a file is too large, or holds more than weights; nothing of it was executed here.
        UnreadableError: a file is damaged, or reading it did not end.
    """
    require_learn()
    for path in paths:
        _check_size(path)
    with tempfile.TemporaryDirectory(prefix="dopascope-weights-") as temporary:
        _run_child(Path(temporary), paths, timeout_s)
        return [_arrays(Path(temporary) / f"{number}.npz", path) for number, path in enumerate(paths)]


def _check_size(path: Path) -> None:
    if not path.is_file():
        raise UsageError("There is no such weights file.", where=path, fix="Check the spelling.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise HostileError(
            "The weights file is too large.",
            where=path,
            found=f"{path.stat().st_size} bytes",
            expected=f"<= {MAX_FILE_BYTES} bytes",
            fix="Check that this is the right file.",
        )


def _run_child(folder: Path, paths: Sequence[Path], timeout_s: float) -> None:
    # -P keeps working and script directory off the module path: a torch.py beside the weights is never imported.
    command = [sys.executable, "-P", str(Path(__file__).with_name("torch_child.py")), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    try:
        ended = subprocess.run(
            [*command, *(str(path.resolve()) for path in paths)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(
            "Reading the weights did not end.",
            where=paths[0].parent,
            found=f"> {timeout_s:g} s",
            fix="Do not use them.",
        ) from error
    if ended.returncode == 0:
        return
    told = _told(ended.stdout)
    if told is None:
        raise UnreadableError(
            "The process that reads the weights died.",
            where=paths[0].parent,
            found=f"exit status {ended.returncode}: " + ended.stderr.decode(errors="replace").strip()[-200:],
            expected="files of tensors",
            fix="Fetch the files again; if they stay unreadable, do not use them.",
        )
    kind = HostileError if told["refused"] else UnreadableError
    raise kind(
        "The file holds more than weights." if told["refused"] else "The weights file is damaged.",
        where=paths[int(told["file"])],
        found=str(told["reason"])[:300],
        expected="tensors by name, as torch.save(model.state_dict()) writes them",
        fix="Do not open it elsewhere; fetch the published file again.",
    )


def _told(stdout: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(stdout[-4096:].splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return told if isinstance(told, dict) and {"file", "refused", "reason"} <= told.keys() else None


def _arrays(path: Path, source: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise UnreadableError("The weights came back damaged.", where=source, found=error) from error
