"""`dopascope serve`: the web app on this machine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from dopascope.cli import options
from dopascope.cli.talk import say, verb
from dopascope.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from dopascope.web.settings import Settings

PACKAGES = ("flask", "flask_wtf", "sqlalchemy", "alembic", "argon2", "waitress", "zxcvbn", "cryptography")
"""What `[web]` brings."""

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder of everything that the app keeps; default: the user's data folder.", metavar="DIR"
    ),
]
DatabaseOption = Annotated[
    str, typer.Option("--database", help="Address of a database; default: SQLite in the data folder.", metavar="URL")
]
HostOption = Annotated[str, typer.Option("--host", help="Address to answer at.", metavar="ADDRESS")]
PortOption = Annotated[int, typer.Option("--port", help="Port to answer at.", min=1, max=65535)]
ProxyOption = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy of yours with TLS stands in front and sets X-Forwarded-*.")
]
TrustedOption = Annotated[
    list[str],
    typer.Option("--trusted-host", help="Host name that browsers may name; repeat for several.", metavar="NAME"),
]
RegistrationOption = Annotated[
    str, typer.Option("--registration", help="Who may make an account.", metavar="invitation|open")
]
LargestOption = Annotated[int, typer.Option("--largest-upload", help="MiB of one upload at the most.", min=1)]
DemoOption = Annotated[
    bool, typer.Option("--demo", help="Show simulated scans to an account whose password is printed.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", help="Processes that read scans; 0 where others do.", min=0, max=64)
]
NicenessOption = Annotated[
    int, typer.Option("--niceness", help="How far reading stands behind pages; 0 not at all.", min=0, max=19)
]


@verb
def serve(
    data: DataOption = None,
    database: DatabaseOption = "",
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    behind_proxy: ProxyOption = False,
    trusted_host: TrustedOption = [],  # noqa: B006  (typer copies it)
    registration: RegistrationOption = "invitation",
    workers: WorkersOption = 1,
    niceness: NicenessOption = 10,
    largest_upload: LargestOption = 512,
    models_dir: options.ModelsDirOption = None,
    demo: DemoOption = False,
) -> None:
    """Serve the web app: accounts, uploads, readings and their history. Ctrl-C ends it.

    Examples: dopascope serve; dopascope serve --demo;
    dopascope serve --data /srv/dopascope --behind-proxy --trusted-host scans.example.org
    """
    require_web()
    if registration not in ("invitation", "open"):
        raise UsageError(
            "There is no such policy.",
            where="--registration",
            found=registration,
            expected="invitation or open",
            fix="Choose one of these.",
        )
    if demo and (behind_proxy or database):
        raise UsageError(
            "The demonstration is for this machine alone.",
            where="--demo",
            found="--behind-proxy or --database",
            expected="neither",
            fix="Leave these options out, or --demo.",
        )
    from dopascope.web.serve import serve as run
    from dopascope.web.settings import MIB, Settings

    folder = data or (default_data().with_name("web-demo") if demo else default_data())
    run(
        Settings(
            data=folder,
            database=database,
            host=host,
            port=port,
            behind_proxy=behind_proxy,
            trusted_hosts=tuple(trusted_host),
            registration=cast(Literal["invitation", "open"], registration),
            workers=workers,
            niceness=niceness,
            largest_upload=largest_upload * MIB,
            models_dir=models_dir,
        ),
        say,
        demo=_demo_scans(folder / "simulated") if demo else (),
    )


def _demo_scans(out: Path) -> list[Path]:
    """The scans of `dopascope demo`, simulated once."""
    from dopascope import simulate
    from dopascope.cli.demo import DRAWN, SCAN, demo_plan

    say(f"Simulating {DRAWN} people ...")
    out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    simulate.run(demo_plan(), out, processes=min(2, os.cpu_count() or 1))
    return [Path(SCAN.format(out=out, number=number)) for number in range(1, DRAWN + 1)]


@verb
def worker(
    data: DataOption = None,
    database: DatabaseOption = "",
    niceness: NicenessOption = 10,
    models_dir: options.ModelsDirOption = None,
) -> None:
    """Read what is uploaded to a web app whose database and data folder this machine shares. Ctrl-C ends it.

    Example: dopascope worker --data /srv/dopascope --database postgresql+psycopg://user:password@host/name
    """
    require_web()
    from dopascope.web.database import Database
    from dopascope.web.settings import Settings
    from dopascope.web.worker import work

    settings = Settings(data=data or default_data(), database=database, niceness=niceness, models_dir=models_dir)
    require_installation(settings)
    base = Database(settings.url)
    try:
        current = base.current()
    finally:
        base.close()
    if not current:
        raise UsageError(
            "The database has not the form that this version needs.",
            where="--database",
            found="tables of another version, or none",
            expected="those that dopascope serve of this version makes when it starts",
            fix="Bring server and workers to the same version, start the server, then the workers.",
        )
    say(f"Waits for jobs of {settings.data}; Ctrl-C ends it.")
    work(settings)


def require_installation(settings: Settings) -> None:
    """Say that a data folder is none, before anything is made there.

    Raises:
        UsageError: no server has started on it.
    """
    from dopascope.web.settings import SECRETS_FILE

    if not (settings.data / SECRETS_FILE).is_file():
        raise UsageError(
            "There is no installation here.",
            where=settings.data,
            found=f"no {SECRETS_FILE}",
            expected="the data folder of dopascope serve",
            fix="Name it with --data.",
        )


def require_web() -> None:
    """Say what is missing of `[web]`, if anything is.

    Raises:
        MissingExtraError: a package is not installed.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            "The web app needs packages that are not installed.",
            where="[web]",
            found=f"not installed: {', '.join(missing)}",
            expected=", ".join(PACKAGES),
            fix="In the folder of dopascope: pip install -e '.[web]'",
        )


def default_data() -> Path:
    """Where the app keeps everything unless another folder is named."""
    from platformdirs import user_data_path

    return user_data_path("dopascope", appauthor=False) / "web"
