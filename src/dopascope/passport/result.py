"""What the passport says: a verdict, its reasons, and every check behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal

Verdict = Literal["in-distribution", "unusual", "refused"]
CheckVerdict = Literal["in-distribution", "unusual", "refused", "not stated"]

_SEVERITY: Final[dict[str, int]] = {"not stated": 0, "in-distribution": 0, "unusual": 1, "refused": 2}


@dataclass(frozen=True)
class Check:
    """One test of a scan's fitness. `value` is None where the header or the image does not say."""

    name: str
    value: float | str | None
    unit: str
    verdict: CheckVerdict
    expected: str
    explanation: str


@dataclass(frozen=True)
class Passport:
    """Whether a scan is fit to be read as what it is given as, with the reasons against it and all checks."""

    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]

    def check(self, name: str) -> Check:
        """The check of that name. Raises KeyError when it was not made."""
        for one in self.checks:
            if one.name == name:
                return one
        raise KeyError(f"{name!r} is not one of {[one.name for one in self.checks]}")


def issue(checks: Iterable[Check]) -> Passport:
    """The passport of these checks: as bad as its worst check, with each bad check as a reason, worst first."""
    made = tuple(checks)
    bad = sorted((one for one in made if _SEVERITY[one.verdict]), key=lambda one: -_SEVERITY[one.verdict])
    worst = max((_SEVERITY[one.verdict] for one in made), default=0)
    verdict: Verdict = "refused" if worst == 2 else "unusual" if worst == 1 else "in-distribution"
    return Passport(verdict, tuple(_reason(one) for one in bad), made)


def within(
    name: str,
    value: float,
    unit: str,
    *,
    usual: tuple[float, float],
    possible: tuple[float, float],
    explanation: str,
) -> Check:
    """A check of a number: in-distribution within `usual`, unusual within `possible`, else refused; limits included.

    NaN and infinity are refused as not measurable.
    """
    if not isfinite(value):  # JSON has no infinity, and a reader of a report no use for one
        return Check(name, "not measurable", unit, "refused", _range(usual, unit), explanation)
    verdict: CheckVerdict = "refused"
    if usual[0] <= value <= usual[1]:
        verdict = "in-distribution"
    elif possible[0] <= value <= possible[1]:
        verdict = "unusual"
    return Check(name, float(value), unit, verdict, _range(usual, unit), explanation)


def _range(usual: tuple[float, float], unit: str) -> str:
    low, high = usual
    if high == float("inf"):
        return f"at least {low:g} {unit}".rstrip()
    if low == float("-inf") or low == 0:
        return f"at most {high:g} {unit}".rstrip()
    return f"{low:g} to {high:g} {unit}".rstrip()


def _reason(check: Check) -> str:
    value = f"{check.value:.3g}" if isinstance(check.value, float) else str(check.value)
    return (
        f"{check.name.replace('_', ' ')} {value} {check.unit}".rstrip()
        + f" (expected {check.expected}): {check.explanation}"
    )
