"""Where a generator came from: `fit.json`, which every image drawn from it and every judgement of it goes back to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dopascope import provenance
from dopascope.errors import UnreadableError, UsageError
from dopascope.learn.generative.generator import Generator, load

FORM: Final = "dopascope.generator-fit/1"
FILE: Final = "fit.json"
GENERATOR: Final = "generator.npz"
SPLITS: Final = "splits.tsv"
VIEWS: Final = "views"


@dataclass(frozen=True)
class Parent:
    """A scan that a generator learned from."""

    scan_id: str
    participant_id: str
    label: str
    conditions: Mapping[str, float | None]
    """By name; None where not known."""


@dataclass(frozen=True)
class Lineage:
    """A fitted generator's folder."""

    folder: Path
    family: str
    frame: str
    fold: str
    cohort: str
    """Name of the cohort table."""
    cohort_sha256: str
    splits_sha256: str
    generator_sha256: str
    simulated: bool
    parents: tuple[Parent, ...]
    failed: tuple[str, ...]
    """Scans of the fold that could not be used."""
    created: str

    def write(self) -> None:
        """Write `fit.json` into the folder, whole or not at all."""
        known = {"form": FORM} | asdict(self) | {"software": provenance.software()}
        known.pop("folder")
        provenance.write_text(self.folder / FILE, json.dumps(known, indent=1, ensure_ascii=False) + "\n")

    def generator(self) -> Generator:
        """The generator itself, its file compared with its SHA-256.

        Raises:
            UsageError, BundleError: see `learn.generative.generator.load`.
        """
        return load(self.folder / GENERATOR, sha256=self.generator_sha256)


def read_lineage(folder: Path) -> Lineage:
    """The lineage in the folder of a finished fit.

    Raises:
        UsageError: it is no such folder.
        UnreadableError: the file is damaged.
    """
    path = folder / FILE
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known.pop("form") != FORM:
            raise ValueError("another form")
        known.pop("software")
        parents = tuple(Parent(**one) for one in known.pop("parents"))
        return Lineage(folder=folder, parents=parents, failed=tuple(known.pop("failed")), **known)
    except FileNotFoundError as error:
        raise UsageError(
            "This is no folder of a fitted generator.",
            where=folder,
            found=f"no {FILE}",
            expected="the --out of a finished `dopascope generate fit`",
            fix="Correct the path; or let the fit go on to its end.",
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableError(
            "The record of the generator is damaged.",
            where=path,
            found=error,
            expected=FORM,
            fix="Run generate fit again in this folder.",
        ) from error
