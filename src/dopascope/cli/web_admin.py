"""`dopascope audit`, `backup`, `restore` on the server's own terminal; `verify` wherever a report of it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dopascope.cli import options
from dopascope.cli.serve import DatabaseOption, DataOption, default_data, require_installation, require_web
from dopascope.cli.talk import as_json, data, verb
from dopascope.errors import AuditError

audit_app = typer.Typer(name="audit", help="The audit trail of the web app.", no_args_is_help=True)
FileArgument = Annotated[Path, typer.Argument(help="The zip.", metavar="FILE")]
FilesArgument = Annotated[list[Path], typer.Argument(help="Reports: .pdf, .html or .json.", metavar="FILE...")]
SealOption = Annotated[
    Path, typer.Option("--seal", help="The seal that was saved from the same page.", metavar="seal.json")
]
KeyOption = Annotated[
    str, typer.Option("--key", help="The installation's public key, as its page /key shows it.", metavar="HEX")
]
HeadOption = Annotated[
    str | None,
    typer.Option("--head", help="A head that was printed earlier: is everything up to it still there?", metavar="HEX"),
]


@audit_app.command("verify")
@verb
def verify(
    folder: DataOption = None, database: DatabaseOption = "", head: HeadOption = None, json: options.JsonOption = False
) -> None:
    """Follow the audit trail from its first line to its last, and print its head, to be kept elsewhere.

    Examples: dopascope audit verify; dopascope audit verify --head HEX
    """
    require_web()
    from dopascope.web import audit
    from dopascope.web.database import Database
    from dopascope.web.settings import Settings

    settings = Settings(data=folder or default_data(), database=database)
    require_installation(settings)
    base = Database(settings.url)
    try:
        with base.read() as session:
            found = audit.verify(session, settings.secret("audit"), head=head)
    finally:
        base.close()
    if found.broken is not None or not found.head_seen:
        raise AuditError(
            "The audit trail was changed.",
            where=settings.url.rpartition("@")[2],
            found=f"line {found.broken} does not follow from the one before"
            if found.broken is not None
            else "the head that you gave is not in it: lines were cut off, or an older copy was put back",
            expected="a whole chain",
            fix="Keep the file as it is, and compare it with your backups.",
        )
    data(
        as_json({"lines": found.lines, "head": found.head})
        if json
        else f"{found.lines} lines, whole; head {found.head}"
    )


@verb
def backup(target: FileArgument, folder: DataOption = None) -> None:
    """Write everything that the web app keeps into one zip, while it works. The zip holds patients' data and secrets.

    Example: dopascope backup /backups/today.zip --data /srv/dopascope
    """
    require_web()
    from dopascope.web.keeping import backup as write
    from dopascope.web.settings import Settings

    data(str(write(Settings(data=folder or default_data()), target)))


@verb
def restore(source: FileArgument, folder: DataOption = None) -> None:
    """Unpack a backup into a new data folder, after every file in it was compared with its digest.

    Example: dopascope restore /backups/today.zip --data /srv/restored
    """
    require_web()
    from dopascope.web.keeping import restore as unpack

    target = folder or default_data()
    data(f"{unpack(source, target)} files in {target}")


@verb
def verify_report(files: FilesArgument, seal: SealOption, key: KeyOption, json: options.JsonOption = False) -> None:
    """Prove that reports of a web installation are as they were made. It needs no server and no network.

    Example: dopascope verify P-1A2B3C4D-report.pdf --seal P-1A2B3C4D-seal.json --key 3b6a27bc...
    """
    require_web()
    from dopascope.web import seal as seals

    found = seals.load(seal)
    seals.verify(found, key, files)
    told = {"reading": found.reading, "sealed": found.created, "files": [one.name for one in files]}
    data(as_json(told) if json else f"Unchanged since {found.created}: {', '.join(one.name for one in files)}")
