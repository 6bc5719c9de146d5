"""The models of this installation: list, add, inspect, export, remove.

A models directory holds one folder for each bundle, named by its id. Adding copies the files that bundle.json
lists and nothing else, after every check that loading makes; a folder appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dopascope import provenance
from dopascope.bundle import fetch, spec
from dopascope.bundle.predictor import Bundle, verified_files
from dopascope.bundle.spec import BundleSpec
from dopascope.errors import BundleError, UsageError

DEFAULT_READERS: Final = ("dat-spect-ud", "dat-spect-robust", "dat-spect-regional")
"""The bundles that `read` uses by default once they are installed, in this order."""
SHIPPED_READER: Final = "dopascope-dat"
"""The bundle that comes with dopascope: `read` asks it where none of the default readers is installed."""
SHIPPED: Final = Path(__file__).parent / "shipped"

_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class InstalledModel:
    """One installed bundle, its hashes checked."""

    id: str
    kind: str
    title: str
    licence: str
    modality: str
    trained_on: str
    folder: Path
    model_sha256: str

    def summary(self) -> dict[str, str]:
        """The fields as JSON-ready data."""
        return {name: str(value) for name, value in asdict(self).items()}


def default_models_dir() -> Path:
    """Where models are kept unless another folder is named: the user's data folder, `dopascope/models`."""
    import platformdirs

    return Path(platformdirs.user_data_dir("dopascope")) / "models"


def list_models(models_dir: str | Path | None = None) -> list[InstalledModel]:
    """Every installed bundle and the one that ships, default readers first, then by name; hashes are checked.

    Raises:
        BundleError: a bundle is damaged or was changed.
    """
    order = {name: rank for rank, name in enumerate(DEFAULT_READERS)}
    found = sorted(_known(models_dir).items(), key=lambda one: (order.get(one[0], len(order)), one[0]))
    return [_installed(folder) for _, folder in found]


def default_readers(models_dir: str | Path | None = None) -> list[str]:
    """Names of the bundles that `read` asks by default, in order: those of `DEFAULT_READERS` that are installed, and
    where none is, the one that ships."""
    root = _root(models_dir)
    return [name for name in DEFAULT_READERS if _is_bundle(root / name)] or [SHIPPED_READER]


def load(name: str, models_dir: str | Path | None = None, *, threads: int = 1) -> Bundle:
    """The installed or shipped bundle called `name`, ready to answer.

    Raises:
        UsageError: no installed bundle has that name.
        BundleError: it is damaged or was changed.
    """
    return Bundle.load(_folder(name, models_dir), threads=threads)


def has(name: str, models_dir: str | Path | None = None) -> bool:
    """Whether there is an installed or shipped bundle of this name; nothing of it is checked."""
    return name in _known(models_dir)


def add(
    source: str | Path, *, sha256: str | None = None, models_dir: str | Path | None = None, replace: bool = False
) -> InstalledModel:
    """Install a ready bundle.

    Args:
        source: a bundle's folder, a zip of one, or an `https://` address of such a zip.
        sha256: digest that the zip must have; required for an address.
        models_dir: where models are kept.
        replace: put it in the place of an installed bundle of that id.

    Raises:
        UsageError: an address without a digest, another scheme than https, or an id that is installed already.
        BundleError: the digest differs, the zip is not a bundle, or the bundle is not sound.
    """
    with fetch.as_folder(source, sha256=sha256) as folder:
        return install(folder, models_dir, replace=replace)


def install(folder: Path, models_dir: str | Path | None = None, *, replace: bool = False) -> InstalledModel:
    """Copy the checked bundle in `folder` into the models directory.

    Raises:
        UsageError: its id is installed already and `replace` is false.
        BundleError: the bundle is not sound.
    """
    bundle = Bundle.load(folder)
    target = _root(models_dir) / bundle.id
    if target.exists() and not replace:
        raise UsageError(
            "A model of this name is installed already.",
            where=target,
            found=bundle.id,
            fix=f"Remove it first: dopascope models remove {bundle.id}",
        )
    with _appearing(target) as fresh:
        _write_files(fresh, bundle.spec, verified_files(folder, bundle.spec))
    return _installed(target)


def inspect(name: str, models_dir: str | Path | None = None) -> dict[str, Any]:
    """bundle.json of an installed model as data, after every check that loading makes.

    Raises:
        UsageError: no installed bundle has that name.
        BundleError: it is damaged or was changed.
    """
    return load(name, models_dir).spec.model_dump(mode="json", by_alias=True)


def export(name: str, target: str | Path, models_dir: str | Path | None = None) -> Path:
    """Copy an installed bundle to a new folder, or into a zip when `target` ends in `.zip`; returns its path.

    Raises:
        UsageError: no installed bundle has that name, or `target` exists.
        BundleError: the bundle is damaged or was changed.
    """
    folder = _folder(name, models_dir)
    found = spec.read(folder)
    content = verified_files(folder, found)
    target = Path(target)
    if target.exists():
        raise UsageError("The target exists already.", where=target, fix="Name a new folder or zip file.")
    if target.suffix.lower() != ".zip":
        with _appearing(target) as fresh:
            _write_files(fresh, found, content)
        return target
    with provenance.replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in {spec.SPEC_FILE: found.to_json().encode(), **content}.items():
            archive.writestr(zipfile.ZipInfo(f"{found.id}/{one}", _ZIP_TIME), data, zipfile.ZIP_DEFLATED)
    return target


def remove(name: str, models_dir: str | Path | None = None) -> None:
    """Delete an installed bundle, sound or not.

    Raises:
        UsageError: no installed bundle has that name.
    """
    folder = _folder(name, models_dir)
    if folder.parent == SHIPPED:
        raise UsageError(
            "This model is a part of dopascope.",
            where=folder,
            found=name,
            expected="the name of a model that was added",
            fix="Read without it: --model none, or name other models.",
        )
    # Out of sight first: an interrupted removal leaves no half bundle under its name.
    hidden = Path(tempfile.mkdtemp(prefix=".removed-", dir=folder.parent))
    os.replace(folder, hidden / name)
    shutil.rmtree(hidden)


def _root(models_dir: str | Path | None) -> Path:
    return Path(models_dir) if models_dir is not None else default_models_dir()


def _is_bundle(folder: Path) -> bool:
    return not folder.name.startswith(".") and (folder / spec.SPEC_FILE).is_file()


def _known(models_dir: str | Path | None) -> dict[str, Path]:
    """Name -> folder of every bundle; an installed one takes the place of a shipped one of its name."""
    roots = [one for one in (SHIPPED, _root(models_dir)) if one.is_dir()]
    return {path.name: path for root in roots for path in sorted(root.iterdir()) if _is_bundle(path)}


def _folder(name: str, models_dir: str | Path | None) -> Path:
    known = _known(models_dir)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) or name not in known:
        raise UsageError(
            "No installed model has this name.",
            where=_root(models_dir),
            found=name,
            expected=", ".join(sorted(known)),
            fix="dopascope models list; to add the expert networks: dopascope models add dat-spect-ud FOLDER",
        )
    return known[name]


def _installed(folder: Path) -> InstalledModel:
    try:
        found = spec.read(folder)
        verified_files(folder, found)
        if found.id != folder.name:
            raise BundleError("A bundle lies under another name.", where=folder, found=found.id, expected=folder.name)
    except BundleError as error:
        error.fix = f"Remove it (dopascope models remove {folder.name}) and add it again."
        if folder.parent == SHIPPED:
            error.fix = "Install dopascope again: a file of it was changed."
        raise
    return InstalledModel(
        found.id,
        found.kind,
        found.title,
        found.licence.spdx,
        found.modality,
        found.training.summary,
        folder,
        found.files[spec.MODEL_FILE],
    )


def _write_files(folder: Path, found: BundleSpec, content: Mapping[str, bytes]) -> None:
    for name, data in content.items():
        provenance.write_bytes(folder / name, data)
    provenance.write_text(folder / spec.SPEC_FILE, found.to_json())


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its name when the block ends well, and vanishes when not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        fresh = hidden / target.name
        fresh.mkdir()
        yield fresh
        if target.exists():
            os.replace(target, hidden / ".old")
        os.replace(fresh, target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
