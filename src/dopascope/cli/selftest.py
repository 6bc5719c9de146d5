"""`dopascope selftest`: phantoms of known ratio through the installed chain, and a page that a physicist can sign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dopascope.cli import options
from dopascope.cli.talk import INTERRUPTED, as_json, data, say, verb

if TYPE_CHECKING:
    from dopascope.reading.selftest import Selftest

SAID_EVERY: Final = 10
"""Tasks between two lines of progress where there is no terminal."""


@verb
def selftest(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for selftest.html, selftest.pdf and selftest.json.", metavar="DIR")
    ] = Path("selftest"),
    seed: Annotated[int, typer.Option("--seed", help="Of noise and poses; the same seed gives the same figures.")] = 0,
    site: Annotated[
        str,
        typer.Option("--site", help="Camera or site of the lines that use one camera.", metavar="NAME"),
    ] = "lehr-osem",
    models_dir: options.ModelsDirOption = None,
    json: options.JsonOption = False,
) -> None:
    """Put phantoms of known ratio through this installation and judge what it measures. Takes about a minute.

    Exit code 0 where every line is within its tolerance, 1 where one is not.

    Example: dopascope selftest --out selftest
    """
    try:
        from dopascope import provenance
        from dopascope.reading import selftest as tests
        from dopascope.report import selftest as report

        provenance.check_writable(out)
        say("Phantoms of known ratio go through the installed chain ...")
        found = tests.run(seed=seed, site=site, models_dir=models_dir, progress=_progress)
        written = report.write(found, out)
    except KeyboardInterrupt:
        say("Interrupted. No file is half-written; the same command begins anew.")
        raise typer.Exit(INTERRUPTED) from None
    data(as_json(found.as_dict()) if json else _lines(found))
    say(f"Page: {written['html']}")
    if not found.passed:
        say("This installation did not pass; the page says what each failure would mean.")
        raise typer.Exit(1)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r  {done}/{total} ", err=True, nl=done == total)
    elif done % SAID_EVERY == 0 or done == total:
        say(f"  {done}/{total}")


def _lines(found: Selftest) -> str:
    from dopascope.report.selftest import says, value

    rows = []
    for line in found.lines:
        for number, one in enumerate(line.measures):
            title = "" if number else line.title
            rows.append(f"{_word(one.passed):<8} {title:<24} {one.what}: {value(one)} ({one.limit})")
    return "\n".join([*rows, f"{_word(found.passed):<8} {says(found)}", found.disclaimer])


def _word(passed: bool) -> str:
    return "passed" if passed else "failed"
