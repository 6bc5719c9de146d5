"""`dopascope cohort`: tables of scans, and how they may be split."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import cohort_check, cohort_export, cohort_import, options
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.errors import UsageError

if TYPE_CHECKING:
    from dopascope.cohort.splits import Place

app = typer.Typer(help="Make tables of scans, and split them without leakage.", no_args_is_help=True)
app.command("import")(cohort_import.import_)
app.command("check")(cohort_check.check)
app.command("export-png")(cohort_export.export_png)

TableArgument = Annotated[Path, typer.Argument(help="A cohort table.", metavar="cohort.tsv")]


class Together(StrEnum):
    """What a split can keep together besides people."""

    CAMERA = "camera"
    SITE = "site"


@app.command("split")
@verb
def split(
    table: TableArgument,
    out: Annotated[Path, typer.Option("--out", help="The split to write.", metavar="TSV")] = Path("splits.tsv"),
    folds: Annotated[int | None, typer.Option("--folds", help="How many folds; default 10.", min=2)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the dealing.", min=0)] = 1,
    together: Annotated[
        Together | None, typer.Option("--together", help="Keep a camera or site in one fold, as people always are.")
    ] = None,
    leave_out: Annotated[
        Together | None, typer.Option("--leave-out", help="A fold for each camera or site, tested there alone.")
    ] = None,
    inner: Annotated[int, typer.Option("--inner", help="Folds within each training set; 0 for none.", min=0)] = 0,
    held_out: Annotated[
        float, typer.Option("--held-out", help="Share of the scans that is set aside first.", min=0, max=0.9)
    ] = 0.0,
) -> None:
    """Split a cohort into folds of whole people with even classes. The same seed gives the same folds.

    Example: dopascope cohort split cohort.tsv --out splits.tsv --folds 10 --seed 1
    """
    from dopascope.cohort import read_cohort
    from dopascope.cohort.leaks import check
    from dopascope.cohort.splits import k_fold, leave_one_out, write_splits

    if leave_out is not None and (folds is not None or together is not None or held_out):
        raise UsageError(
            "These options cannot be meant together.",
            where="--leave-out",
            found="with --folds, --together or --held-out",
            expected="--leave-out alone, or with --inner",
            fix="Leave one out.",
        )
    scans = read_cohort(table)
    places = (
        leave_one_out(scans, leave_out.value, seed=seed, inner=inner)
        if leave_out is not None
        else k_fold(
            scans,
            10 if folds is None else folds,
            seed=seed,
            together=None if together is None else together.value,
            inner=inner,
            held_out=held_out,
        )
    )
    check(scans, places)
    write_splits(places, out)
    for line in summary_of(places):
        say(line)
    data(str(out))


def summary_of(places: list[Place]) -> list[str]:
    """One line a fold: how many of each class are tested on."""
    lines = []
    for fold in dict.fromkeys(one.fold for one in places):
        tested = Counter(one.label or "no label" for one in places if one.fold == fold and one.role == "test")
        counts = ", ".join(f"{label} {count}" for label, count in sorted(tested.items()))
        lines.append(f"fold {fold}: tests {tested.total()} ({counts})")
    return lines


@app.command("lint-split")
@verb
def lint_split(
    split: Annotated[Path, typer.Argument(help="A split: columns fold, role, scan_id.", metavar="splits.tsv")],
    cohort: Annotated[Path, typer.Option("--cohort", help="The table that the split is of.", metavar="TSV")],
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Compare the images too, for copies and mirrored copies.")
    ] = True,
    json: options.JsonOption = False,
) -> None:
    """Look for people, sessions, files, slices, copies and parents of synthetic images on both sides of a split.

    Exit code 4 where something leaks.

    Example: dopascope cohort lint-split splits.tsv --cohort cohort.tsv
    """
    from dopascope.cohort import read_cohort
    from dopascope.cohort.leaks import MEANING, image_copies, leak_error, leaks
    from dopascope.cohort.splits import read_splits

    scans, places = read_cohort(cohort), read_splits(split)
    copies: list[tuple[str, str, bool]] = []
    skipped: list[str] = []
    if images:
        say(f"Comparing {len(scans)} images ...")
        copies, skipped = image_copies(scans)
    found = leaks(scans, places, copies=copies)
    if json:
        data(as_json({"form": "dopascope.leaks/1", "leaks": [leak.as_dict() for leak in found]}))
    else:
        for leak in found:
            people = ", ".join(leak.people)
            data(f"{leak.kind:<10} fold {leak.fold}: {leak.trained} trained, {leak.tested} tested ({people})")
    if skipped:
        shown = ", ".join(skipped[:5])
        say(f"WARNING  {len(skipped)} images are no volume or cannot be read, and were not compared: {shown}")
    if not found:
        say("No leak found.")
    for kind in sorted({leak.kind for leak in found}):
        say(f"  {kind}: {MEANING[kind]}")
    if found:
        raise leak_error(found)
