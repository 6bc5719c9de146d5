"""Options of the verbs that work through a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
