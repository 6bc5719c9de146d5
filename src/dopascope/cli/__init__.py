"""The command line: parse, call, print. stdout is data, stderr is talk.

Exit codes: 0 done, 1 our failure, 2 wrong arguments, 3 some scans failed, 4 input unreadable, hostile or
unsuitable, 130 interrupted.
"""

from __future__ import annotations

import os

# Before numpy is loaded: our matrices are small, and OpenBLAS threads that wait for each other cost a reading more
# than twice its processor time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dopascope.cli.app import main

__all__ = ["main"]
