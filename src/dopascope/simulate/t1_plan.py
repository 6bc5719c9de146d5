"""What a cohort of T1-weighted scans is made of: the plan, and the participants that follow from its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from dopascope.phantom import GROUPS, MIX, Person, Pose, check_mix, draw_group, draw_person, draw_pose
from dopascope.phantom.mr.anatomy import check_effect, priors
from dopascope.phantom.mr.scanners import SCANNERS, Scanner
from dopascope.phantom.people import Group
from dopascope.provenance import sha256_of
from dopascope.simulate import asked
from dopascope.simulate.asked import one_of, whole
from dopascope.simulate.plan import FORM, MOST_SUBJECTS, Named

MODALITIES: Final = ("t1",)
FORMATS: Final = ("nifti",)
TILT_DEG: Final = 12.0
SHIFT_MM: Final = 8.0
TEMPLATE: Final = "template"


@dataclass(frozen=True)
class T1Plan:
    """All that decides the bytes of a cohort of T1-weighted scans.

    Raises:
        UsageError: a field that cannot be meant, named in `where`.
        OSError: label maps that cannot be read.
    """

    subjects: int
    seed: int
    modality: str = "t1"
    format: str = "nifti"
    sites: tuple[str, ...] = tuple(sorted(SCANNERS))
    """Names of `SCANNERS`; each participant is scanned at one of them, all equally likely."""
    mix: Mapping[str, float] = field(default_factory=lambda: dict(MIX))
    """Share of each group of `phantom.GROUPS`; together 1."""
    spacing_mm: float | None = None
    """Cubic voxels instead of each site's own."""
    effect: float = 1.0
    """Scale of what groups take from volumes (`anatomy.EFFECTS`): 0 makes all groups healthy in T1."""
    labels: tuple[Path, ...] = ()
    """FreeSurfer label maps of further brains that people are made of, each as often as the template."""

    def __post_init__(self) -> None:
        one_of("modality", self.modality, MODALITIES)
        one_of("format", self.format, FORMATS)
        whole("subjects", self.subjects, 1, MOST_SUBJECTS)
        whole("seed", self.seed, 0, 2**63 - 1)
        asked.check_sites(self.sites, SCANNERS)
        check_mix(self.mix)
        check_effect(self.effect)
        for name in self.sites:
            self.scanner(name)
        object.__setattr__(self, "sites", tuple(sorted(self.sites)))
        object.__setattr__(self, "mix", {name: self.mix[name] for name in GROUPS if self.mix.get(name)})
        object.__setattr__(self, "labels", tuple(sorted(self.labels, key=lambda path: (path.name, sha256_of(path)))))

    def scanner(self, name: str) -> Scanner:
        """The site of a name, with the voxels asked for."""
        return SCANNERS[name] if self.spacing_mm is None else SCANNERS[name].cubic(self.spacing_mm)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready data: what `plan.json` holds."""
        known = {"names": [path.name for path in self.labels], "sha256": [sha256_of(path) for path in self.labels]}
        return {
            "form": FORM,
            "asked": asdict(self) | {"labels": known},
            "sites": {name: asdict(self.scanner(name)) for name in self.sites},
            "poses": {"tilt_deg": TILT_DEG, "shift_mm": SHIFT_MM},
            "people": priors(),
            "assumed": list(self.assumed()),
        }

    def assumed(self) -> tuple[str, ...]:
        """What was not asked for and had to be chosen, each printed as ASSUMED."""
        found = [f"poses: tilt within {TILT_DEG:g} degrees, shift within {SHIFT_MM:g} mm"]
        effects = priors()["effects_d"]
        said = "; ".join(f"{group}: {_listed(parts)}" for group, parts in effects.items() if group in self.mix)
        if said and self.effect:
            found.append(f"standardised differences of volumes, times {self.effect:g}: {said}; no others")
        if self.labels:
            found.append("the brain stem of label maps is parted where the template's is, once registered")
        return tuple(found)

    def participant(self, number: int) -> T1Participant:
        """Participant `number`, from 1: the same for any number of subjects.

        Raises:
            UsageError: a number below 1.
        """
        whole("number", number, 1, MOST_SUBJECTS)
        rng = np.random.default_rng([self.seed, number, 23])
        seed = int(rng.integers(2**52))
        site = self.sites[int(rng.random() * len(self.sites))]
        brain = int(rng.random() * (1 + len(self.labels)))
        pose = draw_pose(seed, tilt_deg=TILT_DEG, shift_mm=SHIFT_MM, scale=(1.0, 1.0))
        return T1Participant(
            number=number,
            seed=seed,
            group=draw_group(seed, self.mix),
            scanner=self.scanner(site),
            pose=replace(pose, axes=SCANNERS[site].axes),
            labels=None if brain == 0 else self.labels[brain - 1],
        )


@dataclass(frozen=True)
class T1Participant(Named):
    """One simulated participant: who, where, how they lie, and whose label map their brain is made of."""

    number: int
    seed: int
    """Of the person, the pose and the noise; the same person as in a DaT cohort of this seed and group."""
    group: Group
    scanner: Scanner
    pose: Pose
    labels: Path | None
    """None for the template."""

    def person(self) -> Person:
        """Who they are."""
        return draw_person(self.seed, self.group)


def parse_scanners(text: str) -> tuple[str, ...]:
    """`"a,b"` as names of sites.

    Raises:
        UsageError: an unknown site, or one named twice.
    """
    return asked.sites(text, SCANNERS)


def _listed(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:+g}" for name, value in parts.items())
