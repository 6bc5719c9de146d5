"""Sites: a collimator, an orbit, a count level, a reconstruction with its corrections and a filter, under one name.

A site says how projections are made and reconstructed (`dopascope.physics`); `Site.camera` is the same site seen
from its images, with values calibrated against projections. All sites are invented within published ranges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, Literal

from dopascope.errors import UsageError
from dopascope.phantom.camera import Camera
from dopascope.phantom.collimators import COLLIMATORS as COLLIMATORS
from dopascope.phantom.collimators import INTRINSIC_MM as INTRINSIC_MM
from dopascope.phantom.collimators import Collimator as Collimator
from dopascope.volume import Acquisition

HEAD_RADIUS_MM: Final = 105.0
"""An orbit must pass outside a head of common size that lies 10 mm beside the axis."""
LARGEST_RADIUS_MM: Final = 300.0
CALIBRATION_FILE: Final = "sites.json"
CALIBRATION_FORM: Final = "dopascope.sites/1"

Reconstruction = Literal["fbp", "osem"]
AttenuationCorrection = Literal["none", "chang", "map"]
ScatterCorrection = Literal["none", "tew"]
FilterKind = Literal["butterworth", "gaussian", "none"]
RECONSTRUCTIONS: Final = ("fbp", "osem")
ATTENUATION: Final = ("none", "chang", "map")
SCATTER: Final = ("none", "tew")
FILTERS: Final = ("butterworth", "gaussian", "none")


@dataclass(frozen=True)
class PostFilter:
    """A low-pass filter after reconstruction.

    Butterworth: amplitude 1 / (1 + (f / cutoff)^(2 order)), f in cycles/cm. Gaussian: by its FWHM.
    """

    kind: FilterKind = "none"
    cutoff_per_cm: float | None = None
    order: int | None = None
    fwhm_mm: float | None = None

    def __post_init__(self) -> None:
        _one_of("filter", self.kind, FILTERS)
        if self.kind == "butterworth":
            _within("filter.cutoff_per_cm", self.cutoff_per_cm, 0.05, 5.0, "cycles/cm")
            _within("filter.order", self.order, 1, 20, "")
        if self.kind == "gaussian":
            _within("filter.fwhm_mm", self.fwhm_mm, 0.5, 40.0, "mm")

    @property
    def text(self) -> str:
        """In words, as a header would give it."""
        if self.kind == "butterworth":
            return f"Butterworth {self.cutoff_per_cm:g}/cm order {self.order}"
        if self.kind == "gaussian":
            return f"Gaussian {self.fwhm_mm:g} mm"
        return "none"


@dataclass(frozen=True)
class Site:
    """How one place makes its scans. Refused with the field named when it cannot be meant.

    Raises:
        UsageError: a field outside its range, or a collimator, reconstruction, correction or filter there is not.
    """

    name: str
    collimator: str
    """One of `COLLIMATORS`."""
    radius_mm: float
    """Circular orbit: distance of the collimator's face from the axis."""
    pixel_mm: float
    matrix: tuple[int, int]
    """Pixels across x and y of a transaxial slice."""
    slices: int
    slice_mm: float
    angles: int
    counts: float
    """Counts in the photopeak window over all angles, scatter and penetration included."""
    reconstruction: Reconstruction
    iterations: int = 1
    subsets: int = 1
    resolution_model: bool = False
    """OSEM knows the collimator's blur."""
    attenuation: AttenuationCorrection = "none"
    """Correction: none, Chang with a uniform ellipse, or a map."""
    scatter: ScatterCorrection = "none"
    """Correction: none, or triple energy window."""
    filter: PostFilter = field(default_factory=PostFilter)
    scale: float = 20.0
    """Stored value of grey matter's unspecific uptake: arbitrary, as cameras' scales are."""
    clipped: bool = True
    """Negative values are set to zero."""

    def __post_init__(self) -> None:
        _one_of("collimator", self.collimator, tuple(COLLIMATORS))
        _one_of("reconstruction", self.reconstruction, RECONSTRUCTIONS)
        _one_of("attenuation", self.attenuation, ATTENUATION)
        _one_of("scatter", self.scatter, SCATTER)
        _within("radius_mm", self.radius_mm, HEAD_RADIUS_MM, LARGEST_RADIUS_MM, "mm, outside the head")
        _within("pixel_mm", self.pixel_mm, 0.5, 10.0, "mm")
        _within("slice_mm", self.slice_mm, 0.5, 10.0, "mm")
        for n in self.matrix:
            _within("matrix", n, 16, 512, "pixels")
        _within("slices", self.slices, 8, 512, "slices")
        _within("angles", self.angles, 8, 720, "angles")
        _within("counts", self.counts, 1e3, 1e10, "counts")
        _within("iterations", self.iterations, 1, 1000, "iterations")
        _within("subsets", self.subsets, 1, self.angles, "subsets, no more than angles")
        _within("scale", self.scale, 1e-6, 1e9, "")
        if self.angles % self.subsets:
            raise _refusal("subsets", self.subsets, f"a divisor of {self.angles} angles")
        if self.reconstruction == "fbp" and self.resolution_model:
            raise _refusal("resolution_model", True, "False, since FBP has no model of resolution")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z of the reconstructed volume."""
        return self.matrix[0], self.matrix[1], self.slices

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edges along x, y, z."""
        return self.pixel_mm, self.pixel_mm, self.slice_mm

    @property
    def reconstruction_text(self) -> str:
        """In words, as a header would give it."""
        if self.reconstruction == "fbp":
            return "FBP"
        text = f"OSEM {self.iterations}i{self.subsets}s"
        return f"{text} resolution model" if self.resolution_model else text

    @property
    def camera(self) -> Camera:
        """The site seen from its images, with the shipped calibration.

        Raises:
            UsageError: a site that was never calibrated.
        """
        known = calibration()["sites"].get(self.name)
        if known is None:
            raise UsageError(
                "This site has no image-space calibration.",
                where="site",
                found=self.name,
                expected=tuple(calibration()["sites"]),
                fix="Simulate it from projections, or calibrate it with python -m dopascope.physics.calibrate.",
            )
        values = {name: float(known[name]) for name in CALIBRATED}
        return Camera(
            self.name,
            self.shape,
            self.spacing_mm,
            counts=self.counts,
            scale=self.scale,
            clipped=self.clipped,
            **values,
        )

    def acquisition(self, *, age_years: float | None = None, sex: str | None = None) -> Acquisition:
        """What the header of a scan from this site says; normals are matched by it."""
        return Acquisition(
            modality="NM",
            image_type=("DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"),
            manufacturer=MANUFACTURER,
            model=self.name,
            radiopharmaceutical="Ioflupane",
            radionuclide="I-123",
            collimator=self.collimator,
            reconstruction=self.reconstruction_text,
            filter=self.filter.text,
            attenuation_corrected=self.attenuation != "none",
            scatter_corrected=self.scatter != "none",
            age_years=age_years,
            sex=sex,
        )


MANUFACTURER: Final = "dopascope simulated"
CALIBRATED: Final = ("fwhm_mm", "haze", "haze_fwhm_mm", "attenuation_per_cm", "noise_fwhm_mm", "amplification")
"""The fields of `Camera` that the calibration file holds for each site."""


@cache
def calibration() -> Mapping[str, Any]:
    """The shipped calibration: `form`, `made` (how) and `sites`: name -> the values of `CALIBRATED` and more."""
    content: dict[str, Any] = json.loads(files("dopascope.phantom").joinpath("data", CALIBRATION_FILE).read_bytes())
    return MappingProxyType(content)


def _refusal(name: str, found: object, expected: object) -> UsageError:
    return UsageError("There cannot be such a site.", where=name, found=found, expected=expected)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _refusal(name, value, known)


def _within(name: str, value: float | None, low: float, high: float, unit: str) -> None:
    if value is None or not low <= value <= high:
        raise _refusal(name, value, f"{low:g} to {high:g} {unit}".strip())


_FBP: Final = PostFilter("butterworth", cutoff_per_cm=0.5, order=7)

SITES: Final[Mapping[str, Site]] = MappingProxyType(
    {
        site.name: site
        for site in (
            Site(
                "siemens-lehr-fbp-chang",
                "siemens-lehr",
                radius_mm=135,
                pixel_mm=3.9,
                matrix=(128, 128),
                slices=50,
                slice_mm=3.9,
                angles=120,
                counts=2e6,
                reconstruction="fbp",
                attenuation="chang",
                filter=_FBP,
                scale=3.0,
                clipped=False,
            ),
            Site(
                "siemens-lehr-osem",
                "siemens-lehr",
                radius_mm=150,
                pixel_mm=3.3,
                matrix=(128, 128),
                slices=60,
                slice_mm=3.3,
                angles=120,
                counts=1.5e6,
                reconstruction="osem",
                iterations=8,
                subsets=8,
                filter=PostFilter("gaussian", fwhm_mm=8.0),
                scale=45.0,
            ),
            Site(
                "siemens-leuhr-osem-rr-map-tew",
                "siemens-leuhr",
                radius_mm=130,
                pixel_mm=2.46,
                matrix=(128, 128),
                slices=64,
                slice_mm=3.2,
                angles=120,
                counts=3e6,
                reconstruction="osem",
                iterations=10,
                subsets=8,
                resolution_model=True,
                attenuation="map",
                scatter="tew",
                filter=PostFilter("gaussian", fwhm_mm=6.0),
                scale=310.0,
            ),
            Site(
                "siemens-leap-fbp",
                "siemens-leap",
                radius_mm=145,
                pixel_mm=4.42,
                matrix=(64, 64),
                slices=44,
                slice_mm=4.42,
                angles=60,
                counts=1e6,
                reconstruction="fbp",
                attenuation="chang",
                filter=PostFilter("butterworth", cutoff_per_cm=0.46, order=5),
                scale=120.0,
                clipped=False,
            ),
            Site(
                "siemens-me-osem-chang-tew",
                "siemens-me",
                radius_mm=140,
                pixel_mm=4.0,
                matrix=(128, 128),
                slices=50,
                slice_mm=4.0,
                angles=120,
                counts=3e6,
                reconstruction="osem",
                iterations=8,
                subsets=8,
                attenuation="chang",
                scatter="tew",
                filter=PostFilter("gaussian", fwhm_mm=6.0),
                scale=60.0,
            ),
            Site(
                "ge-lehr-osem-chang",
                "ge-lehr",
                radius_mm=140,
                pixel_mm=2.95,
                matrix=(128, 128),
                slices=64,
                slice_mm=2.95,
                angles=120,
                counts=2.5e6,
                reconstruction="osem",
                iterations=4,
                subsets=8,
                attenuation="chang",
                filter=PostFilter("butterworth", cutoff_per_cm=0.6, order=10),
                scale=12.0,
            ),
            Site(
                "ge-elegp-osem-map",
                "ge-elegp",
                radius_mm=125,
                pixel_mm=3.68,
                matrix=(128, 128),
                slices=56,
                slice_mm=3.68,
                angles=120,
                counts=4e6,
                reconstruction="osem",
                iterations=10,
                subsets=8,
                attenuation="map",
                filter=PostFilter("gaussian", fwhm_mm=6.0),
                scale=200.0,
            ),
            Site(
                "philips-lehr-osem-rr-map",
                "philips-lehr",
                radius_mm=145,
                pixel_mm=3.3,
                matrix=(128, 128),
                slices=60,
                slice_mm=3.3,
                angles=120,
                counts=2e6,
                reconstruction="osem",
                iterations=8,
                subsets=8,
                resolution_model=True,
                attenuation="map",
                filter=PostFilter("gaussian", fwhm_mm=8.0),
                scale=30.0,
            ),
            Site(
                "mediso-leuhr-osem-rr-chang-tew",
                "mediso-leuhr",
                radius_mm=115,
                pixel_mm=2.1,
                matrix=(128, 128),
                slices=90,
                slice_mm=2.1,
                angles=96,
                counts=2.5e6,
                reconstruction="osem",
                iterations=10,
                subsets=8,
                resolution_model=True,
                attenuation="chang",
                scatter="tew",
                filter=PostFilter("gaussian", fwhm_mm=7.0),
                scale=500.0,
            ),
            Site(
                "mediso-lehr-fbp-chang-tew",
                "mediso-lehr",
                radius_mm=170,
                pixel_mm=4.5,
                matrix=(128, 128),
                slices=44,
                slice_mm=4.5,
                angles=64,
                counts=0.8e6,
                reconstruction="fbp",
                attenuation="chang",
                scatter="tew",
                filter=PostFilter("butterworth", cutoff_per_cm=0.38, order=3),
                scale=7.0,
                clipped=False,
            ),
        )
    }
)
"""Presets: maker and collimator, reconstruction (rr: with resolution model), attenuation and scatter correction."""
