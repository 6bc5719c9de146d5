"""`python -m dopascope`: the same program as `dopascope`."""

from __future__ import annotations

from dopascope.cli import main

main()
