"""What is wrong with a cohort, in one shape: how many, of whom, whether it fails, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that somebody should know before a model sees the cohort."""

    kind: str
    """Name that a program can look for, such as `unreadable`."""
    fails: bool
    """Whether the cohort should not be used like this; else it is a warning."""
    what: str
    """One sentence without names."""
    fix: str
    """What to do now."""
    who: tuple[str, ...] = ()
    """The scans, people, columns or labels concerned, each with what was met there."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return vars(self) | {"who": list(self.who)}


def of_any(kind: str, who: Iterable[str], *, fails: bool, what: str, fix: str) -> list[Finding]:
    """The finding, where it concerns anybody."""
    concerned = tuple(who)
    return [Finding(kind, fails, what, fix, concerned)] if concerned else []
