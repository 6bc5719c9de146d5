"""`dopascope cohort check`: what is wrong with a cohort, before a model sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import CacheOption, DaskOption, WorkersOption
from dopascope.cli.progress import showing
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.errors import SomeScansFailedError


@verb
def check(
    table: Annotated[Path, typer.Argument(help="A cohort table.", metavar="cohort.tsv")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Page to write; default: beside the table.", metavar="HTML")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Compare all images, for copies and mirrored copies.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of folds and bootstrap.", min=0)] = 1,
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    cache: CacheOption = None,
    json: options.JsonOption = False,
) -> None:
    """Look at every scan, at contradictions in the table, at copies, and at what the camera alone tells of the label.

    Exit code 3 where something fails.

    Example: dopascope cohort check cohort.tsv --workers 2
    """
    from dopascope.batch import Runner
    from dopascope.batch.cache import cache_of
    from dopascope.batch.checking import check_cohort
    from dopascope.cohort import read_cohort
    from dopascope.report import cohort_check

    scans = read_cohort(table)
    page = (out or table.with_name(f"{table.stem}.check.html")).with_suffix(".html")
    with showing("looking", len(scans)) as progress:
        found = check_cohort(
            scans,
            cache or cache_of(page),
            images=images,
            runner=Runner(workers, dask),
            progress=progress,
            seed=seed,
        )
    written = cohort_check.write(found, page)
    if json:
        data(as_json(found.as_dict()))
    else:
        for one in found.findings:
            data(f"{'FAILS' if one.fails else 'KNOW':<6} {one.kind:<22} {one.what}")
        data(f"{'passed' if found.passed else 'failed'}: {cohort_check.says(found)}")
    say(f"Wrote {written['html']} and {written['json'].name}.")
    if not found.passed:
        raise SomeScansFailedError(
            "The cohort fails its check.",
            where=table,
            found="; ".join(one.what for one in found.findings if one.fails),
            expected="nothing that fails",
            fix=f"Open {written['html']}; it says what to do.",
        )
