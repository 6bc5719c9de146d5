"""What a cohort is made of: the plan, and the participants that follow from its seed, each on their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from dopascope.errors import UsageError
from dopascope.phantom import GROUPS, MIX, SITES, Person, Pose, check_mix, draw_group, draw_person, draw_pose
from dopascope.phantom.people import Group
from dopascope.simulate import asked
from dopascope.simulate.asked import one_of, whole
from dopascope.volume import Acquisition

FORM: Final = "dopascope.cohort-plan/1"
MODALITIES: Final = ("dat",)
"""Of this kind of plan; T1 has `t1_plan.T1Plan`."""
PHYSICS: Final = ("image", "projection")
FORMATS: Final = ("nifti", "dicom")
SPACING_SIGNS: Final[Mapping[str, tuple[int, ...]]] = {"both": (1, -1), "positive": (1,), "negative": (-1,)}
MOST_SUBJECTS: Final = 99_999
"""Names have five digits, so that a participant's name does not depend on the number of others."""

TILT_DEG: Final = 15.0
SHIFT_MM: Final = 10.0
SCALE: Final = (0.94, 1.06)
AXES: Final = ("RAS", "LAS", "LPS", "RPI", "LPI")
CUT_SHARE: Final = 0.3
CUT_MM: Final = 16.0
"""So many scans lack slices at each end, and at the most so much of the field of view (FACTS: truncation)."""

CORRECTIONS: Final = ("UNIF", "COR")
"""Terms of Corrected Image (PS3.3 C.8.4.9) that hold for every simulated scan: the detector is even and centred."""

RADIONUCLIDE: Final = "^123^Iodine"
"""Meaning of the code in DICOM (PS3.16, CID 18), so that both formats say the same."""


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a cohort.

    Raises:
        UsageError: a field that cannot be meant, named in `where`.
    """

    subjects: int
    seed: int
    modality: str = "dat"
    physics: str = "image"
    """`image`: calibrated image-space cameras; `projection`: projections and their reconstruction, needs torch."""
    format: str = "nifti"
    sites: tuple[str, ...] = tuple(sorted(SITES))
    """Names of `phantom.SITES`; each participant is scanned at one of them, all equally likely."""
    mix: Mapping[str, float] = field(default_factory=lambda: dict(MIX))
    """Share of each group of `phantom.GROUPS`; together 1."""
    spacing_sign: str = "both"
    """Stacking direction of DICOM slices; `both` draws one for each participant."""
    ideal: bool = True
    """Whether `truth.tsv` has the ideal measured ratios, which costs more than the scan."""

    def __post_init__(self) -> None:
        one_of("modality", self.modality, MODALITIES)
        whole("subjects", self.subjects, 1, MOST_SUBJECTS)
        whole("seed", self.seed, 0, 2**63 - 1)
        one_of("physics", self.physics, PHYSICS)
        one_of("format", self.format, FORMATS)
        one_of("spacing_sign", self.spacing_sign, tuple(SPACING_SIGNS))
        asked.check_sites(self.sites, SITES)
        check_mix(self.mix)
        object.__setattr__(self, "sites", tuple(sorted(self.sites)))
        object.__setattr__(self, "mix", {name: self.mix[name] for name in GROUPS if self.mix.get(name)})

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready data, with each site's facts and the priors of poses: what `plan.json` holds."""
        return {
            "form": FORM,
            "asked": asdict(self),
            "sites": {name: {**asdict(SITES[name]), "camera": asdict(SITES[name].camera)} for name in self.sites},
            "poses": {"tilt_deg": TILT_DEG, "shift_mm": SHIFT_MM, "scale": SCALE, "axes": AXES, "cut_mm": CUT_MM},
            "assumed": list(self.assumed()),
        }

    def assumed(self) -> tuple[str, ...]:
        """What was not asked for and had to be chosen, each printed as ASSUMED."""
        limits = f"tilt within {TILT_DEG:g} degrees, shift within {SHIFT_MM:g} mm, size {SCALE[0]:g} to {SCALE[1]:g}"
        cut = f"{CUT_SHARE:.0%} of scans lack up to {CUT_MM:g} mm at the lower end, as many at the upper"
        found = [f"poses: {limits}, array axes one of {', '.join(AXES)}; {cut}"]
        if self.ideal:
            found.append("ideal ratios are those of the site's image-space camera, without noise")
        return tuple(found)

    def participant(self, number: int) -> Participant:
        """Participant `number`, from 1: the same for any number of subjects.

        Raises:
            UsageError: a number below 1.
        """
        whole("number", number, 1, MOST_SUBJECTS)
        rng = np.random.default_rng([self.seed, number, 23])
        seed = int(rng.integers(2**52))
        site = self.sites[int(rng.random() * len(self.sites))]
        axes = AXES[int(rng.random() * len(AXES))]
        cut = rng.random(2) < CUT_SHARE, rng.random(2) * CUT_MM / SITES[site].slice_mm
        below, above = (round(amount) if wanted else 0 for wanted, amount in zip(*cut, strict=True))
        signs = SPACING_SIGNS[self.spacing_sign]
        sign = signs[int(rng.random() * len(signs))]
        pose = draw_pose(seed, tilt_deg=TILT_DEG, shift_mm=SHIFT_MM, scale=SCALE, axes=axes)
        return Participant(
            number=number,
            seed=seed,
            group=draw_group(seed, self.mix),
            site=site,
            pose=replace(pose, cut=(below, above)),
            spacing_sign=sign,
        )


class Named:
    """Names that follow from a participant's number."""

    number: int

    @property
    def participant_id(self) -> str:
        """Such as `sub-00001`."""
        return f"sub-{self.number:05d}"

    @property
    def scan_id(self) -> str:
        """Such as `sub-00001_ses-01`."""
        return f"{self.participant_id}_{SESSION}"


@dataclass(frozen=True)
class Participant(Named):
    """One simulated participant: who, where, how they lie, and how the scan is stored."""

    number: int
    seed: int
    """Of the person, the pose and the noise."""
    group: Group
    site: str
    pose: Pose
    spacing_sign: int

    def person(self) -> Person:
        """Who they are."""
        return draw_person(self.seed, self.group)

    def acquisition(self, person: Person) -> Acquisition:
        """What the scan's header says."""
        facts = SITES[self.site].acquisition(age_years=person.age, sex=person.sex)
        done = (("ATTN", facts.attenuation_corrected), ("SCAT", facts.scatter_corrected))
        return replace(
            facts, radionuclide=RADIONUCLIDE, corrections=CORRECTIONS + tuple(term for term, applied in done if applied)
        )


SESSION: Final = "ses-01"


def parse_mix(text: str) -> dict[str, float]:
    """`"healthy=.5,pd=.5"` as shares of groups.

    Raises:
        UsageError: not of this shape, an unknown group, one named twice, or shares that are no mixture.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        try:
            share = float(number)
        except ValueError:
            share = float("nan")
        if not equals or name in shares or name not in GROUPS or not np.isfinite(share):
            raise UsageError(
                "The mixture of groups cannot be read." if name in GROUPS else "There is no such group of people.",
                where="mix",
                found=part.strip() or "nothing",
                expected=f"GROUP=SHARE, each group once; groups: {', '.join(GROUPS)}",
                fix="Write for example --mix healthy=0.5,pd=0.5.",
            )
        shares[name] = share
    check_mix(shares)
    return shares


def parse_sites(text: str) -> tuple[str, ...]:
    """`"a,b"` as names of sites.

    Raises:
        UsageError: an unknown site, or one named twice.
    """
    return asked.sites(text, SITES)
