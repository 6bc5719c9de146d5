"""What networks and simple models see of each scan: its views, and binding ratios and shape, or volumes of T1."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import provenance, quant
from dopascope.batch import t1
from dopascope.batch.cache import Cache
from dopascope.batch.drive import Outcome, Runner, drive
from dopascope.batch.load import load_dat
from dopascope.batch.normalising import NIFTI_MNI, registered
from dopascope.cohort.content import content_of
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsuitableError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.formats.save import nifti_gz
from dopascope.quant.morphometry import RATIO, morphometry
from dopascope.space.bias import ITERATIONS
from dopascope.space.brain_registration import on_mni
from dopascope.space.intensity import METHODS, reference_value
from dopascope.space.views import VIEWS
from dopascope.volume import MNI_2MM, Step, Volume

T1_LIFT: Final = 4.0
"""Added to the z-scores of a brain, so that its voxels are above the 0 around it and a view can be scaled."""
T1_REFERENCES: Final = {t1.ZSCORE: 1.0}
"""A z-score is its own unit."""


@dataclass(frozen=True)
class ViewSettings:
    """How scans are read and measured; which views are cut is no part of it, so one cache serves every study."""

    method: str = "anatomical"
    reference: str = "whole_brain"
    strictness: Strictness = Strictness.RAISE
    limits: Limits = field(default_factory=Limits)
    n4: tuple[int, ...] = ITERATIONS
    """The most iterations at each level for the shading of T1 scans."""


@dataclass(frozen=True)
class Viewing:
    """Work on one scan: register it once, measure it, and cut the views asked for into a file."""

    settings: ViewSettings
    views: tuple[str, ...]
    files: dict[str, Path]
    """By the scan's name."""
    finder: t1.BrainFinder | None = None
    """Of the brain in T1 scans whose table names no mask."""

    def only(self, scan: CohortScan) -> Viewing:
        """The work with this scan's file alone."""
        return replace(self, files={scan.name: self.files[scan.name]})

    def digest(self) -> str:
        """Of settings and finder, and of how the atlas and the scales are defined, by the version of dopascope."""
        known = ["views", asdict(self.settings) | {"strictness": str(self.settings.strictness)}, provenance.software()]
        known += [] if self.finder is None else [self.finder.name]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def concerns(self, scan: CohortScan) -> list[object]:
        """Modality and acquisition decide refusals; the mask of a T1 decides what is brain."""
        known: list[object] = [scan.is_dat, repr(scan.stated)]
        return known + (["t1", None if scan.mask is None else content_of(scan.mask)] if scan.is_t1 else [])

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """The scan on the MNI grid with its reference values, and binding ratios and shape, or volumes of a T1.

        Raises:
            DopascopeError: the scan cannot be read, is not fit, or holds no signal to scale by.
        """
        if scan.is_t1:
            return self._make_t1(scan)
        image = load_dat(scan, self.settings.strictness, self.settings.limits, use="place on the MNI grid")
        placed, record, found = registered(image)
        numbers = quant.quantify(image, found, method=self.settings.method, reference=self.settings.reference)
        record |= {
            "sha256": image.source.sha256 if image.source else None,
            "assumed": list(image.source.assumed) if image.source else [],
            "references": {name: reference_value(placed, name) for name in METHODS},
            "method_id": numbers.method_id,
            "sbr": {name: region.sbr for name, region in numbers.regions.items()},
            "shape": quant.uptake_shape(placed),
        }
        return record, nifti_gz(placed, code=NIFTI_MNI)

    def _make_t1(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """Its brain in units of its own spread, `T1_LIFT` above zero; volumes in ml."""
        found = placed_t1(scan, self.settings, self.finder)
        measured = morphometry(found.even, found.mask, found.registration)
        record = found.record | {
            "references": dict(T1_REFERENCES),
            "volumes": {name: one.value for name, one in measured.volumes_ml.items()}
            | {RATIO: measured.ratio.value, "brain": measured.brain_ml},
        }
        return record, nifti_gz(lifted(found), code=NIFTI_MNI)

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:  # noqa: ARG002
        """Write the views."""
        from nibabel.nifti1 import Nifti1Image

        data = np.asarray(Nifti1Image.from_bytes(gzip.decompress(payload)).dataobj, np.float32)
        volume = Volume(data, MNI_2MM)
        stream = io.BytesIO()
        cut: dict[str, Any] = {name: VIEWS[name].take(volume) for name in self.views}
        np.savez(stream, allow_pickle=False, **cut)
        provenance.write_bytes(self.files[scan.name], stream.getvalue())

    def drop(self, scan: CohortScan) -> None:
        """Remove the views."""
        self.files[scan.name].unlink(missing_ok=True)


def placed_t1(scan: CohortScan, settings: ViewSettings, finder: t1.BrainFinder | None) -> t1.Placed:
    """Mask, N4, affine and z-score of a T1 as studies see it; see `batch.t1.placed`."""
    return t1.placed(scan, settings.strictness, settings.limits, finder, iterations=settings.n4)


def lifted(found: t1.Placed) -> Volume:
    """What views of a T1 are cut from: on `MNI_2MM`, in units of its own spread, `T1_LIFT` above the 0 around it."""
    inside = found.mask.data > 0
    data = np.where(inside, np.clip(found.scored.data + np.float32(T1_LIFT), 0, None), np.float32(0))
    return on_mni(found.scored.with_data(data, Step("lift", {"above_zero": T1_LIFT})), found.registration)


@dataclass(frozen=True)
class Seen:
    """The views of a cohort's scans that could be had, and what came of every scan."""

    scans: list[CohortScan]
    """In the order of the table, those that failed left out."""
    views: dict[str, NDArray[np.float32]]
    """View -> (N, C, ...), raw intensities."""
    records: list[dict[str, Any]]
    failed: list[Outcome]


def see(
    scans: Sequence[CohortScan],
    views: Sequence[str],
    folder: Path,
    settings: ViewSettings,
    *,
    cache: Path,
    runner: Runner | None = None,
    progress: Callable[[Outcome], None] = lambda _one: None,
    finder: t1.BrainFinder | None = None,
) -> Seen:
    """Register and measure every scan, and hold its views in memory.

    Args:
        scans: the cohort.
        views: names of `space.views.VIEWS`.
        folder: for the views, file by file.
        settings: how scans are read and measured.
        cache: folder of registered scans, which other studies may share.
        runner: where; in this process when omitted.
        progress: told of every scan.
        finder: of the brain in T1 scans whose table names no mask; without one they fail.

    Raises:
        UnsuitableError: no scan could be read.
        OSError: `folder` or the cache cannot be written.
    """
    wanted = tuple(sorted(set(views)))
    for place in (folder, cache):
        provenance.check_writable(place)
    files = {scan.name: folder.absolute() / f"{_file_name(scan.name)}.npz" for scan in scans}
    outcomes = []
    for outcome in drive(scans, Viewing(settings, wanted, files, finder), cache=Cache(cache.absolute()), runner=runner):
        outcomes.append(outcome)
        progress(outcome)
    outcomes.sort(key=lambda one: one.number)
    failed = [one for one in outcomes if one.record is None]
    good = [one for one in outcomes if one.record is not None]
    if not good:
        error = failed[0].error or {}
        raise UnsuitableError(
            "No scan of the cohort can be used.",
            where=f"{failed[0].scan.name} and {len(failed) - 1} more",
            found=" ".join(error.get(key, "") for key in ("what", "found")).strip(),
            expected="DaT SPECT or T1-weighted scans of a head",
            fix="See dopascope cohort check.",
        )
    arrays: dict[str, NDArray[np.float32]] = {
        name: np.empty((len(good), *VIEWS[name].shape), np.float32) for name in wanted
    }
    for row, one in enumerate(good):
        with np.load(files[one.scan.name], allow_pickle=False) as stored:
            for name in wanted:
                arrays[name][row] = stored[name]
    return Seen([one.scan for one in good], arrays, [one.record for one in good if one.record is not None], failed)


def _file_name(scan: str) -> str:
    """A name for any file system that no two scans share."""
    return hashlib.sha256(scan.encode()).hexdigest()[:24]
