"""Checks of what a cohort is asked to be, with the option named."""

from __future__ import annotations

import numpy as np

from dopascope.errors import UsageError


def one_of(name: str, found: str, known: tuple[str, ...]) -> None:
    """Raise UsageError where `found` is not `known`."""
    if found not in known:
        raise impossible(name, found, ", ".join(known))


def whole(name: str, found: object, low: int, high: int) -> None:
    """Raise UsageError where `found` is no whole number of that range."""
    if isinstance(found, bool) or not isinstance(found, int | np.integer) or not low <= found <= high:
        raise impossible(name, found, f"a whole number, {low} to {high}")


def impossible(name: str, found: object, expected: str) -> UsageError:
    """The error that a field cannot be meant."""
    option = f"--{name.replace('_', '-')}"
    return UsageError(
        f"The cohort's {name.replace('_', ' ')} cannot be meant.",
        where=name,
        found=found,
        expected=expected,
        fix=f"Give {option} a value of that kind.",
    )
