"""What was done to a scan that was de-identified: counts by attribute and action, never a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

FORM: Final = "dopascope.deidentified/1"
OPTIONS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
"""Codes of context group 7050 (PS3.16) for what is always done."""


@dataclass
class Removed:
    """Counts of what was done, and what a person has to look at."""

    pseudonym: str
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(attribute, action) -> how often; `private`, `unknown`, `curve` and `overlay` stand for all of that kind."""
    files: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Why a file is not in the copy -> how many."""
    warnings: list[str] = field(default_factory=list)

    def note(self, attribute: str, action: str) -> None:
        """Count one action."""
        self.counts[attribute, action] += 1

    def warn(self, text: str) -> None:
        """Keep a warning once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def add(self, other: Removed, name: str = "") -> None:
        """Take another's counts in, and its warnings with the name of the copy that they are about."""
        self.counts += other.counts
        self.left_out += other.left_out
        self.files += other.files
        for text in other.warnings:
            self.warn(f"{name}: {text}" if name else text)

    def total(self, action: str) -> int:
        """How often something was done."""
        return sum(count for (_, done), count in self.counts.items() if done == action)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: attributes in alphabetical order, with the count of each action."""
        table: dict[str, dict[str, int]] = {}
        for (attribute, action), count in sorted(self.counts.items()):
            table.setdefault(attribute, {})[action] = count
        return {
            "schema": FORM,
            "pseudonym": self.pseudonym,
            "profile": [{"code": code, "scheme": "DCM", "meaning": meaning} for code, meaning in OPTIONS.items()],
            "files": self.files,
            "left_out": dict(sorted(self.left_out.items())),
            "attributes": table,
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        """The same for people, a line an action."""
        actions = sorted({action for _, action in self.counts})
        return [
            f"{action:<9} {self.total(action):>6}  "
            + ", ".join(sorted({attribute for attribute, done in self.counts if done == action}))
            for action in actions
        ]
