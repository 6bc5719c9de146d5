"""The child process that opens torch files: `python -P torch_child.py FOLDER FILE...`.

It imports nothing of dopascope, limits itself first, then loads each file with `weights_only=True` and writes
its tensors as `FOLDER/<n>.npz`. What it finds wrong goes to stdout as one line of JSON; the parent
(torch_file.py) turns it into an error.
"""

from __future__ import annotations

import json
import pickle
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

MAX_MEMORY_BYTES: Final = 8 << 30
MAX_CPU_S: Final = 300
MAX_OUT_BYTES: Final = 2 << 30


def limit_self() -> None:
    """Bound memory, processor time and file size of this process, and forbid core dumps (where the system can)."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    bounds = {
        resource.RLIMIT_DATA: MAX_MEMORY_BYTES,
        resource.RLIMIT_CPU: MAX_CPU_S,
        resource.RLIMIT_FSIZE: MAX_OUT_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        _, most = resource.getrlimit(kind)
        wanted = bound if most == resource.RLIM_INFINITY else min(bound, most)
        resource.setrlimit(kind, (wanted, wanted))


def tensors_of(path: Path) -> dict[str, Any]:
    """Name to numpy array of the state dict in `path`, which may be nested under `state_dict`.

    Raises:
        ValueError: the file holds anything but tensors by name.
        pickle.UnpicklingError, RuntimeError, EOFError: torch refuses it.
    """
    import torch

    _check_inflated(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"a {type(content).__name__} instead of weights by name")
    odd = [repr(name) for name, value in content.items() if not (isinstance(name, str) and torch.is_tensor(value))]
    if odd:
        raise ValueError(f"entries that are not tensors: {', '.join(odd[:3])}")
    return {name: value.detach().to_dense().cpu().contiguous().numpy() for name, value in content.items()}


def _check_inflated(path: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
        if claimed > MAX_OUT_BYTES:
            raise ValueError(f"weights of {claimed} bytes; at most {MAX_OUT_BYTES} are accepted")


def main(arguments: list[str]) -> int:
    """Convert each file; stop at the first that is refused. Returns the exit status."""
    limit_self()
    import numpy as np

    folder, *files = arguments
    for number, name in enumerate(files):
        try:
            tensors = tensors_of(Path(name))
            np.savez(Path(folder) / f"{number}.npz", **tensors)
        except Exception as error:
            refused = isinstance(error, pickle.UnpicklingError | ValueError) or "weights_only" in str(error)
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            print(json.dumps({"file": number, "refused": refused, "reason": reason}))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
