"""The `dopascope` program: its verbs, put together."""

from __future__ import annotations

import platform
import sys
import traceback

import typer

from dopascope import __version__
from dopascope.cli import (
    audit_claim,
    cohort,
    deidentify,
    demo,
    doctor,
    generate,
    inspect,
    models,
    normalise,
    pseudocolour,
    quantify,
    read,
    segment,
    selftest,
    serve,
    simulate,
    study,
    web_admin,
)
from dopascope.cli.talk import say

app = typer.Typer(
    name="dopascope",
    help="From a brain scan as the camera wrote it to a quantified, explained reading that can be checked.\n\n"
    "For research and education. Not a medical device.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("read")(read.read)
app.command("quantify")(quantify.quantify)
app.command("normalise")(normalise.normalise)
app.command("inspect")(inspect.inspect)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("doctor")(doctor.doctor)
app.command("selftest")(selftest.selftest)
app.command("deidentify")(deidentify.deidentify)
app.command("pseudocolour")(pseudocolour.pseudocolour)
app.command("audit-claim")(audit_claim.audit_claim)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("backup")(web_admin.backup)
app.command("restore")(web_admin.restore)
app.command("verify")(web_admin.verify_report)
app.add_typer(web_admin.audit_app, name="audit")
app.add_typer(study.app, name="study")
app.add_typer(generate.app, name="generate")
app.add_typer(segment.app, name="segment")
app.add_typer(models.app, name="models")
app.add_typer(cohort.app, name="cohort")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dopascope {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and end."
    ),
) -> None:
    """From a brain scan as the camera wrote it to a quantified, explained reading that can be checked."""


def main() -> None:
    """Entry point of the `dopascope` script."""
    try:
        app()
    except Exception as error:
        _confess(error)
        sys.exit(1)


def _confess(error: Exception) -> None:
    """Our own failure: say so, and what to send. The traceback is what a maintainer needs."""
    say(f"Error: dopascope failed; this is a fault of dopascope, not of your file ({type(error).__name__}: {error}).")
    say("  fix      Report it with the lines below. They hold no image data; look them over for names in paths.")
    say(f"  version  dopascope {__version__}, Python {platform.python_version()}, {sys.platform}")
    for frame in traceback.extract_tb(error.__traceback__)[-6:]:
        say(f"  at       {frame.filename.rpartition('dopascope/')[2]}:{frame.lineno} {frame.name}")
