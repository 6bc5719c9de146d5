"""Entries come back as they were put, damaged ones do not, and what killed runs left is swept."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dopascope.batch.cache import ABANDONED_S, Cache
from dopascope.batch.checking import Looking
from dopascope.batch.drive import drive

KEY = "ab" + 62 * "0"


def test_an_entry_comes_back_and_a_damaged_one_does_not(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, {"a": 1}, b"payload\nwith lines")
    assert cache.get(KEY) == ({"a": 1}, b"payload\nwith lines")
    place = tmp_path / "ab" / KEY
    whole = place.read_bytes()
    for n in range(len(whole)):
        place.write_bytes(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :])
        assert cache.get(KEY) is None
    place.write_bytes(whole[:-1])
    assert cache.get(KEY) is None
    assert cache.get("cd" + KEY[2:]) is None


def test_only_old_temporary_files_are_swept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, {}, b"")
    old, young = (tmp_path / "ab" / f".{name}-{KEY}" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    before = time.time() - ABANDONED_S - 10
    for path in (old, tmp_path / "ab" / KEY):
        os.utime(path, (before, before))
    assert list(drive([], Looking(tmp_path), cache=cache)) == []
    assert not old.exists()
    assert young.exists()
    assert cache.get(KEY) == ({}, b"")
    Cache(tmp_path / "none").sweep()
