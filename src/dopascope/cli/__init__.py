"""The command line: parse, call, print. stdout is data, stderr is talk.

Exit codes: 0 done, 1 our failure, 2 wrong arguments, 3 some scans failed, 4 input unreadable, hostile or
unsuitable, 130 interrupted.
"""

from __future__ import annotations

from dopascope.cli.app import main

__all__ = ["main"]
