"""Recovery factors: which share of a striatal phantom's known ratio a camera and this method measure.

A physical phantom with chambers of known activity (Alderson's striatal phantom and its like) is filled, scanned and
measured as a person is. Ratios divided by the factors compare between cameras as far as a person's striata resemble
the phantom's (Tossici-Bolt et al. 2017, EJNMMI Phys 4:8); they are another method's, and their method id says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import Field

from dopascope.atlas import PARTS
from dopascope.errors import UnsuitableError, UsageError
from dopascope.quant import voi
from dopascope.quant.conditions import Conditions
from dopascope.quant.ratios import NORMAL_95
from dopascope.quant.result import Quantification, Region
from dopascope.quant.stored import Provenance, Stored, read_stored
from dopascope.volume import Acquisition

SCHEMA: Final = "dopascope.recovery/1"
SUFFIX: Final = "+recovery:"
MIXED_TOLERANCE: Final = 0.01
"""A chamber's true ratio may differ by this share from what its parts say together."""


class Factor(Stored):
    """Measured over true ratio of one region, with its standard deviation and 95 % interval."""

    factor: float = Field(gt=0)
    sd: float = Field(ge=0)
    interval: tuple[float, float]
    n: int = Field(ge=1, description="scans it was fitted to")


class Measurement(Stored):
    """One region of one phantom scan."""

    scan: str
    region: str
    true_ratio: float
    sbr: float
    interval: tuple[float, float]


class Recovery(Stored):
    """One file of factors: method, conditions, a factor per region, and what they were fitted to."""

    form: Literal["dopascope.recovery/1"] = SCHEMA
    name: str
    method_id: str
    acquisition: Conditions
    regions: dict[str, Factor]
    measurements: tuple[Measurement, ...] = ()
    provenance: Provenance

    @property
    def id(self) -> str:
        """Eight hexadecimal digits of the factors, the method and the conditions: equal only where all are."""
        numbers = {region: [one.factor, one.sd] for region, one in self.regions.items()}
        what = json.dumps([self.method_id, self.acquisition.model_dump(), numbers], sort_keys=True)
        return hashlib.sha256(what.encode()).hexdigest()[:8]

    @property
    def corrected_method_id(self) -> str:
        """Name of the method whose ratios are divided by these factors."""
        return f"{self.method_id}{SUFFIX}{self.id}"

    def check(self, method_id: str, acquisition: Acquisition) -> None:
        """Raise UnsuitableError where these factors are of another method or of other scans."""
        differs = None
        if method_id != self.method_id:
            differs = f"method {self.method_id} there, {method_id} in this scan"
        differs = differs or self.acquisition.difference(Conditions.of(acquisition))
        if differs is not None:
            raise UnsuitableError(
                "These recovery factors are not for this scan.",
                where=f"recovery {self.name!r}",
                found=differs,
                expected="factors of the same method, camera, reconstruction and corrections",
                fix="Scan the phantom as people are scanned, or leave --recovery out.",
            )

    def caveats(self, acquisition: Acquisition) -> list[str]:
        """What a reader of ratios divided by these factors must know about this scan."""
        scan, whose = Conditions.of(acquisition), f"recovery factors {self.name!r}"
        notes = [
            f"the header does not say: {fact}; {whose} have {value}" for fact, value in self.acquisition.doubts(scan)
        ]
        return notes + self.acquisition.silence(whose, scan)


def load_recovery(path: Path | str) -> Recovery:
    """Read a file of recovery factors.

    Raises:
        UnreadableError: it cannot be opened, is too large, is not JSON or lacks a field.
    """
    return read_stored(
        Path(path),
        Recovery,
        what="This is not a file of recovery factors.",
        expected=f"JSON of the form {SCHEMA} (docs/methods.md, Recovery factors)",
        fix="Check the path, or measure a phantom: dopascope quantify PHANTOM --truth TABLE --fit-recovery FILE.",
    )


@dataclass(frozen=True)
class PhantomScan:
    """One scan of a phantom with what was measured and what is true of it."""

    name: str
    acquisition: Acquisition
    quantification: Quantification
    truth: Mapping[str, float]
    """Region -> true ratio, as stated; see `complete_truth`."""


def complete_truth(stated: Mapping[str, float]) -> dict[str, float]:
    """The true ratio of every region that the stated ones decide.

    A part has the ratio of the smallest stated region that holds it, since a chamber is filled evenly; a whole has
    the mean of its parts, by volume.

    Raises:
        UsageError: a region that is not measured, a ratio not above 0, or a whole whose parts say otherwise.
    """
    for region, ratio in stated.items():
        if region not in voi.MEASURED or not (np.isfinite(ratio) and ratio > 0):
            raise _bad_truth(region, f"true ratio {ratio:g}", f"a ratio above 0 for one of {', '.join(voi.MEASURED)}")
    parts = {}
    for region in sorted(stated, key=lambda name: -len(PARTS[name])):
        parts.update(dict.fromkeys(PARTS[region], stated[region]))
    complete = {}
    for region in voi.MEASURED:
        if all(part in parts for part in PARTS[region]):
            volumes = [voi.ml(part) for part in PARTS[region]]
            complete[region] = float(np.average([parts[part] for part in PARTS[region]], weights=volumes))
    for region, ratio in stated.items():
        if abs(complete[region] / ratio - 1) > MIXED_TOLERANCE:
            raise _bad_truth(region, f"{ratio:g}, its parts together {complete[region]:.4g}", "a whole of its parts")
    return complete


def _bad_truth(region: str, found: str, expected: str) -> UsageError:
    return UsageError(
        "The true ratios cannot be meant.", where=region, found=found, expected=expected, fix="Correct the table."
    )


def fit_recovery(scans: Sequence[PhantomScan], *, name: str, provenance: Provenance) -> Recovery:
    """Recovery factors of one or more phantom scans of known ratios.

    Each factor c is the slope through the origin of measured on true ratio, weighted by the measured ratio's
    variance: c = sum(w m t) / sum(w t^2) with variance 1 / sum(w t^2), times the reduced chi-square where several
    scans scatter more than their intervals say (Bevington and Robinson 2003, 6.4).

    Raises:
        UsageError: true ratios that cannot be meant.
        UnsuitableError: no scan, several methods or acquisitions, no region with a ratio and an interval, or a
            ratio that cannot be told from 0.
    """
    _check_alike(scans)
    measurements = [one for scan in scans for one in _measurements(scan)]
    regions = {}
    for region in voi.MEASURED:
        found = [one for one in measurements if one.region == region]
        if found:
            regions[region] = _slope(found, region)
    if not regions:
        raise _unfit("No region of the phantom could be measured.", "regions", "no ratio with an interval")
    return Recovery(
        name=name,
        method_id=scans[0].quantification.method_id,
        acquisition=Conditions.of(scans[0].acquisition),
        regions=regions,
        measurements=tuple(measurements),
        provenance=provenance,
    )


def _check_alike(scans: Sequence[PhantomScan]) -> None:
    if not scans:
        raise _unfit("There is no scan of a phantom.", "scans", "none")
    methods = sorted({one.quantification.method_id for one in scans})
    conditions = sorted({str(Conditions.of(one.acquisition)) for one in scans})
    if len(methods) > 1 or SUFFIX in methods[0]:
        raise _unfit("Factors need one method that is not corrected already.", "method_id", "; ".join(methods))
    if len(conditions) > 1:
        raise _unfit("These phantom scans were not made alike.", "acquisition", "; ".join(conditions))


def _unfit(what: str, where: str, found: str) -> UnsuitableError:
    return UnsuitableError(
        what,
        where=where,
        found=found,
        expected="scans of a striatal phantom, all made by one camera and reconstruction",
        fix="Look at the scan and its registration (dopascope read), and check the table of true ratios.",
    )


def _measurements(scan: PhantomScan) -> list[Measurement]:
    found = []
    for region, true in complete_truth(scan.truth).items():
        seen: Region = scan.quantification.regions[region]
        if seen.sbr is not None and seen.interval is not None:
            found.append(
                Measurement(scan=scan.name, region=region, true_ratio=true, sbr=seen.sbr, interval=seen.interval)
            )
    return found


def _slope(found: Sequence[Measurement], region: str) -> Factor:
    measured, true = np.array([one.sbr for one in found]), np.array([one.true_ratio for one in found])
    sd = np.array([(one.interval[1] - one.interval[0]) / (2 * NORMAL_95) for one in found])
    weights = 1 / np.maximum(sd, 1e-6 * np.abs(true)) ** 2
    factor = float((weights * measured * true).sum() / (weights * true**2).sum())
    variance = 1 / (weights * true**2).sum()
    if len(found) > 1:
        variance *= max(1.0, float((weights * (measured - factor * true) ** 2).sum() / (len(found) - 1)))
    half = NORMAL_95 * float(np.sqrt(variance))
    if factor - half <= 0:
        raise _unfit(
            "The phantom's ratio cannot be told from 0.",
            region,
            f"measured {', '.join(f'{m:.2f}' for m in measured)} for a true {', '.join(f'{t:g}' for t in true)}",
        )
    return Factor(factor=factor, sd=half / NORMAL_95, interval=(factor - half, factor + half), n=len(found))
