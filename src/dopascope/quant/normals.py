"""Normal values: a regression of each region's ratio on age and sex, valid for one method only.

A normals file is JSON data and names the method it was fitted with. It is used only when that method is the
one in hand and the corrections agree; ratios of different methods differ by a factor of two on the same scan
(Tossici-Bolt et al. 2017, EJNMMI Phys 4:8).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dopascope.errors import UnreadableError
from dopascope.volume import Acquisition

SCHEMA: Final = "dopascope.normals/1"
MAX_BYTES: Final = 1 << 20
"""A normals file is a few kilobytes; anything beyond this is something else."""

Sex = Literal["F", "M"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Regression(_Data):
    """expected = intercept + age_slope * age_years + female * (sex is F), with residual standard deviation."""

    intercept: float
    age_slope: float = Field(description="per year")
    female: float = Field(description="added for women")
    residual_sd: float = Field(gt=0)

    def expected(self, age_years: float, sex: Sex) -> float:
        """The normal ratio at this age and sex."""
        return self.intercept + self.age_slope * age_years + self.female * (sex == "F")


class Normals(_Data):
    """One normals file: population, method and a regression per region."""

    form: Literal["dopascope.normals/1"]
    name: str
    method_id: str
    population: str
    n: int = Field(ge=2)
    age_range: tuple[float, float]
    attenuation_corrected: bool | None = None
    scatter_corrected: bool | None = None
    provenance: str
    regions: dict[str, Regression]

    def mismatch(self, method_id: str, acquisition: Acquisition) -> str | None:
        """Why these normals may not be used for a scan measured so, or None when they may."""
        if method_id != self.method_id:
            return f"normals {self.name!r} were fitted with method {self.method_id}, this scan with {method_id}"
        for kind in ("attenuation", "scatter"):
            fitted, seen = getattr(self, f"{kind}_corrected"), getattr(acquisition, f"{kind}_corrected")
            if fitted is not None and seen is not None and fitted != seen:
                states = {True: "with", False: "without"}
                return f"normals {self.name!r} are {states[fitted]} {kind} correction, this scan is {states[seen]} it"
        return None

    def caveats(self, acquisition: Acquisition, age_years: float) -> list[str]:
        """What a reader of a z-score from these normals must know about this scan."""
        notes = [
            f"the header does not say whether {kind} correction was done; normals {self.name!r} "
            f"are {'with' if getattr(self, f'{kind}_corrected') else 'without'} it"
            for kind in ("attenuation", "scatter")
            if getattr(self, f"{kind}_corrected") is not None and getattr(acquisition, f"{kind}_corrected") is None
        ]
        low, high = self.age_range
        if not low <= age_years <= high:
            notes.append(f"age {age_years:g} is outside the normals' range of {low:g} to {high:g} years")
        return notes


def load_normals(path: Path | str) -> Normals:
    """Read a normals file.

    Raises:
        UnreadableError: it cannot be opened, is larger than `MAX_BYTES`, is not JSON or lacks a field.
    """
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or "not readable") from error
    if len(text) > MAX_BYTES:
        raise _unreadable(path, f"more than {MAX_BYTES} bytes")
    try:
        return Normals.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _unreadable(path, f"{error.error_count()} faults, the first: {field} {first['msg']}".strip()) from error


def _unreadable(path: Path, found: str) -> UnreadableError:
    return UnreadableError(
        "This is not a normals file.",
        where=path,
        found=found,
        expected=f"JSON of the form {SCHEMA} (docs/methods.md, Normal values)",
        fix="Check the path, or fit normals again with the method you use.",
    )
