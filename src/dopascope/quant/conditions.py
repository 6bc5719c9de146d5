"""Under which conditions a scan was made, as far as they change a binding ratio: what normals and recovery factors
are valid for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

from dopascope.volume import CAMERA_FACTS, FACTS, Acquisition, plain, said, same

SIMULATED: Final = ("dopascope simulated", "dopascope phantom")
"""Manufacturers that stand in the header of simulated scans, and of no other."""
SIMULATED_MODEL: Final = "simulated"
"""How the model of a simulated T1 scanner begins."""


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
        return plain(self.manufacturer) in SIMULATED

    @staticmethod
    def of_simulation(stated: Acquisition) -> bool:
        """Whether a table or header states a simulated camera or T1 scanner."""
        return str(stated.manufacturer) in SIMULATED or str(stated.model).startswith(SIMULATED_MODEL)

    def difference(self, scan: Conditions) -> str | None:
        """The first fact that is not the same in a scan, with both values; None where nothing differs.

        A fact counts where both state it. Conditions of a simulated camera fit only scans that state the same
        manufacturer and model: a real scan that states nothing is refused.
        """
        for name in FACTS:
            mine, its = getattr(self, name), getattr(scan, name)
            if mine is None or same(mine, its):
                continue
            if its is not None or (self.simulated and name in CAMERA_FACTS):
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
