"""What is under way in a training: one line that changes on a terminal; else one at its end and every half minute."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from dopascope.cli.talk import say

if TYPE_CHECKING:
    from dopascope.batch import Outcome
    from dopascope.learn.log import Epoch

QUIET_S: Final = 30.0
"""Without a terminal, seconds between lines of one training."""


class Teller:
    """Tells of scans, trainings and epochs on stderr."""

    def __init__(self) -> None:
        self._name, self._line, self._told = "", "", 0.0

    def scan(self, one: Outcome) -> None:
        """A scan is registered, or failed."""
        if one.error is not None:
            say(f"  {one.scan.name} failed: {one.error['what']} {one.error.get('found', '')}".rstrip())

    def training(self, name: str) -> None:
        """A training begins."""
        self.close()
        self._name, self._told = name, time.monotonic()

    def epoch(self, one: Epoch) -> None:
        """An epoch of a network has ended."""
        watched = "" if one.validation_loss is None else f", watched {one.validation_loss:.4f}"
        self.line(one.epoch, f"loss {one.train_loss:.4f}{watched}", one.seconds)

    def line(self, epoch: int, losses: str, seconds: float) -> None:
        """An epoch has ended."""
        self._line = f"  {self._name}: epoch {epoch}, {losses}, {seconds:.1f} s"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self._line:<110}")
            sys.stderr.flush()
        elif time.monotonic() - self._told > QUIET_S:
            self._told = time.monotonic()
            say(self._line)
            self._line = ""

    def close(self) -> None:
        """The training is over; its last line stays."""
        if self._line:
            say("" if sys.stderr.isatty() else self._line)
        self._line = ""
