"""One scan of a cohort: passport, registration and binding ratios, as data that goes to a file and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dopascope import formats, passport, provenance, quant, space
from dopascope.cohort.scan import CohortScan, letter
from dopascope.errors import DopascopeError, UnsuitableError, UnsupportedError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.quant import Conditions, Normals, Quantification, Recovery
from dopascope.volume import FACTS, Acquisition, Sex, Volume


@dataclass(frozen=True)
class Settings:
    """How every scan of a run is measured."""

    method: str = "anatomical"
    reference: str = "whole_brain"
    normals: Normals | None = None
    recovery: Recovery | None = None
    phantom: bool = False
    """A physical phantom: it is measured although its passport says that this is no person's head."""
    strictness: Strictness = Strictness.RAISE
    limits: Limits = field(default_factory=Limits)

    def digest(self) -> str:
        """Of everything that can change a number, the versions of the software included."""
        known = [
            *(self.method, self.reference, self.phantom, str(self.strictness), asdict(self.limits)),
            *(None if one is None else one.model_dump(mode="json") for one in (self.normals, self.recovery)),
            provenance.software(),
        ]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Measured:
    """What came of one scan: its ratios, or the error that stopped it."""

    name: str
    cells: dict[str, str]
    """What the cohort table says of it, by `cohort.COLUMNS`."""
    sha256: str | None = None
    age: float | None = None
    sex: Sex | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)
    """Of `conditions.FACTS` only."""
    passport: str | None = None
    quality: float | None = None
    accepted: bool | None = None
    quantification: Quantification | None = None
    assumed: tuple[str, ...] = ()
    """What the reader of the file had to assume."""
    warnings: tuple[str, ...] = ()
    error: dict[str, str] | None = None
    """As `DopascopeError.as_dict` gives it."""

    @property
    def label(self) -> str | None:
        """Such as `control`."""
        return self.cells.get("label")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data; `from_dict` is its inverse."""
        return asdict(self) | {"acquisition": {name: getattr(self.acquisition, name) for name in FACTS}}

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Measured:
        """The result that `as_dict` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        numbers = known["quantification"]
        return cls(
            **known
            | {
                "acquisition": Acquisition(**known["acquisition"]),
                "quantification": None if numbers is None else Quantification.from_dict(numbers),
                "assumed": tuple(known["assumed"]),
                "warnings": tuple(known["warnings"]),
            }
        )


def measure_scan(
    scan: CohortScan, settings: Settings, *, series: str | None = None, frame: int | None = None
) -> Measured:
    """Measure one scan: load, passport, register, passport, quantify.

    Raises:
        DopascopeError: the scan cannot be read, is not fit to be measured, or the table contradicts its header.
    """
    image = _load(scan, settings, series, frame)
    facts = image.acquisition
    _refuse(passport.inspect(image), settings)
    registration = space.register(image)
    found = passport.inspect(image, registration)
    _refuse(found, settings)
    age = scan.age if scan.age is not None else facts.age_years
    sex = scan.sex or letter(facts.sex)
    numbers = quant.quantify(
        image,
        registration,
        method=settings.method,
        reference=settings.reference,
        normals=settings.normals,
        age=age,
        sex=sex,
        recovery=settings.recovery,
    )
    source = image.source
    return Measured(
        name=scan.name,
        cells=scan.cells,
        sha256=source.sha256 if source else None,
        age=age,
        sex=sex,
        acquisition=Acquisition(**Conditions.of(facts).model_dump()),
        passport=found.verdict,
        quality=float(registration.quality),
        accepted=bool(registration.accepted),
        quantification=numbers,
        assumed=source.assumed if source else (),
        warnings=(
            *([] if found.verdict == "in-distribution" else found.reasons),
            *([] if registration.accepted else [f"registration not accepted: {'; '.join(registration.reasons)}"]),
        ),
    )


def _load(scan: CohortScan, settings: Settings, series: str | None, frame: int | None) -> Volume:
    """The scan with the table's facts added to its header's."""
    if not scan.is_dat:
        raise UnsupportedError(
            "Binding ratios are for DaT SPECT.",
            where=f"{scan.name}, column modality",
            found=scan.cells["modality"],
            expected="dat or n/a",
            fix="Leave other modalities out of this table.",
        )
    image = formats.load(scan.path, series=series, frame=frame, strictness=settings.strictness, limits=settings.limits)
    if not isinstance(image, Volume):
        raise UnsuitableError(
            "A picture of one slice has no position, spacing or side, so no binding ratio.",
            where=scan.path,
            found="a picture",
            expected="DICOM or NIfTI",
            fix="Export the scan itself.",
        )
    return replace(image, acquisition=scan.acquisition(image.acquisition))


def _refuse(found: passport.Passport, settings: Settings) -> None:
    if found.verdict == "refused" and not settings.phantom:
        raise UnsuitableError(
            "The scan's passport refuses it.",
            where="passport",
            found="; ".join(found.reasons),
            expected="a DaT SPECT of one head with known geometry",
            fix="See dopascope inspect.",
        )


def failed(scan: CohortScan, error: Exception) -> Measured:
    """The record of a scan that could not be measured."""
    if isinstance(error, OSError):
        error = DopascopeError("The system refused a file operation.", where=scan.path, found=error.strerror or error)
    if not isinstance(error, DopascopeError):
        error = DopascopeError(
            "dopascope failed on this scan; this is a fault of dopascope, not of your file.",
            where=scan.path,
            found=f"{type(error).__name__}: {error}",
            fix="Report it.",
        )
    return Measured(name=scan.name, cells=scan.cells, age=scan.age, sex=scan.sex, error=error.as_dict())
