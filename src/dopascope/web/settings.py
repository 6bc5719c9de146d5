"""What an installation of the web app decides, and the secrets that it makes for itself."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dopascope import provenance
from dopascope.errors import UsageError

MIB: Final = 1 << 20
GIB: Final = 1 << 30
SECRETS_FILE: Final = "secrets.json"
CHANGES_FILE: Final = "settings.json"
SETUP_FILE: Final = "setup-token"
_HOST: Final = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\]"
)
Secret = Literal["cookies", "audit", "seal", "metrics"]
SECRETS: Final[tuple[Secret, ...]] = ("cookies", "audit", "seal", "metrics")


@dataclass(frozen=True)
class Settings:
    """Every setting of the server, with its unit."""

    data: Path
    """Folder of everything that the app keeps: database, uploads, readings, secrets. Mode 0700."""
    database: str = ""
    """SQLAlchemy URL; empty for SQLite in `data`."""
    host: str = "127.0.0.1"
    port: int = 8000
    behind_proxy: bool = False
    """TLS ends at a proxy of yours, which sets X-Forwarded-For, -Proto and -Host."""
    trusted_hosts: tuple[str, ...] = ()
    """Host names that requests may name; empty for this machine alone."""
    registration: Literal["invitation", "open"] = "invitation"
    """Who may make an account: only who was invited, or anybody who reaches the page."""
    idle_minutes: float = 30.0
    """A session ends after so long without a request."""
    session_hours: float = 12.0
    """A session ends so long after log-in, whatever happens."""
    largest_upload: int = 512 * MIB
    """Bytes of one upload."""
    quota: int = 20 * GIB
    """Bytes that one user may keep."""
    keep_days: float = 0.0
    """An upload and everything made of it are removed so long after it came in; 0 keeps them."""
    workers: int = 1
    """Processes of the server that read scans; 0 where `dopascope worker` does that."""
    read_minutes: float = 10.0
    """Time after which reading one upload is given up."""
    child_memory: int = 6 * 1024 * MIB
    """Bytes of address space of the process that reads an upload."""
    niceness: int = 10
    """How far the reading of scans stands behind everything else on its machine: 0 not at all, 19 last."""
    models_dir: Path | None = None
    """Of the readers; the user's data folder by default."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach the app by TLS."""
        return self.behind_proxy

    @property
    def url(self) -> str:
        """Of the database."""
        return self.database or f"sqlite:///{self.data.absolute() / 'dopascope.sqlite'}"

    def check(self) -> None:
        """Refuse what would open the app to strangers.

        Raises:
            UsageError: it would be reached from other machines without TLS, would show what only developers should see,
                or a number cannot be meant.
        """
        if not self.behind_proxy and not _loopback(self.host):
            raise UsageError(
                "Other machines would reach the app without encryption.",
                where="--host",
                found=self.host,
                expected="127.0.0.1, ::1 or localhost; or a proxy with TLS in front, and --behind-proxy",
                fix="Leave --host out, or put a proxy with TLS in front and say --behind-proxy (docs/web.md).",
            )
        if self.behind_proxy and not self.trusted_hosts:
            raise UsageError(
                "The app does not know the name that it is reached by.",
                where="--trusted-host",
                found="none",
                expected="the host name in your users' address bar",
                fix="Add --trusted-host NAME.",
            )
        odd = [name for name in self.trusted_hosts if not _HOST.fullmatch(name)]
        if odd:
            raise UsageError(
                "This cannot be a host that only you answer for.",
                where="--trusted-host",
                found=repr(odd[0]),
                expected="a whole name, such as scans.example.org",
                fix="Name each host by itself, without * or a dot in front.",
            )
        if os.environ.get("FLASK_DEBUG", "").lower() not in ("", "0", "false", "no"):
            raise UsageError(
                "The app would show its inside to whoever makes it fail.",
                where="FLASK_DEBUG",
                found=os.environ["FLASK_DEBUG"],
                expected="not set",
                fix="Unset FLASK_DEBUG.",
            )
        for name in ("idle_minutes", "session_hours", "largest_upload", "quota", "workers", "read_minutes"):
            value, none = getattr(self, name), name == "workers"
            if value < 0 or (value == 0 and not none):
                raise UsageError(
                    "This setting cannot be meant.",
                    where=name,
                    found=value,
                    expected="0 or more" if none else "above 0",
                    fix="Correct it, or leave it out for its default.",
                )

    def prepare(self) -> None:
        """Make the data folder and its parts, readable by this account alone."""
        for folder in (self.data, self.uploads, self.readings, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    def exposed(self) -> dict[Path, int]:
        """What other accounts of this machine could open, and the mode that it should have."""
        folders = dict.fromkeys((self.data, self.uploads, self.readings, self.incoming), 0o700)
        wanted = folders | dict.fromkeys((self.data / SECRETS_FILE, self.data / SETUP_FILE), 0o600)
        return {path: mode for path, mode in wanted.items() if path.exists() and path.stat().st_mode & 0o077}

    @property
    def uploads(self) -> Path:
        """Stored uploads, a folder each."""
        return self.data / "uploads"

    @property
    def readings(self) -> Path:
        """Finished readings, a folder each."""
        return self.data / "readings"

    @property
    def incoming(self) -> Path:
        """Uploads on their way in; swept at start."""
        return self.data / "incoming"

    def secret(self, name: Secret) -> str:
        """A secret of this installation, 64 hexadecimal digits; file mode 0600.

        All that are missing are made at once, by whoever asks first: the server, before it starts its workers.
        """
        path = self.data / SECRETS_FILE
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        missing = [one for one in SECRETS if one not in known]
        if missing:
            known |= {one: secrets.token_hex(32) for one in missing}
            write_private(path, json.dumps(known))
        return known[name]


def write_private(path: Path, text: str) -> None:
    """Write a file that only this account can read, whole or not at all."""
    with provenance.replacing(path, private=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
