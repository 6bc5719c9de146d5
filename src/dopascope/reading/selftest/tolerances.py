"""What `dopascope selftest` asks and what it accepts: set before the first run, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Limit:
    """One figure of a line and the values that pass, ends included."""

    what: str
    low: float | None
    high: float | None
    unit: str = ""
    digits: int = 1

    @property
    def text(self) -> str:
        """The limit in words, such as `at most 3 %`."""
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None:
            return f"at most {self.high:g}{unit}"
        if self.high is None:
            return f"at least {self.low:g}{unit}"
        if self.low == self.high:
            return "none" if self.high == 0 else f"{self.low:g}{unit}"
        return f"{self.low:g} to {self.high:g}{unit}"

    def holds(self, value: float | None) -> bool:
        """Whether `value` passes; what could not be measured does not."""
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Tolerance:
    """One line of the selftest: what is asked, what passes, why, and what a failure would mean."""

    key: str
    title: str
    asks: str
    limits: tuple[Limit, ...]
    reason: str
    failure: str


def _most(what: str, high: float, unit: str = "", digits: int = 1) -> Limit:
    return Limit(what, None, high, unit, digits)


def _exactly(what: str, value: float) -> Limit:
    return Limit(what, value, value, digits=0)


_LINES: Final = (
    Tolerance(
        "recovery",
        "Recovery coefficients",
        "Measured over true ratio of ten regions on every camera, without noise, beside the ideal recovery.",
        (
            _most("largest difference from the ideal recovery", 0.03, digits=3),
            _most("largest relative deviation", 5, "%"),
            _exactly("regions whose recovery does not fall with the resolution", 0),
        ),
        "Published recovery of striatal phantoms is 0.46 to 0.59: 0.03 is a twentieth of it. 5 % is less than the "
        "interval of one scan (about 8 %).",
        "Ratios are too high or too low on this computer: a lost rescale intercept, wrong regions or a registration "
        "that slips. Do not compare them with anything.",
    ),
    Tolerance(
        "bias",
        "Bias",
        "Mean over noisy scans of measured over ideal ratio, less one: eight poses at 2 million counts.",
        (_most("mean over regions, either sign", 2, "%"), _most("worst region, either sign", 4, "%")),
        "A quarter and a half of the 8 % by which one scan's interval reaches to each side.",
        "Repeating a scan would not find the right ratio: every ratio of this installation is shifted.",
    ),
    Tolerance(
        "sd",
        "Standard deviation",
        "Spread of the same eight scans about their mean, in per cent of the ideal ratio.",
        (_most("striatum, the worse side", 5, "%"), _most("worst region", 8, "%")),
        "Published test-retest variability of binding ratios in people is 8 to 11 % (PMID 15586635): measuring "
        "alone must stay below that.",
        "The measurement adds more scatter than patients do: small changes cannot be seen.",
    ),
    Tolerance(
        "counts",
        "Sensitivity to counts",
        "Striatal bias and spread at 0.5, 1, 2 and 4 million counts, eight drawn poses each.",
        (
            _most("largest striatal bias of any level", 3, "%"),
            Limit("spread at 0.5 million over spread at 4 million", 1.3, 5.5, digits=2),
        ),
        "Counts must change the noise, not the ratio. Counting alone makes the spread 2.8 times as large; errors of "
        "position do not grow, and eight scans know a spread to a quarter.",
        "Low-count scans read systematically high or low, or noise does not go with counts as physics wants.",
    ),
    Tolerance(
        "tilt",
        "Sensitivity to tilt",
        "Change of the ratios when the head nods, leans or turns by 5, 10 and 15 degrees, without noise.",
        (_most("largest change of any region", 4, "%"), _most("largest change of a striatum", 2, "%")),
        "How a head lies must not show: half and a quarter of one scan's 8 %.",
        "Badly positioned heads would read differently: the registration does not follow the head.",
    ),
    Tolerance(
        "shift",
        "Sensitivity to shift",
        "Change of the ratios when the head is moved by 5 and 10 mm along each axis, without noise.",
        (_most("largest change of any region", 4, "%"), _most("largest change of a striatum", 2, "%")),
        "As for tilt. The shifts are no whole number of voxels, so that interpolation is tested as well.",
        "As for tilt; or the interpolation between voxels is wrong.",
    ),
    Tolerance(
        "position",
        "Position and size",
        "Where the head was found, against where it lies: the scans of the two lines above.",
        (
            _most("striatum off by", 2, "mm"),
            _most("turned by", 2, "degrees"),
            _most("size of the head off by, along any axis", 3, "%"),
        ),
        "Half a voxel of the coarsest camera (4.4 mm); the tilt that moves the end of the putamen by 1 mm; two and a "
        "half standard deviations of the size (docs/methods.md).",
        "Position, spacing or voxel size was lost between file and measurement.",
    ),
    Tolerance(
        "left_right",
        "Left and right",
        "Phantoms with the left or the right striatum lower, as NIfTI and DICOM, in two axis orders.",
        (
            _exactly("scans with the wrong side lower", 0),
            _most("asymmetry of the putamen off its ideal by", 5, "points"),
        ),
        "A swapped side must never happen. 5 points are a quarter of the index of early disease (about 20 %).",
        "Left and right are swapped: stop using this installation for anything.",
    ),
    Tolerance(
        "storage",
        "Ways of storing",
        "The same scan in five axis orders, as NIfTI and as DICOM with both signs of Spacing Between Slices.",
        (_most("largest change of any region", 0.5, "%", 4),),
        "The same voxels at the same places; only the rounding to 16 bits differs (0.002 % of the maximum).",
        "A file's orientation is read wrongly: the same scan gives other ratios when it is exported otherwise.",
    ),
    Tolerance(
        "linearity",
        "Linearity",
        "True ratios 1.25, 2.5 and 5: how the measured ratio follows the true one, beside the ideal.",
        (
            _most("offset from the ideal at a true ratio of 0, by the two lower ones", 0.03, digits=3),
            _most("share of the ratio at 5, relative to the ideal share, off by", 3, "%"),
        ),
        "0.03 is 1 % of a healthy ratio. A blurred image is linear in activity; what is left is registration.",
        "A curve in the intensities: hot voxels are cut off or compressed.",
    ),
    Tolerance(
        "large",
        "Large-volume method",
        "Share of the true specific counts that the large volume holds, camera by camera, without noise.",
        (
            Limit("least share of any camera", 0.88, None, digits=3),
            _most("largest share of any camera", 1.05, digits=3),
            _most("fall from the sharpest to the bluntest camera", 8, "%"),
        ),
        "At least 0.91 at 14 mm was found at the known pose (docs/methods.md), less 3 % for the size of the head.",
        "The large-volume ratio depends on the camera more than it claims, or the head's size is found wrongly.",
    ),
    Tolerance(
        "coverage",
        "Intervals",
        "How many of the noisy scans' 95 % intervals hold the ideal ratio of the putamen, one side of each scan.",
        (
            Limit("upper end of the exact binomial interval of that share", 95, None, "%"),
            _most("median half-width of the interval", 15, "%"),
        ),
        "It fails where 27 or fewer of 32 hold it: their share is then clearly below 95 %. An interval wider than 15 % "
        "would hold everything and say nothing.",
        "The intervals promise more than they hold: do not call a change real by them.",
    ),
    Tolerance(
        "repeatability",
        "Repeatability",
        "The same noisy phantom made, written and read twice, as DICOM and as NIfTI.",
        (_exactly("files that differ", 0), _exactly("readings that differ", 0)),
        "The same input gives the same bytes on one computer; nothing is random.",
        "Something depends on chance, time or the number of threads: a result cannot be repeated.",
    ),
    Tolerance(
        "refusals",
        "Refusals",
        "A head without striatal uptake, and a field of view that ends below the striatum.",
        (_exactly("unfit scans that were read", 0),),
        "No ratio of such a scan means anything.",
        "Unfit scans are read as if they were sound.",
    ),
    Tolerance(
        "readers",
        "Readers",
        "A symmetric healthy and two asymmetric reduced phantoms on two cameras, read by every installed reader.",
        (_exactly("wrong or uncertain verdicts", 0),),
        "These are clear cases; real scans are not.",
        "A reader (the rule or an installed network) does not work on this computer as it did when it was made.",
    ),
)

TOLERANCES: Final[Mapping[str, Tolerance]] = {line.key: line for line in _LINES}
"""The lines of the selftest, in the order of the page."""
