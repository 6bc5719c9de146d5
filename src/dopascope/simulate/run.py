"""A whole cohort into a folder: over processes, and on from where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from dopascope import provenance
from dopascope.batch.workers import each
from dopascope.errors import MissingExtraError, UsageError
from dopascope.simulate.plan import FORM, Plan
from dopascope.simulate.scans import TRUTH, Job, make
from dopascope.simulate.t1_plan import T1Plan
from dopascope.simulate.t1_scans import BRAINS, SCANS, Record
from dopascope.simulate.tables import write_tables

PLAN: Final = "plan.json"
_DECISIVE: Final = ("dopascope", "python", "numpy", "scipy", "nibabel", "pydicom", "torch")
"""Packages that can change a byte of a scan."""

Progress = Callable[[int, int, int], None]
"""Called with participants done, of those found finished already, and all."""


def run(plan: Plan | T1Plan, out: str | Path, *, processes: int = 1, progress: Progress | None = None) -> Path:
    """Make the cohort of `plan` in the folder `out` and return the path of its `cohort.tsv`.

    Each scan is written whole or not at all. What is finished and unchanged is kept, so the same call goes on after
    an interruption, a full disk or with more subjects; the tables come last. The bytes do not depend on `processes`.
    With more than one, a script that calls this needs the usual `if __name__ == "__main__":`.

    Raises:
        UsageError: `out` holds something else or another plan's cohort, or `processes` is below 1.
        MissingExtraError: the plan wants projections and torch is not installed.
        OSError: the disk refuses.
    """
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise UsageError(
            "The number of processes cannot be meant.",
            where="processes",
            found=processes,
            expected="a whole number from 1",
            fix="Give --processes 1 or more; 2 suits two cores.",
        )
    out = Path(out)
    _open(plan, out)
    records: dict[int, Record] = {}
    kept = 0
    jobs = (Job(plan, number, out) for number in range(1, plan.subjects + 1))
    for job, (record, was_there) in each(make, jobs, min(processes, plan.subjects)):
        records[job.number] = record
        kept += was_there
        if progress is not None:
            progress(len(records), kept, plan.subjects)
    cohort, _ = write_tables([records[number] for number in sorted(records)], out)
    return cohort


def _open(plan: Plan | T1Plan, out: Path) -> None:
    """Make sure that `out` is empty or holds this plan's cohort, and write the plan there."""
    if out.exists() and not out.is_dir():
        raise _taken(out, "a file")
    path = out / PLAN
    resolved = {**plan.as_dict(), "software": _software(plan)}
    if path.is_file():
        _check_same(resolved, path)
    elif out.is_dir() and (there := sorted(one.name for one in out.iterdir())):
        raise _taken(out, ", ".join(there[:5]))
    provenance.check_writable(out)
    for name in (SCANS, TRUTH, BRAINS) if isinstance(plan, T1Plan) else (SCANS, TRUTH):
        folder = out / name
        folder.mkdir(exist_ok=True)
        for stray in folder.glob(".*-sub-*"):  # what a run left that was killed while it wrote
            stray.unlink(missing_ok=True)
    provenance.write_text(path, json.dumps(resolved, indent=2) + "\n")


def _taken(out: Path, found: str) -> UsageError:
    return UsageError(
        "The folder holds something else.",
        where=f"out, {out}",
        found=found,
        expected="an empty or new folder, or the cohort of the same plan",
        fix="Name another folder with --out.",
    )


def _check_same(resolved: dict[str, Any], path: Path) -> None:
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        form = earlier["form"]
        before = {**earlier, "asked": dict(earlier["asked"]), "software": dict(earlier["software"])}
        before["sites"] = dict(earlier["sites"])
        subjects = int(before["asked"].pop("subjects"))
    except (ValueError, KeyError, TypeError):
        raise _taken(path.parent, f"a {PLAN} that is no plan of a cohort") from None
    now = json.loads(json.dumps(resolved))
    wanted = now["asked"].pop("subjects")
    pairs = [("form", form, FORM)]
    for part in ("asked", "software"):
        pairs += [(name, before[part].get(name), value) for name, value in now[part].items()]
    pairs += [(f"sites.{name}", before["sites"].get(name), value) for name, value in now["sites"].items()]
    pairs += [(name, before.get(name), now[name]) for name in ("poses", "people") if name in now]
    differing = [(name, old, new) for name, old, new in pairs if old != new]
    if not differing and wanted < subjects:
        differing = [("subjects", subjects, wanted)]
    if differing:
        name, old, new = differing[0]
        raise UsageError(
            "The folder holds the cohort of another plan.",
            where=f"{name}, {path}",
            found=str(new) if len(str(new)) < 200 else "another value",
            expected=str(old) if len(str(old)) < 200 else f"{name} as recorded there",
            fix="Name another folder with --out, or go on with the plan that is there (its subjects may grow).",
        )


def _software(plan: Plan | T1Plan) -> dict[str, str]:
    known = provenance.software()
    if isinstance(plan, Plan) and plan.physics == "projection":
        known["torch"] = _torch_version()
    return {name: known[name] for name in _DECISIVE if name in known}


def _torch_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("torch")
    except PackageNotFoundError:
        raise MissingExtraError(
            "Simulating projections needs torch, which is not installed.",
            where="physics",
            found="projection",
            fix="Install it with: pip install 'dopascope[learn]', or simulate in image space: --physics image.",
        ) from None
