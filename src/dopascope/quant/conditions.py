"""Under which conditions a scan was made, as far as they change a binding ratio: what normals and recovery factors
are valid for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

from dopascope.volume import Acquisition

SIMULATED: Final = ("dopascope simulated", "dopascope phantom")
"""Manufacturers that stand in the header of simulated scans, and of no other."""

IDENTITY: Final = ("manufacturer", "model")
FACTS: Final = (
    *IDENTITY,
    "collimator",
    "reconstruction",
    "filter",
    "attenuation_corrected",
    "scatter_corrected",
)
"""What is compared, the camera first."""

_LONGEST: Final = 64
"""Characters of a header's text that are repeated in a sentence (a DICOM LO has no more)."""


class Conditions(BaseModel):
    """Camera, collimator, reconstruction, filter and corrections; None is 'not stated'."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manufacturer: str | None = None
    model: str | None = None
    collimator: str | None = None
    reconstruction: str | None = None
    filter: str | None = None
    attenuation_corrected: bool | None = None
    scatter_corrected: bool | None = None

    @classmethod
    def of(cls, acquisition: Acquisition) -> Conditions:
        """The conditions that a header states."""
        return cls(**{name: getattr(acquisition, name) for name in FACTS})

    @property
    def simulated(self) -> bool:
        """Whether these are of a simulated camera."""
        return _plain(self.manufacturer) in SIMULATED

    def difference(self, scan: Conditions) -> str | None:
        """The first fact that is not the same in a scan, with both values; None where nothing differs.

        A fact counts where both state it. Conditions of a simulated camera fit only scans that state the same
        manufacturer and model: a real scan that states nothing is refused.
        """
        for name in FACTS:
            mine, its = getattr(self, name), getattr(scan, name)
            if mine is None or same(mine, its):
                continue
            if its is not None or (self.simulated and name in IDENTITY):
                return f"{name.replace('_', ' ')}: {said(mine)} there, {said(its)} in this scan"
        return None

    def doubts(self, scan: Conditions) -> Iterator[tuple[str, str]]:
        """(fact, what is stated here) of each fact that the scan does not state."""
        for name in FACTS:
            mine = getattr(self, name)
            if mine is not None and getattr(scan, name) is None:
                yield name.replace("_", " "), said(mine)

    def silence(self, whose: str, scan: Conditions) -> list[str]:
        """One caution where these do not state what the scan does: nobody can tell whether they are of its camera."""
        unsaid = [name for name in FACTS if getattr(self, name) is None and getattr(scan, name) is not None]
        if not unsaid:
            return []
        facts = ", ".join(name.replace("_", " ") for name in unsaid)
        return [f"{whose} do not say: {facts}; nobody can tell whether they fit this scan"]

    def __str__(self) -> str:
        stated = [(name, getattr(self, name)) for name in FACTS if getattr(self, name) is not None]
        return ", ".join(f"{name.replace('_', ' ')} {said(value)}" for name, value in stated) or "nothing stated"


def said(value: str | bool | None) -> str:
    """A fact as it stands in a sentence: `'OSEM 8i8s'`, `yes`, `no`, `not stated`."""
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}...")


def same(one: str | bool | None, other: str | bool | None) -> bool:
    """Whether two facts are equal; case and spacing, in which headers of one camera vary, do not count."""
    return _plain(one) == _plain(other)


def _plain(value: str | bool | None) -> str | bool | None:
    return " ".join(value.split()).casefold() if isinstance(value, str) else value
