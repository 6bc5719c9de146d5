"""What bytes a scan is, so that the same scan is known under any name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dopascope import provenance

HALVES: Final = (".img", ".img.gz", ".hdr", ".hdr.gz")
"""Files that belong to an image of the same name: the halves of a NIfTI pair."""
BESIDE: Final = (".json", *HALVES)
"""Files that belong to a scan of the same name: its facts, and those of the image."""


def content_of(path: Path, beside: Sequence[str] = BESIDE) -> str:
    """SHA-256 of a scan's bytes: of a folder, of the names and bytes of its files; of a file, with those beside it.

    Args:
        path: of the scan.
        beside: endings of the files beside it that count.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
        known = [(one.relative_to(path).as_posix(), provenance.sha256_of(one)) for one in files]
    else:
        stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        others = [(ending, path.with_name(f"{stem}{ending}")) for ending in beside]
        there = [(ending, one) for ending, one in others if one != path and one.is_file()]
        known = [("", provenance.sha256_of(path)), *((ending, provenance.sha256_of(one)) for ending, one in there)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
