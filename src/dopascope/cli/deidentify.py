"""`dopascope deidentify SCAN`: a copy that names nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import options
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.errors import UsageError
from dopascope.formats.limits import Limits

if TYPE_CHECKING:
    from dopascope.formats.deidentify import Key


@verb
def deidentify(
    scan: options.ScanArgument,
    out: Annotated[
        Path, typer.Option("--out", help="File to write, or a new folder for a folder or zip.", metavar="FILE_OR_DIR")
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The project's secret; made where missing.", metavar="FILE"),
    ] = None,
    pseudonym: Annotated[
        str | None, typer.Option("--pseudonym", help="The person's new name; default: from the key.", metavar="NAME")
    ] = None,
    allow_burned_in: Annotated[
        bool, typer.Option("--allow-burned-in", help="Let images through whose pixels may show a name.")
    ] = False,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    json: options.JsonOption = False,
) -> None:
    """Write a copy of a scan without what names the person, and say what was removed. The scan itself is only read.

    Example: dopascope deidentify scan.dcm --out clean.dcm --key project.key
    """
    from dopascope.formats import deidentify as cleaning

    chosen = cleaning.CleanOptions(allow_burned_in=allow_burned_in, limits=Limits().with_settings(limit))
    secret = secret_of(key, out)
    removed = cleaning.deidentify(scan, out, key=secret, pseudonym=pseudonym, options=chosen)
    if json:
        data(as_json(removed.as_dict()))
    else:
        data(f"{removed.pseudonym}  {removed.files} file{'s' if removed.files != 1 else ''}")
        for line in removed.lines():
            data(line)
    for reason, count in sorted(removed.left_out.items()):
        say(f"LEFT OUT {count}: {reason}")
    for warning in removed.warnings:
        say(f"WARNING  {warning}")
    if key is None:
        say("ASSUMED  a key of this one run: another scan of this person will get another name and other dates")


def secret_of(path: Path | None, out: Path) -> Key:
    """The key of a file, made where it is missing, or a new one where no file is named.

    Raises:
        UsageError: the file would lie inside what is written.
    """
    from dopascope.formats import deidentify as cleaning

    if path is None:
        return cleaning.new_key()
    target = out.resolve()
    if path.resolve() == target or path.resolve().is_relative_to(target):
        raise UsageError(
            "The key would lie inside the copy, which is passed on.",
            where="--key",
            found=path,
            expected="a place outside the output",
            fix="Keep it where only you can read it.",
        )
    return cleaning.key_of(path)
