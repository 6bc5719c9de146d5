"""How far a long command is: a bar on a terminal, else counts on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dopascope.cli.talk import say

if TYPE_CHECKING:
    from dopascope.learn.log import Epoch

LINES: Final = 20
"""Counts on stderr of a run without a terminal."""
QUIET_S: Final = 30.0
"""Without a terminal, seconds between lines of a training."""


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


@contextmanager
def training(epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """A function to call with each epoch of a training: one line that changes on a terminal, else one now and then."""
    terminal, told = sys.stderr.isatty(), 0.0

    def show(one: Epoch) -> None:
        nonlocal told
        watched = "" if one.validation_loss is None else f", control {one.validation_loss:.4f}"
        left = (epochs - one.epoch) * one.seconds / 60
        line = f"  epoch {one.epoch}/{epochs}: loss {one.train_loss:.4f}{watched}, {one.seconds:.1f} s"
        line += f", {left:.0f} min left" if one.epoch < epochs else ""
        if terminal:
            sys.stderr.write(f"\r{line:<110}")
            sys.stderr.flush()
        elif one.epoch in (1, epochs) or time.monotonic() - told > QUIET_S:
            told = time.monotonic()
            say(line)

    yield show
    if terminal:
        say("")
