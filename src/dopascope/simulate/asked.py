"""Checks of what a cohort is asked to be, with the option named."""

from __future__ import annotations

from collections.abc import Collection

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


def sites(text: str, known: Collection[str]) -> tuple[str, ...]:
    """`"a,b"` as names of sites.

    Raises:
        UsageError: an unknown site, or one named twice.
    """
    names = tuple(part.strip() for part in text.split(","))
    check_sites(names, known)
    return names


def check_sites(names: tuple[str, ...], known: Collection[str]) -> None:
    """Raise UsageError for sites there are not, or one named twice."""
    wrong = [name for name in names if name not in known or names.count(name) > 1]
    if wrong or not names:
        twice = bool(wrong) and wrong[0] in known
        raise UsageError(
            "A site is named twice." if twice else "There is no such site.",
            where="sites",
            found=wrong[0] if wrong and wrong[0] else "nothing",
            expected=", ".join(known),
            fix="Name sites with commas between them, each once.",
        )
