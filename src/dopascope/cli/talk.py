"""What the command line says and how it ends: errors in one shape, data on stdout, talk on stderr."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

import typer

from dopascope.errors import DopascopeError, LeakError, SomeScansFailedError, UnsuitableError

P = ParamSpec("P")


class AnsweredError(UnsuitableError):
    """An unsuitable input whose full answer, the refusal's reasons included, is on stdout already."""


INTERRUPTED = 130


def data(text: str) -> None:
    """Print to stdout: what a program may read."""
    typer.echo(text)


def say(text: str) -> None:
    """Print to stderr: what only a person reads."""
    typer.echo(text, err=True)


def say_assumed(assumed: list[str] | tuple[str, ...]) -> None:
    """Print each assumption as ASSUMED on stderr."""
    for one in assumed:
        say(f"ASSUMED  {one}")


def as_json(value: Any) -> str:
    """JSON text, indented, for `--json`."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def report_error(error: DopascopeError) -> None:
    """One clear error on stderr; as JSON on stdout too for `--json`, unless the answer is there already."""
    if "--json" in sys.argv and not isinstance(error, AnsweredError | LeakError | SomeScansFailedError):
        data(as_json({"error": error.as_dict()}))
    say(f"Error: {error}")


def verb(command: Callable[P, None]) -> Callable[P, None]:
    """Decorator for a command: typed errors and interruptions become a clear text and the agreed exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        """The command; a typed error becomes its text and its exit code."""
        try:
            command(*args, **kwargs)
        except DopascopeError as error:
            report_error(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            say("Interrupted. What was finished is kept; the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(0) from None
        except OSError as error:
            report_error(
                DopascopeError(
                    "The system refused a file operation.",
                    where=error.filename or "",
                    found=error.strerror or str(error),
                    fix="Check that the path exists, that you may write there, and that the disk is not full.",
                )
            )
            raise typer.Exit(1) from None

    return run
