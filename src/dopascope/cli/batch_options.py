"""Options of the verbs that work through a cohort, and what they choose alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli.talk import say_assumed

if TYPE_CHECKING:
    from dopascope.bundle.segmenter import BrainFinder
    from dopascope.cohort.scan import CohortScan

WorkersOption = Annotated[int, typer.Option("--workers", help="Worker processes on this machine.", metavar="N", min=1)]
DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask", help="Work on the Dask cluster of this scheduler, such as tcp://host:8786.", metavar="ADDRESS"
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder of results to go on from; default: beside the output.", metavar="DIR"),
]


def finder_for(scans: Sequence[CohortScan]) -> BrainFinder | None:
    """The segmenter that ships, where the table has T1-weighted scans without a mask."""
    if not any(one.is_t1 and one.mask is None for one in scans):
        return None
    from dopascope.bundle.segmenter import BrainFinder

    finder = BrainFinder.of()
    say_assumed([f"brain is what {finder.model} finds, where the table names no mask"])
    return finder
