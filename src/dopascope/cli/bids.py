"""`dopascope-bids BIDS_DIR OUT_DIR participant|group`: the signature that BIDS-Apps have.

argparse and not typer: the official options take several labels after one option.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dopascope import __version__
from dopascope.cli.talk import data, say, say_assumed, verb
from dopascope.errors import SomeScansFailedError, UnsuitableError, UsageError

if TYPE_CHECKING:
    from dopascope.batch.derivatives import Target
    from dopascope.cohort import CohortScan
    from dopascope.cohort.importers import Found


def parser() -> argparse.ArgumentParser:
    """The arguments of a BIDS-App."""
    found = argparse.ArgumentParser(
        prog="dopascope-bids",
        description="Normalise and quantify the DaT scans of a BIDS folder. Example: "
        "dopascope-bids bids derivatives/dopascope participant --participant-label 01 02. "
        "For research and education. Not a medical device.",
    )
    found.add_argument("bids_dir", type=Path, help="the BIDS folder; only read")
    found.add_argument("output_dir", type=Path, help="folder of the derivatives")
    found.add_argument("analysis_level", choices=("participant", "group"), help="do the scans, or gather the tables")
    found.add_argument(
        "--participant-label",
        "--participant_label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="these participants only, with or without sub-",
    )
    found.add_argument(
        "--session-label",
        "--session_label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="these sessions only, with or without ses-",
    )
    found.add_argument("--n-procs", "--n_procs", type=int, default=1, metavar="N", help="worker processes")
    found.add_argument("-w", "--work-dir", "--work_dir", type=Path, metavar="DIR", help="results to go on from")
    found.add_argument(
        "--skip-bids-validation", "--skip_bids_validation", action="store_true", help="accepted; none is run here"
    )
    found.add_argument("--version", action="version", version=f"dopascope-bids {__version__}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `dopascope-bids` script."""
    chosen = parser().parse_args(arguments)
    try:
        _run(chosen)
    except typer.Exit as end:
        sys.exit(end.exit_code)


@verb
def _run(chosen: argparse.Namespace) -> None:
    from dopascope.batch import NormaliseSettings, Runner, Settings, cache_of, measure_all, sheet_text, write_sheet
    from dopascope.batch.derivatives import write_dataset, write_description
    from dopascope.batch.normalise import normalise_scans
    from dopascope.cohort import COLUMNS
    from dopascope.cohort.importers import find_scans
    from dopascope.provenance import write_text

    _check_apart(chosen.bids_dir, chosen.output_dir)
    there = find_scans("bids", chosen.bids_dir)
    say_assumed(there.assumed)
    for why, count in there.reasons().most_common():
        say(f"left out  {count}: {why}")
    scans = _chosen(_dat(there), chosen.participant_label, chosen.session_label)
    out, cache = chosen.output_dir, chosen.work_dir or cache_of(chosen.output_dir)
    runner = Runner(chosen.n_procs)
    say(f"{len(scans)} scans: normalising ...")
    outcomes, targets = normalise_scans(scans, out, NormaliseSettings(), cache=cache, runner=runner)
    say(f"{len(scans)} scans: measuring ...")
    found = {one.number: one.result for one in measure_all(scans, Settings(), cache, runner)}
    results = [found[number] for number in range(len(scans))]
    say_assumed(list(dict.fromkeys(text for one in results for text in one.assumed)))
    if chosen.analysis_level == "group":
        write_dataset(out, outcomes, targets, (COLUMNS, [scan.cells for scan in scans]))
        write_sheet(results, out / "sbr.tsv")
    else:
        write_description(out)
        for one in results:
            write_text(_ratios(targets[one.name]), sheet_text([one]))
    data(str(out))
    bad = {one.name: one.error for one in results if one.error is not None}
    bad |= {one.scan.name: one.error for one in outcomes if one.error is not None}
    for name, error in bad.items():
        say(f"  {name} failed: {error['what']} {error.get('found', '')}".rstrip())
    if bad:
        raise SomeScansFailedError(
            "Some scans failed.",
            where=out,
            found=f"{len(bad)} of {len(scans)}: {', '.join(bad)}",
            fix="The same command tries them again.",
        )


def _dat(found: Found) -> list[CohortScan]:
    scans = [scan for scan in found.scans() if scan.is_dat]
    if not scans:
        raise UnsuitableError(
            "There is no DaT scan in this BIDS folder.",
            where=found.root,
            found=f"{len(found.rows)} scans of other kinds",
            expected="sub-*/[ses-*/]spect/*.nii.gz or sub-*/[ses-*/]pet/*_pet.nii.gz",
            fix="Check the path.",
        )
    return scans


def _ratios(target: Target) -> Path:
    """Where the binding ratios of one scan are written; they are measured in its own space."""
    return target.root / target.folder / f"{target.entities}_desc-sbr_spect.tsv"


def _check_apart(bids_dir: Path, out: Path) -> None:
    """The input is only read: nothing is written into it but below its `derivatives`."""
    inside = out.resolve().relative_to(bids_dir.resolve()).parts if _within(out, bids_dir) else None
    if inside is not None and (len(inside) < 2 or inside[0] != "derivatives"):
        raise UsageError(
            "The derivatives would be written among the raw data.",
            where="output_dir",
            found=out,
            expected="a folder outside the BIDS folder, or a folder in its derivatives/",
            fix=f"Give {bids_dir / 'derivatives' / 'dopascope'}.",
        )


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _chosen(scans: list[CohortScan], people: list[str], sessions: list[str]) -> list[CohortScan]:
    found = scans
    for column, mark, labels in (("participant_id", "sub-", people), ("session_id", "ses-", sessions)):
        wanted = {f"{mark}{label.removeprefix(mark)}" for label in labels}
        known = {scan.cells.get(column) for scan in scans}
        if missing := sorted(wanted - known):
            raise UsageError(
                "These labels are not in the BIDS folder.",
                where=f"--{column.removesuffix('_id')}-label",
                found=", ".join(missing),
                expected=", ".join(sorted(str(one) for one in known if one)[:20]),
                fix="Correct the labels.",
            )
        found = [scan for scan in found if not wanted or scan.cells.get(column) in wanted]
    if not found:
        raise UsageError(
            "No scan is of these participants and these sessions.",
            where="--participant-label, --session-label",
            found=", ".join((*people, *sessions)),
            expected="a participant with a scan in that session",
            fix="Correct the labels.",
        )
    return found
