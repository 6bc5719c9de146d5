"""The registry of importers: a kind, what it expects, and the function that finds the scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.found import Found, ImportOptions
from dopascope.errors import UnreadableError, UnsuitableError, UsageError, by_name

ImportFunction = Callable[[Path, ImportOptions], Found]


@dataclass(frozen=True)
class Importer:
    """One layout."""

    kind: str
    expected: str
    """The layout in one sentence, for help and errors."""
    takes: frozenset[str]
    """Names of the `ImportOptions` that mean something to it."""
    of_file: bool
    """Whether the source is a file instead of a folder."""
    find: ImportFunction


IMPORTERS: Final[dict[str, Importer]] = {}


def importer(
    kind: str, expected: str, *takes: str, of_file: bool = False
) -> Callable[[ImportFunction], ImportFunction]:
    """Decorator that registers a function as the importer of `kind`."""

    def register(find: ImportFunction) -> ImportFunction:
        IMPORTERS[kind] = Importer(kind, expected, frozenset(takes), of_file, find)
        return find

    return register


def find_scans(kind: str, source: Path, options: ImportOptions | None = None) -> Found:
    """What `source` has, read as the layout `kind`. Nothing is written.

    Raises:
        UsageError: there is no such kind, or an option that means nothing to it.
        UnreadableError: there is nothing at `source`, or one of its tables cannot be meant.
        UnsuitableError: no scan can be taken.
    """
    chosen = by_name(IMPORTERS, kind, kind="kind of source", where="KIND")
    options = options or ImportOptions()
    _check_options(chosen, options)
    _check_source(chosen, source)
    found = chosen.find(source, options)
    found.require_rows(source, chosen.expected)
    return found


def _check_options(chosen: Importer, options: ImportOptions) -> None:
    given = [name for name, value in vars(options).items() if value]
    for name in given:
        if name not in chosen.takes:
            takers = ", ".join(sorted(one.kind for one in IMPORTERS.values() if name in one.takes))
            raise UsageError(
                f"This option means nothing to the kind {chosen.kind}.",
                where=f"option for {name}",
                found="given",
                expected=f"only with {takers}",
                fix="Leave it out.",
            )


def _check_source(chosen: Importer, source: Path) -> None:
    kind = "file" if chosen.of_file else "folder"
    if not source.exists():
        raise UnreadableError(
            f"There is no such {kind}.", where=source, found="nothing", expected=chosen.expected, fix="Check the path."
        )
    if source.is_file() != chosen.of_file:
        other = "a file" if source.is_file() else "a folder"
        raise UnreadableError(
            f"The source is no {kind}.",
            where=source,
            found=other,
            expected=chosen.expected,
            fix=f"Name the {kind} instead.",
        )
    if source.is_dir() and not any(source.iterdir()):
        raise UnsuitableError(
            "The folder is empty.", where=source, found="no file", expected=chosen.expected, fix="Check the path."
        )
