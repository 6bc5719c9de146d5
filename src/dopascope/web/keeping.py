"""Backup and restore: one zip of everything, made while the app works, and proved before it is used."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from dopascope import provenance
from dopascope.errors import HostileError, UnreadableError, UsageError
from dopascope.web.settings import CHANGES_FILE, SECRETS_FILE, Settings

FORM: Final = "dopascope.backup/1"
MANIFEST: Final = "manifest.json"
DATABASE: Final = "dopascope.sqlite"
BLOCK: Final = 1 << 20
PARTS: Final = ("uploads", "readings")
ALONE: Final = (SECRETS_FILE, CHANGES_FILE)


def backup(settings: Settings, target: Path) -> Path:
    """Write database, secrets, uploads and readings into a zip, whole or not at all; the app may go on meanwhile.

    The database is copied first, in one moment; files that it names are never changed, so they are whole.

    Raises:
        UsageError: there is no installation, it has another database than SQLite, or the target exists.
        OSError: the disk refuses.
    """
    source = settings.data / DATABASE
    if settings.database or not source.is_file():
        raise UsageError(
            "There is no database file to copy.",
            where=settings.data,
            found=settings.database or "no dopascope.sqlite",
            expected="the data folder of an installation with SQLite",
            fix="Name it with --data; a PostgreSQL database is saved with pg_dump, and the data folder beside it.",
        )
    if target.exists():
        raise UsageError("The target exists already.", where=target, fix="Name a new file.")
    with provenance.replacing(target, private=True) as temporary, tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / DATABASE
        _copied(source, copy)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            digests = {name: _added(archive, path, name) for name, path in _parts(settings, copy)}
            archive.writestr(MANIFEST, json.dumps({"form": FORM, "files": digests}, indent=1))
    return target


def restore(source: Path, data: Path) -> int:
    """Unpack a backup into a new data folder, after every digest was compared; returns how many files.

    Raises:
        UsageError: `data` exists and is not empty.
        UnreadableError: the file is no backup, or damaged.
        HostileError: it names files outside of the folder.
    """
    if data.exists() and any(data.iterdir()):
        raise UsageError("The folder is not empty.", where=data, fix="Name a new folder with --data.")
    try:
        with zipfile.ZipFile(source) as archive:
            files = _manifest(archive, source)
            changed = next((name for name, digest in files.items() if _digest(archive, name) != digest), None)
    except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
        told = "The backup cannot be read."
        raise UnreadableError(told, where=source, found=error, fix="Use another one.") from error
    if changed is not None:
        raise UnreadableError("A file of the backup was changed.", where=f"{source}: {changed}", fix="Use another one.")
    with zipfile.ZipFile(source) as archive:
        for name in files:
            _unpacked(archive, name, data / name)
    for folder in (data, *(data / part for part in PARTS)):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
    return len(files)


def _copied(source: Path, target: Path) -> None:
    """A copy as the database is at one moment, by SQLite's own means."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as one, sqlite3.connect(target) as other:
        one.backup(other)
    one.close()
    other.close()


def _parts(settings: Settings, copy: Path) -> list[tuple[str, Path]]:
    found = [(DATABASE, copy), *((name, settings.data / name) for name in ALONE if (settings.data / name).is_file())]
    for part in PARTS:
        files = sorted(path for path in (settings.data / part).rglob("*") if path.is_file())
        found += [(path.relative_to(settings.data).as_posix(), path) for path in files]
    return found


def _added(archive: zipfile.ZipFile, path: Path, name: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as source, archive.open(name, "w", force_zip64=True) as target:
        while block := source.read(BLOCK):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def _manifest(archive: zipfile.ZipFile, source: Path) -> dict[str, str]:
    try:
        told = json.loads(archive.read(MANIFEST))
        files: dict[str, str] = {str(name): str(digest) for name, digest in told["files"].items()}
        known = told["form"] == FORM
    except (KeyError, ValueError, TypeError, AttributeError):
        files, known = {}, False
    if not known:
        raise UnreadableError(
            "This is not a backup of dopascope.",
            where=source,
            expected=f"a zip with {MANIFEST}",
            fix="Name another file.",
        )
    for name in files:
        steps = name.split("/")
        ours = name in (DATABASE, *ALONE) or (steps[0] in PARTS and len(steps) > 1)
        if not ours or any(step in ("", ".", "..") or "\\" in step or "\x00" in step for step in steps):
            raise HostileError(
                "The backup names a file outside of its folder.", where=source, found=name, fix="Do not use this file."
            )
    return files


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with archive.open(name) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _unpacked(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    with (
        provenance.replacing(target, private=True) as temporary,
        archive.open(name) as source,
        open(temporary, "wb") as stream,
    ):
        while block := source.read(BLOCK):
            stream.write(block)
