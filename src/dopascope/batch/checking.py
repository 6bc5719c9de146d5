"""A look at every scan of a cohort before anybody trains on it: files, copies, passports, how it was made."""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from dopascope import __version__, formats, passport, provenance, space
from dopascope.batch.cache import Cache
from dopascope.batch.drive import Outcome, Runner, drive
from dopascope.cohort import similarity
from dopascope.cohort.consistency import Missing, missing_covariates, table_findings
from dopascope.cohort.content import HALVES, content_of
from dopascope.cohort.finding import Finding, of_any
from dopascope.cohort.fingerprint import Predicted, crosstab, fingerprint, one_line, predicted_labels
from dopascope.cohort.scan import CohortScan
from dopascope.volume import Grid, Volume

THUMBNAIL: Final = (48, 56)
"""Voxels of 4 mm of the axial slab that stands for a fingerprint."""
SLAB_MM: Final = 12.0
_UNREAD: Final = "not read"
_PICTURE: Final = "pictures without geometry"


@dataclass(frozen=True)
class Looking:
    """Work on one scan: look at it. The record is what was seen; the payload its texture and thumbnail."""

    pictures: Path
    """Folder for what the comparison of images needs."""

    def digest(self) -> str:
        """Of what a look is made of."""
        return f"dopascope.look/3 {__version__}"

    def only(self, scan: CohortScan) -> Looking:  # noqa: ARG002  (the protocol's)
        """The same for every scan."""
        return self

    def concerns(self, scan: CohortScan) -> list[object]:
        """Modality and acquisition decide passport and fingerprint."""
        return [scan.is_dat, repr(scan.stated)]

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """Look at the scan. Raises what `formats.load` raises."""
        image = formats.load(scan.path)
        bytes_alone = content_of(scan.path, HALVES)  # a copy is a copy whatever stands beside it
        record: dict[str, Any] = {"content": bytes_alone, "passport": None, "reasons": [], "checks": [], "facts": {}}
        if scan.is_dat:
            seen = passport.inspect(image)
            bad = [one.name for one in seen.checks if one.verdict in ("unusual", "refused")]
            record |= {"passport": seen.verdict, "reasons": list(seen.reasons), "checks": bad}
        if not isinstance(image, Volume):
            return record, b""
        acquisition = scan.acquisition(image.acquisition)
        record["facts"] = fingerprint(acquisition, space.canonical(image).grid)
        return record, _packed(similarity.texture(image), _slab(image))

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:  # noqa: ARG002
        """Lay the payload where the comparison finds it."""
        if payload:
            provenance.write_bytes(self.place(scan), payload)
        else:
            self.drop(scan)

    def drop(self, scan: CohortScan) -> None:
        """Take an earlier payload away."""
        self.place(scan).unlink(missing_ok=True)

    def place(self, scan: CohortScan) -> Path:
        """A file name without anybody's name in it."""
        return self.pictures / f"{hashlib.sha256(scan.name.encode()).hexdigest()[:24]}.npz"


@dataclass(frozen=True)
class Look:
    """What was seen of one scan."""

    scan: CohortScan
    record: dict[str, Any] | None
    error: dict[str, str] | None

    @property
    def mark(self) -> str:
        """Its fingerprint as one line."""
        if self.record is None:
            return _UNREAD
        return one_line(self.record["facts"]) if self.record["facts"] else _PICTURE


@dataclass(frozen=True)
class Group:
    """Scans of one fingerprint."""

    mark: str
    labels: dict[str, int]
    thumbnail: NDArray[np.float32] | None = field(repr=False)
    """(I, J) of RAS: the brightest slab of its first scan, 1 at its highest voxel."""


@dataclass(frozen=True)
class CohortCheck:
    """Everything that is to be known of a cohort before a model sees it."""

    scans: int
    people: int
    labels: dict[str, int]
    findings: tuple[Finding, ...]
    groups: tuple[Group, ...]
    predicted: tuple[Predicted, ...]
    passports: dict[str, int]
    passport_checks: dict[str, int]
    """Check that a scan does not pass -> how many do not."""
    missing: tuple[Missing, ...]
    compared: int
    """Images that were compared with each other."""
    created: str

    @property
    def passed(self) -> bool:
        """Whether nothing fails."""
        return not any(one.fails for one in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, form `dopascope.cohort-check/1`."""
        return {
            "form": "dopascope.cohort-check/1",
            "passed": self.passed,
            "scans": self.scans,
            "people": self.people,
            "labels": self.labels,
            "findings": [one.as_dict() for one in self.findings],
            "fingerprints": [{"fingerprint": one.mark, "labels": one.labels} for one in self.groups],
            "fingerprint_auroc": [one.as_dict() for one in self.predicted],
            "passports": self.passports,
            "passport_checks": self.passport_checks,
            "missing": [one.as_dict() for one in self.missing],
            "images_compared": self.compared,
            "created": self.created,
            "software": provenance.software(),
        }


def check_cohort(
    scans: Sequence[CohortScan],
    folder: Path,
    *,
    images: bool = True,
    runner: Runner | None = None,
    progress: Callable[[int, int], None] = lambda _done, _kept: None,
    seed: int = 1,
) -> CohortCheck:
    """Look at every scan and at what they are together; a scan that cannot be read is a finding, and the rest goes on.

    Args:
        scans: the cohort.
        folder: for results that the next run goes on from.
        images: whether to compare all images with each other, which costs about 2 ms a pair.
        runner: where scans are looked at; in this process when omitted.
        progress: is told how many scans are done, and how many of these were known.
        seed: of folds and bootstrap.
    """
    work = Looking(folder / "pictures")
    outcomes: list[Outcome] = []
    for outcome in drive(scans, work, cache=Cache(folder), runner=runner):
        outcomes.append(outcome)
        progress(len(outcomes), sum(one.kept for one in outcomes))
    looks = [Look(one.scan, one.record, one.error) for one in sorted(outcomes, key=lambda one: one.number)]
    read = [one for one in looks if one.record is not None]
    predicted = predicted_labels([one.scan for one in read], [one.mark for one in read], seed=seed)
    compared = [one for one in looks if work.place(one.scan).is_file()] if images else []
    findings = [
        *_unread(looks),
        *_same_content(looks),
        *_copies(compared, work),
        *table_findings(scans),
        *_told_by_fingerprint(predicted),
        *_passports(looks),
    ]
    checks = Counter(name for one in looks if one.record for name in one.record["checks"])
    verdicts = Counter(one.record["passport"] for one in looks if one.record and one.record["passport"])
    return CohortCheck(
        scans=len(scans),
        people=len({scan.person or scan.name for scan in scans}),
        labels=dict(sorted(Counter(scan.label or "n/a" for scan in scans).items())),
        findings=tuple(sorted(findings, key=lambda one: not one.fails)),
        groups=tuple(_groups(looks, work)),
        predicted=tuple(predicted),
        passports=dict(verdicts.most_common()),
        passport_checks=dict(checks.most_common()),
        missing=tuple(missing_covariates(scans)),
        compared=len(compared),
        created=provenance.now(),
    )


def _unread(looks: Sequence[Look]) -> list[Finding]:
    who = [f"{one.scan.name}: {one.error['what']}" for one in looks if one.error is not None]
    return of_any(
        "unreadable",
        who,
        fails=True,
        what=f"{len(who)} of {len(looks)} scans cannot be read",
        fix="Look at each with dopascope inspect; copy it again, or leave it out.",
    )


def _same_content(looks: Sequence[Look]) -> list[Finding]:
    same: dict[str, list[CohortScan]] = defaultdict(list)
    for one in looks:
        if one.record is not None:
            same[one.record["content"]].append(one.scan)
    groups = [group for group in same.values() if len(group) > 1]
    return _duplicates(groups, "same_content", "the same bytes")


def _copies(looks: Sequence[Look], work: Looking) -> Iterator[Finding]:
    """Copies that are not the same bytes: those are told of already."""
    found = similarity.copies(_Textures([work.place(one.scan) for one in looks]))
    for mirrored, kind, what in (
        (False, "copy", "the same image"),
        (True, "mirrored_copy", "mirror images of each other"),
    ):
        pairs = [(looks[one.one], looks[one.other]) for one in found if one.mirrored == mirrored]
        apart = [(a, b) for a, b in pairs if (a.record or {})["content"] != (b.record or {})["content"]]
        yield from _duplicates([[a.scan, b.scan] for a, b in apart], kind, what)


def _duplicates(groups: Sequence[Sequence[CohortScan]], kind: str, what: str) -> list[Finding]:
    others = [group for group in groups if len({scan.person for scan in group}) > 1]
    return of_any(
        kind,
        (", ".join(f"{scan.name} ({scan.person or 'n/a'})" for scan in group) for group in groups),
        fails=True,
        what=f"Groups of scans that are {what}: {len(groups)}, of which under different people: {len(others)}",
        fix="Keep one of each. Under different people, find out whose scan it is.",
    )


def _told_by_fingerprint(predicted: Sequence[Predicted]) -> list[Finding]:
    return of_any(
        "fingerprint_tells_label",
        (f"{one.label}: AUROC {one.auroc}, chance to {one.chance:.3f}" for one in predicted if one.tells),
        fails=False,
        what="How a scan was made tells its label better than chance",
        fix="Split by camera or site (cohort split --together or --leave-out), and report figures per camera.",
    )


def _passports(looks: Sequence[Look]) -> Iterator[Finding]:
    for verdict, fails in (("refused", True), ("unusual", False)):
        who = [
            f"{one.scan.name}: {one.record['reasons'][0]}"
            for one in looks
            if one.record is not None and one.record["passport"] == verdict
        ]
        yield from of_any(
            f"passport_{verdict}",
            who,
            fails=fails,
            what=f"{len(who)} of {len(looks)} scans have the passport verdict {verdict}",
            fix="Look at each with dopascope inspect, and decide before training whether it belongs in the cohort.",
        )


def _groups(looks: Sequence[Look], work: Looking) -> Iterator[Group]:
    table = crosstab([one.scan for one in looks], [one.mark for one in looks])
    for mark, labels in table.items():
        places = [work.place(one.scan) for one in looks if one.mark == mark]
        first = next((place for place in places if place.is_file()), None)
        yield Group(mark, dict(sorted(labels.items())), None if first is None else _unpacked(first, "slab"))


class _Textures(Sequence[similarity.Texture]):
    """Textures that are read when they are compared, so that memory does not grow with the cohort."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> similarity.Texture: ...
    @overload
    def __getitem__(self, at: slice) -> list[similarity.Texture]: ...
    def __getitem__(self, at: int | slice) -> similarity.Texture | list[similarity.Texture]:
        if isinstance(at, slice):
            return [_unpacked(place, "texture") for place in self._places[at]]
        return _unpacked(self._places[at], "texture")


def _packed(texture: similarity.Texture, slab: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, texture=texture.astype(np.float16), slab=slab.astype(np.float16))
    return stream.getvalue()


def _unpacked(place: Path, name: str) -> NDArray[np.float32]:
    with np.load(place, allow_pickle=False) as stored:
        return np.asarray(stored[name], np.float32)


def _slab(volume: Volume) -> NDArray[np.float32]:
    """`THUMBNAIL` voxels of 4 mm: the axial slab of `SLAB_MM` with the hottest small spots of the middle third.

    Glands are hot too, but lie lower.
    """
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    depth = 30
    affine[:3, 3] = volume.grid.centre_mm - 4.0 * (np.array([*THUMBNAIL, depth]) - 1) / 2
    data = np.nan_to_num(np.asarray(space.resample(volume, Grid((*THUMBNAIL, depth), affine)).data, np.float32))
    planes = round(SLAB_MM / 4.0)
    middle = range(depth // 3, 2 * depth // 3)
    inner = data[THUMBNAIL[0] // 4 : -THUMBNAIL[0] // 4, THUMBNAIL[1] // 4 : -THUMBNAIL[1] // 4]
    best = max(middle, key=lambda k: float(inner[..., k : k + planes].mean(-1).max()))
    slab = data[..., best : best + planes].mean(-1)
    top = float(slab.max())
    return np.asarray(slab / top if top > 0 else slab, np.float32)
