"""Compare what is installed with the published weaknesses of packages, by pip-audit.

    python release/audit_dependencies.py

Exit code 0: none is known; 1: some are, one a line; 3: the service that knows them cannot be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

COMMAND: Final = (
    *(sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--vulnerability-service", "osv"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "15"),
)
LONGEST_S: Final = 300


class NotAskedError(Exception):
    """The service cannot be reached, or pip-audit is not installed."""


@dataclass(frozen=True)
class Weakness:
    """A known weakness of an installed package."""

    package: str
    version: str
    number: str
    mended_in: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.package} {self.version}: {self.number}, mended in {', '.join(self.mended_in) or 'no version yet'}"
        )


def audit(run: Callable[..., Any] = subprocess.run) -> list[Weakness]:
    """Known weaknesses of what is installed here.

    Raises:
        NotAskedError: nobody could be asked.
    """
    if find_spec("pip_audit") is None:
        raise NotAskedError("pip-audit is not installed: pip install -e '.[dev]'")
    try:
        done = run(COMMAND, capture_output=True, text=True, timeout=LONGEST_S)
        told = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired) as error:
        raise NotAskedError(f"pip-audit had no answer ({type(error).__name__}): is there a network?") from error
    return weaknesses(told)


def weaknesses(told: dict[str, Any]) -> list[Weakness]:
    """What pip-audit's JSON says, by package."""
    found = [
        Weakness(one["name"], one.get("version", ""), known["id"], tuple(known.get("fix_versions", ())))
        for one in told["dependencies"]
        for known in one.get("vulns", ())
    ]
    return sorted(found, key=lambda one: (one.package, one.number))


def main() -> int:
    """Print what is known."""
    try:
        found = audit()
    except NotAskedError as error:
        print(error, file=sys.stderr)
        return 3
    for one in found:
        print(one)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
