"""Every DaT and T1 scan of a cohort on the MNI grid with a named intensity scale, as BIDS derivatives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from dopascope import __version__, passport, provenance, space
from dopascope.batch import t1
from dopascope.batch.derivatives import Target, remove, write_derivative
from dopascope.batch.load import load_dat, refuse
from dopascope.cohort.content import content_of
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsupportedError, UsageError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.formats.save import nifti_gz
from dopascope.space.intensity import METHODS, reference_value
from dopascope.volume import FACTS, MNI_2MM, Volume

RAW: Final = "none"
"""The intensity method that leaves the values as they are."""
REGISTERED_SCALE: Final = "p75_nonstriatal"
CENTRED_SCALE: Final = "p99"
"""Without registration regions may lie beside the head; this scale does not ask where it is."""
NIFTI_MNI: Final = 4
NIFTI_ALIGNED: Final = 2


@dataclass(frozen=True)
class NormaliseSettings:
    """How every scan of a run is normalised."""

    register: bool = True
    intensity: str = REGISTERED_SCALE
    strictness: Strictness = Strictness.RAISE
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.intensity not in (*METHODS, RAW):
            raise UsageError(
                "There is no intensity method of this name.",
                where="--intensity",
                found=self.intensity,
                expected=", ".join((*METHODS, RAW)),
                fix="Use one of the names above.",
            )

    def digest(self) -> str:
        """Of everything that can change a byte, the version of dopascope included."""
        known = [__version__, self.register, self.intensity, str(self.strictness), asdict(self.limits)]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Normalising:
    """Work on one scan: put it on `MNI_2MM`, scale it, and write it where `targets` says."""

    settings: NormaliseSettings
    targets: dict[str, Target]
    """By the scan's name."""
    finder: t1.BrainFinder | None = None
    """Of the brain in T1-weighted scans whose table names no mask."""

    def only(self, scan: CohortScan) -> Normalising:
        """The work with this scan's target alone, which is what its worker needs."""
        return replace(self, targets={scan.name: self.targets[scan.name]})

    def digest(self) -> str:
        """Of the settings, and of what finds brains."""
        known = self.settings.digest()
        return known if self.finder is None else f"{known} {self.finder.name}"

    def concerns(self, scan: CohortScan) -> list[object]:
        """Modality and acquisition decide refusals, and stand in the sidecar; so does the mask of a T1."""
        known: list[object] = [scan.is_dat, repr(scan.stated)]
        if scan.is_t1:
            known += ["t1", None if scan.mask is None else content_of(scan.mask)]
        return known

    def make(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        """Normalise.

        Raises:
            DopascopeError: the scan cannot be read, is not fit, or holds no signal to scale by.
        """
        if scan.is_t1:
            return self._make_t1(scan)
        image = load_dat(scan, self.settings.strictness, self.settings.limits, use="place on the MNI grid")
        placed, record = registered(image)[:2] if self.settings.register else _centred(image)
        value = None if self.settings.intensity == RAW else reference_value(placed, self.settings.intensity)
        if value is not None:
            placed = placed.with_data(placed.data * np.float32(1 / value), placed.history[-1])
        source = image.source
        facts = {name: known for name in FACTS if (known := getattr(image.acquisition, name)) is not None}
        record |= {
            "sha256": source.sha256 if source else None,
            "assumed": list(source.assumed) if source else [],
            "intensity": self.settings.intensity,
            "divisor": value,
            "acquisition": facts,
            "software": provenance.software(),
        }
        return record, nifti_gz(placed, code=NIFTI_MNI if self.settings.register else NIFTI_ALIGNED)

    def _make_t1(self, scan: CohortScan) -> tuple[dict[str, Any], bytes]:
        if not self.settings.register:
            raise UnsupportedError(
                "T1-weighted scans are placed by registration only.",
                where=scan.name,
                found="--no-register",
                expected="--register",
                fix="Leave --no-register out, or leave T1 scans out of this table.",
            )
        record, placed = t1.normalised(scan, self.settings.strictness, self.settings.limits, self.finder)
        return record, nifti_gz(placed, code=NIFTI_MNI)

    def keep(self, scan: CohortScan, record: dict[str, Any], payload: bytes) -> None:
        """Write the image and its sidecar."""
        write_derivative(self.targets[scan.name], scan, record, payload)

    def drop(self, scan: CohortScan) -> None:
        """Remove both."""
        remove(self.targets[scan.name])


def registered(image: Volume) -> tuple[Volume, dict[str, Any], space.Registration]:
    """The scan on `MNI_2MM`, raw intensities; what is recorded of that; and the registration.

    Raises:
        UnsuitableError: its passport refuses it.
    """
    refuse(passport.inspect(image))
    found = space.register(image)
    seen = passport.inspect(image, found)
    refuse(seen)
    warnings = [
        *([] if seen.verdict == "in-distribution" else seen.reasons),
        *([] if found.accepted else [f"registration not accepted: {'; '.join(found.reasons)}"]),
    ]
    known = found.as_dict()
    record = {
        "registered": True,
        "transform": known["mni_to_scan"],
        "method": known["method"],
        "quality": known["quality"],
        "accepted": known["accepted"],
        "warnings": warnings,
    }
    return space.normalise(image, found), record, found


def _centred(image: Volume) -> tuple[Volume, dict[str, Any]]:
    """The scan, its axes in the order R, A, S, with the centre of its grid on the centre of `MNI_2MM`'s.

    Its axes are laid along the grid's whatever their small tilt was, so that the sampling is three small matrix
    products; the transform that is recorded holds the tilt.
    """
    scan = space.canonical(image)
    spacing = np.array(scan.grid.spacing_mm)
    straight = np.diag([*spacing, 1.0])
    middle = (np.array(MNI_2MM.shape) - 1) / 2
    straight[:3, 3] = MNI_2MM.to_world(middle) - spacing * (np.array(scan.grid.shape) - 1) / 2
    to_scan = scan.grid.affine @ np.linalg.inv(straight)
    placed = space.resample(scan, MNI_2MM, to_image=to_scan)
    return placed, {
        "registered": False,
        "transform": to_scan.tolist(),
        "method": "grid centres put together, axes along the grid's",
        "quality": None,
        "accepted": None,
        "warnings": [],
    }
