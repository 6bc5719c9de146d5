"""`dopascope cohort import`: somebody's folder or table as a cohort table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import options
from dopascope.cli.progress import showing
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.cohort.importers import Visits
from dopascope.errors import SomeScansFailedError, UsageError

if TYPE_CHECKING:
    from dopascope.cohort.importers import Found

EXAMPLES_SHOWN = 3


@verb
def import_(
    kind: Annotated[str, typer.Argument(help="ppmi, bids, ntua, challenge, folders or table.", metavar="KIND")],
    source: Annotated[Path, typer.Argument(help="The folder, or the table.", metavar="SOURCE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The table to write; with --deidentify a new folder.", metavar="TSV_OR_DIR"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken and why; write nothing.")] = False,
    table: Annotated[
        list[Path], typer.Option("--table", help="A table outside the folder; repeat it for more.", metavar="FILE")
    ] = [],  # noqa: B006  (typer copies it)
    column: Annotated[
        list[str],
        typer.Option("--column", help="Which column is meant, such as participant_id=Subject.", metavar="OURS=THEIRS"),
    ] = [],  # noqa: B006
    label: Annotated[
        list[str], typer.Option("--label", help="What a label is called here, such as 1=PD.", metavar="THEIRS=OURS")
    ] = [],  # noqa: B006
    sex: Annotated[
        list[str], typer.Option("--sex", help="What a sex is called here, such as 1=M.", metavar="THEIRS=F|M")
    ] = [],  # noqa: B006
    visits: Annotated[
        Visits | None, typer.Option("--visits", help="Which visits of a person; default: the baseline.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", help="Between the cells of the source's tables.", metavar="MARK")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Of the source's tables, such as cp1252.", metavar="NAME")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Of an Excel file.", metavar="NAME")] = None,
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Write clean copies and a table without names.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The project's secret for --deidentify; made where missing.", metavar="FILE"),
    ] = None,
    covariate: Annotated[
        list[str],
        typer.Option("--covariate", help="With --deidentify: a text column to keep as it is.", metavar="COLUMN"),
    ] = [],  # noqa: B006
    json: options.JsonOption = False,
) -> None:
    """Find the scans of a folder or table, with whose they are, and write them as a cohort table.

    Example: dopascope cohort import ppmi PPMI --out cohort.tsv --dry-run
    """
    from dopascope.cohort.importers import ImportOptions, find_scans, write_cohort

    if not deidentify and (key is not None or covariate):
        raise UsageError(
            "These options belong to --deidentify.",
            where="--key, --covariate",
            found="without --deidentify",
            expected="together with it",
            fix="Add --deidentify, or leave them out.",
        )
    chosen = ImportOptions(
        tables=tuple(table),
        columns=_pairs("--column", column),
        labels=_pairs("--label", label),
        sexes=_pairs("--sex", sex),
        visits=visits,
        delimiter=delimiter,
        encoding=encoding,
        sheet=sheet,
    )
    found = find_scans(kind, source, chosen)
    _tell(found, json=json, nameless=deidentify)
    if dry_run:
        say("Nothing was written (--dry-run).")
    elif deidentify:
        _write_clean(found, out or Path(f"{kind}-clean"), key, covariate)
    else:
        target = out or Path("cohort.tsv")
        with showing("hashing", len(found.rows)) as progress:
            record = write_cohort(found, target, kind, lambda done, _of: progress(done, 0))
        say(f"Wrote {target} and {record.name}. Next: dopascope cohort check {target}")


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    wrong = next((one for one, parts in zip(given, pairs, strict=True) if not (parts[0] and parts[2])), None)
    if wrong is not None or len({name for name, _, _ in pairs}) < len(pairs):
        found = "one name twice" if wrong is None else wrong
        raise UsageError(
            "This pair cannot be meant.",
            where=option,
            found=found,
            expected="NAME=OTHER, each name once",
            fix="Correct it.",
        )
    return {name: other for name, _, other in pairs}


def _tell(found: Found, *, json: bool, nameless: bool) -> None:
    """What was taken and left out; without names and paths where the result is to have none."""
    told = found.as_dict()
    if nameless:
        told |= {"left_out": dict(found.reasons()), "labels": _plain(told["labels"])}
    if json:
        data(as_json(told))
    else:
        counts = ", ".join(f"{name} {count}" for name, count in told["labels"].items())
        data(f"taken     {len(found.rows)} scans of {found.people()} people ({counts})")
        for why, count in found.reasons().most_common():
            data(f"left out  {count}: {why}")
            examples = [one for one in found.left_out if one.why == why][: 0 if nameless else EXAMPLES_SHOWN]
            for one in examples:
                data(f"            {one.where}" + (f"  ({one.detail})" if one.detail else ""))
            if len(examples) < count and examples:
                data(f"            and {count - len(examples)} more; --json lists all")
    say_assumed(found.assumed)
    for warning in found.warnings:
        say(f"WARNING  {warning}")


def _plain(labels: dict[str, int]) -> dict[str, int]:
    """Labels that are a diagnosis as they are, all others together: the name of a folder can be that of a person."""
    from dopascope.cohort.deidentified import LABELS

    counts = Counter[str]()
    for name, count in labels.items():
        counts[name if name.casefold() in (*LABELS, "n/a") else "other labels"] += count
    return dict(counts)


def _write_clean(found: Found, folder: Path, key: Path | None, covariates: list[str]) -> None:
    from dopascope.cli.deidentify import secret_of
    from dopascope.cohort.deidentified import deidentify_cohort

    secret = secret_of(key, folder)
    with showing("cleaning", len(found.rows)) as progress:
        done = deidentify_cohort(
            found.rows,
            found.root,
            folder,
            secret,
            covariates=covariates,
            progress=lambda count, _of: progress(count, 0),
        )
    for warning in done.removed.warnings:
        say(f"WARNING  {warning}")
    if done.dropped:
        say(f"{len(done.dropped)} columns may hold names and were left out; keep one with --covariate.")
    if key is None:
        say("ASSUMED  a key of this one run: another import of these people will give other names and dates")
    say(f"Wrote {folder / 'cohort.tsv'}: {len(done.rows)} scans. Next: dopascope cohort check {folder / 'cohort.tsv'}")
    if done.failed:
        reasons = "; ".join(f"{count} x {what}" for what, count in done.failed.most_common())
        raise SomeScansFailedError(
            "Some scans are not in the clean cohort.",
            where=folder,
            found=reasons,
            expected=f"{len(found.rows)} scans",
            fix="Look at these scans with dopascope inspect.",
        )
