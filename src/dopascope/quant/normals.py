"""Normal values: a regression of each region's ratio on age and sex, valid for one method on one camera.

A normals file is JSON data and names the method and the conditions it was fitted under. It is used only where both
are the scan's; ratios of different methods differ by a factor of two on the same scan (Tossici-Bolt et al. 2017,
EJNMMI Phys 4:8).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from dopascope.quant.conditions import Conditions
from dopascope.quant.stored import Provenance, Stored, read_stored
from dopascope.volume import Acquisition, Sex

SCHEMA: Final = "dopascope.normals/2"
OLDER: Final = "dopascope.normals/1"
"""Form 1 stated the two corrections alone and no covariance; it is still read."""
CORRECTIONS: Final = ("attenuation_corrected", "scatter_corrected")

SEXES: Final = {"F": "women", "M": "men"}


class Regression(Stored):
    """expected = intercept + age_slope * age_years + female * (sex is F), with residual standard deviation."""

    intercept: float
    age_slope: float = Field(description="per year")
    female: float | None = Field(description="added for women; null where people of one sex were fitted")
    residual_sd: float = Field(gt=0)
    unscaled_covariance: tuple[tuple[float, ...], ...] | None = Field(
        default=None,
        description="(X'X)^-1 of intercept, age_slope and, where fitted, female; times residual_sd^2 their covariance",
    )

    @model_validator(mode="after")
    def _check_covariance(self) -> Regression:
        size = 2 if self.female is None else 3
        if self.unscaled_covariance is not None:
            if [len(row) for row in self.unscaled_covariance] != [size] * size:
                raise ValueError(f"unscaled_covariance is not {size} x {size}")
            matrix = np.array(self.unscaled_covariance)
            if not np.allclose(matrix, matrix.T, rtol=1e-6) or np.linalg.eigvalsh(matrix).min() <= 0:
                raise ValueError("unscaled_covariance is not symmetric and positive definite")
        return self

    def expected(self, age_years: float, sex: Sex) -> float:
        """The normal ratio at this age and sex."""
        return self.intercept + self.age_slope * age_years + (self.female or 0.0) * (sex == "F")

    def spread(self, age_years: float, sex: Sex) -> float:
        """Standard deviation of a new healthy person's ratio about `expected`.

        s sqrt(1 + x' (X'X)^-1 x): spread between people and uncertainty of the fitted line together (Seber and Lee
        2003, Linear Regression Analysis, 5.3.1). Without the covariance (form 1) the residual s alone.
        """
        if self.unscaled_covariance is None:
            return self.residual_sd
        at = np.array([1.0, age_years, float(sex == "F")])[: len(self.unscaled_covariance)]
        return self.residual_sd * math.sqrt(1 + float(at @ np.array(self.unscaled_covariance) @ at))


class Normals(Stored):
    """One normals file: population, method, conditions and a regression per region."""

    form: Literal["dopascope.normals/2"] = SCHEMA
    name: str
    method_id: str
    population: str
    simulated: bool
    n: int = Field(ge=2)
    women: int | None = Field(default=None, ge=0)
    age_range: tuple[float, float]
    sex: Sex | None = Field(default=None, description="the only sex among them; null for both")
    acquisition: Conditions
    provenance: Provenance
    regions: dict[str, Regression]

    @model_validator(mode="after")
    def _check_simulated(self) -> Normals:
        if self.simulated and not (self.acquisition.simulated and self.acquisition.model):
            raise ValueError("simulated normals must state the simulated manufacturer and model")
        return self

    @property
    def title(self) -> str:
        """The name as a reading shows it: that people were simulated is always said."""
        return (
            f"{self.name} (simulated healthy people)" if self.simulated and "simulated" not in self.name else self.name
        )

    def mismatch(self, method_id: str, acquisition: Acquisition) -> str | None:
        """Why these normals may not be used for a scan measured so, or None when they may."""
        if method_id != self.method_id:
            return f"normals {self.name!r} were fitted with method {self.method_id}, this scan with {method_id}"
        differs = self.acquisition.difference(Conditions.of(acquisition))
        return None if differs is None else f"normals {self.name!r} are of other scans than this ({differs})"

    def wrong_sex(self, sex: Sex) -> str | None:
        """Why these normals may not be used for this person, or None when they may."""
        if self.sex is None or sex == self.sex:
            return None
        return f"normals {self.name!r} are of {SEXES[self.sex]} only"

    def caveats(self, acquisition: Acquisition, age_years: float) -> list[str]:
        """What a reader of a z-score from these normals must know about this scan."""
        notes = []
        if self.simulated:
            notes.append(
                "expected, z and percent of expected are against simulated healthy people, not against real ones: "
                f"{self.title}"
            )
        scan, whose = Conditions.of(acquisition), f"normals {self.name!r}"
        notes += [
            f"the header does not say: {fact}; {whose} have {value}" for fact, value in self.acquisition.doubts(scan)
        ]
        notes += self.acquisition.silence(whose, scan)
        low, high = self.age_range
        if not low <= age_years <= high:
            notes.append(f"age {age_years:g} is outside the normals' range of {low:g} to {high:g} years")
        return notes


def load_normals(path: Path | str) -> Normals:
    """Read a normals file of form 2, or of the older form 1.

    Raises:
        UnreadableError: it cannot be opened, is larger than `stored.MAX_BYTES`, is not JSON or lacks a field.
    """
    return read_stored(
        Path(path),
        Normals,
        what="This is not a normals file.",
        expected=f"JSON of the form {SCHEMA} (docs/methods.md, Normal values)",
        fix="Check the path, or fit normals again with the method you use (dopascope quantify --fit-normals).",
        renew=_renewed,
    )


def _renewed(content: dict[str, Any]) -> dict[str, Any]:
    """A file of form 1 as form 2: of the conditions it knew the corrections alone, and its provenance was a text."""
    if content.get("form") != OLDER:
        return content
    renewed = {name: value for name, value in content.items() if name not in CORRECTIONS}
    conditions = {name: content.get(name) for name in CORRECTIONS}
    renewed |= {"form": SCHEMA, "simulated": False, "acquisition": conditions}
    if "provenance" in content:
        renewed["provenance"] = {"how": content["provenance"]}
    return renewed
