"""How far a long command is: a bar on a terminal, else counts on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dopascope.cli.talk import say

LINES: Final = 20
"""Counts on stderr of a run without a terminal."""


@contextmanager
def showing(doing: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many are done, and how many of those were kept from before."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=total)
            yield lambda done, _: bar.update(task, completed=done)
    else:
        every = max(1, total // LINES)

        def count(done: int, kept: int) -> None:
            if done % every == 0 or done == total:
                say(f"  {done}/{total}" + (f"  ({kept} kept)" if kept else ""))

        yield count
