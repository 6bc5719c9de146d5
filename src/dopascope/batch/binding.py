"""One scan of a cohort: passport, registration and binding ratios, as data that goes to a file and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from dopascope import passport, provenance, quant, space
from dopascope.batch.load import load_dat, refuse
from dopascope.cohort.scan import CohortScan, letter
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.quant import Conditions, Normals, Quantification, Recovery
from dopascope.volume import FACTS, Acquisition, Sex


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
    image = load_dat(scan, settings.strictness, settings.limits, series=series, frame=frame)
    facts = image.acquisition
    if not settings.phantom:
        refuse(passport.inspect(image))
    registration = space.register(image)
    found = passport.inspect(image, registration)
    if not settings.phantom:
        refuse(found)
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
