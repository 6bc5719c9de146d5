"""Settings that an administrator may change while the app runs: what each means, its bounds, and where it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from dopascope.web.settings import CHANGES_FILE, GIB, Settings, write_private


@dataclass(frozen=True)
class Changeable:
    """One setting as the page shows it."""

    name: str
    title: str
    help: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    scale: float = 1.0
    """What the setting is multiplied by to be shown, such as from bytes to GiB."""

    def shown(self, settings: Settings) -> Any:
        """The value as the page shows it."""
        value = getattr(settings, self.name)
        return value if self.choices else round(value * self.scale, 3)

    def taken(self, value: Any) -> Any:
        """The setting's value from what the page was given."""
        kind: Callable[[Any], Any] = type(getattr(_PLAIN, self.name))
        return str(value) if self.choices else kind(float(value) / self.scale)


FURTHEST: Final = 30.0
"""Millimetres or degrees of one correction of a registration by hand; beyond it the scan lies wrong in its file."""
CHANGEABLE: Final = (
    Changeable(
        "registration",
        "New accounts",
        "invitation: only who was invited by an administrator; open: anybody who reaches the page, as a reader.",
        choices=("invitation", "open"),
    ),
    Changeable("idle_minutes", "Idle minutes", "A session ends after so many minutes without a request.", 1, 24 * 60),
    Changeable(
        "session_hours", "Hours of a session", "A session ends so long after log-in, whatever happens.", 0.25, 168
    ),
    Changeable(
        "quota", "GiB for each user", "Files beyond it are refused; what is there stays.", 0.01, 10_000, scale=1 / GIB
    ),
    Changeable(
        "keep_days",
        "Days that scans are kept",
        "An upload, its reading, report and comments are removed for good so many days after it came in; the audit "
        "trail says so and keeps its lines. 0 keeps everything.",
        0,
        36_500,
    ),
)
FIXED: Final = {
    "database": "Address of the database.",
    "behind_proxy": "TLS ends at a proxy in front.",
    "trusted_hosts": "Host names that requests may name; none but this machine's own where it is empty.",
    "largest_upload": "Bytes of one upload.",
    "workers": "Processes of this server that read scans.",
    "read_minutes": "Minutes after which reading one upload is given up.",
    "child_memory": "Bytes of address space of the process that reads an upload.",
    "niceness": "How far the reading of scans stands behind pages: 0 not at all, 19 last.",
}
"""Settings of the command line that the page shows, with their help."""
_PLAIN: Final = Settings(Path())


def current(settings: Settings) -> Settings:
    """The settings of the command line with the changes that were made since."""
    try:
        told = json.loads((settings.data / CHANGES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return settings
    known = {one.name for one in CHANGEABLE}
    return replace(settings, **{name: value for name, value in told.items() if name in known})


def change(settings: Settings, values: dict[str, Any]) -> dict[str, Any]:
    """Keep changed values, for the server and all workers; returns those that are other than before."""
    before = current(settings)
    taken = {one.name: one.taken(values[one.name]) for one in CHANGEABLE}
    after = replace(settings, **taken)
    after.check()
    write_private(settings.data / CHANGES_FILE, json.dumps(taken, indent=1))
    return {name: value for name, value in taken.items() if value != getattr(before, name)}


def fixed(settings: Settings) -> list[tuple[str, Any, str]]:
    """Name, value and help of what the command line decides; no password is shown."""
    shown = {name: getattr(settings, name) for name in FIXED}
    shown["database"] = make_url(settings.url).render_as_string(hide_password=True)
    words = {True: "yes", False: "no", "": "none", (): "none"}
    return [(name.replace("_", " "), words.get(shown[name], shown[name]), told) for name, told in FIXED.items()]
