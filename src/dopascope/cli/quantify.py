"""`dopascope quantify SCAN|cohort.tsv`: binding ratios of one scan or of a cohort, and what is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import CacheOption, DaskOption, WorkersOption
from dopascope.cli.read import AgeOption, MethodOption, NormalsOption, ReferenceOption, SexOption
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.errors import SomeScansFailedError, UsageError
from dopascope.formats.registry import Strictness

if TYPE_CHECKING:
    from dopascope.batch import Measured, Settings
    from dopascope.cohort import CohortScan
    from dopascope.quant import Normals, Quantification, Recovery

FORM: Final = "dopascope.quantify/1"
DISCLAIMER: Final = "For research and education. Not a medical device."

WhatArgument = Annotated[
    Path, typer.Argument(help="A scan (file, folder or zip), or a cohort table.", metavar="SCAN|cohort.tsv")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Table of ratios to write; without it they go to stdout.", metavar="TSV")
]
FitNormalsOption = Annotated[
    Path | None,
    typer.Option("--fit-normals", help="Fit normals to the cohort's healthy people and write them.", metavar="FILE"),
]
LabelOption = Annotated[
    list[str],
    typer.Option("--label", help="Label of healthy people; repeat for several. Default: control, normal."),
]
TruthOption = Annotated[
    Path | None,
    typer.Option("--truth", help="True ratios of a physical phantom: columns region, true_ratio.", metavar="TABLE"),
]
FitRecoveryOption = Annotated[
    Path | None, typer.Option("--fit-recovery", help="Write the phantom's recovery factors, as JSON.", metavar="FILE")
]
RecoveryOption = Annotated[
    Path | None, typer.Option("--recovery", help="Divide ratios by these recovery factors.", metavar="FILE")
]


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    what: Path
    out: Path | None
    age: float | None
    sex: str | None
    fit_normals: Path | None
    labels: tuple[str, ...]
    truth: Path | None
    fit_recovery: Path | None
    recovery: Path | None
    series: str | None
    frame: int | None
    json: bool
    cache: Path | None
    workers: int
    dask: str | None

    @property
    def cohort(self) -> bool:
        """Whether a cohort table is measured and not one scan."""
        return self.what.suffix.lower() == ".tsv"

    def check(self) -> None:
        """Raise UsageError for options that cannot be meant together, or would overwrite what is read."""
        alone = {"--age": self.age, "--sex": self.sex, "--series": self.series, "--frame": self.frame}
        given = [name for name, value in alone.items() if value is not None]
        if self.cohort and given:
            raise _clash(given[0], "with a cohort table", "a single scan", "Put it into the table's column.")
        batch = {"--workers": self.workers > 1, "--dask": self.dask is not None, "--cache": self.cache is not None}
        if not self.cohort and (meant := [name for name, on in batch.items() if on]):
            raise _clash(meant[0], "with one scan", "a cohort table", "Leave it out.")
        if self.fit_normals is not None and not self.cohort:
            raise _clash("--fit-normals", "with one scan", "a cohort table", "List the healthy people in a .tsv table.")
        if self.labels and self.fit_normals is None:
            raise _clash("--label", "without --fit-normals", "both", "Add --fit-normals FILE.")
        if self.fit_recovery is not None and self.truth is None:
            raise _clash("--fit-recovery", "without --truth", "both", "Add --truth TABLE.")
        if self.truth is not None and self.recovery is not None:
            raise _clash("--truth", "with --recovery", "ratios that are not corrected already", "Leave one out.")
        written = [path for path in (self.out, self.fit_normals, self.fit_recovery) if path is not None]
        inputs = [path for path in (self.what, self.truth, self.recovery) if path is not None]
        taken = {path.resolve() for path in inputs}
        for path in written:
            if path.resolve() in taken:
                raise _clash(str(path), "is read and written", "a file of its own", "Name another file.")
            taken.add(path.resolve())


def _clash(where: str, found: str, expected: str, fix: str) -> UsageError:
    return UsageError("These options cannot be meant together.", where=where, found=found, expected=expected, fix=fix)


@verb
def quantify(
    what: WhatArgument,
    out: OutOption = None,
    reference: ReferenceOption = "whole_brain",
    method: MethodOption = "anatomical",
    age: AgeOption = None,
    sex: SexOption = None,
    normals: NormalsOption = None,
    fit_normals: FitNormalsOption = None,
    label: LabelOption = [],  # noqa: B006  (typer copies it)
    truth: TruthOption = None,
    fit_recovery: FitRecoveryOption = None,
    recovery: RecoveryOption = None,
    series: options.SeriesOption = None,
    frame: options.FrameOption = None,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    cache: CacheOption = None,
    json: options.JsonOption = False,
) -> None:
    """Measure binding ratios of one scan, or of every scan in a cohort table.

    A scan that cannot be measured is recorded in its line, and the others go on (exit code 3). An interrupted run
    goes on with the same command.

    Examples: dopascope quantify scan.dcm --age 67 --sex F; dopascope quantify cohort.tsv --out sbr.tsv;
    dopascope quantify cohort.tsv --out sbr.tsv --workers 2 --fit-normals normals.json;
    dopascope quantify phantom.dcm --truth ratios.tsv --fit-recovery recovery.json
    """
    wanted = options.read_options(frame, strictness, limit)
    request = Request(
        *(what, out, age, sex, fit_normals, tuple(label), truth, fit_recovery, recovery, series, frame, json),
        *(cache, workers, dask),
    )
    request.check()
    from dopascope import quant
    from dopascope.batch import Settings

    quant.check_method(method, reference)
    settings = Settings(
        method=method,
        reference=reference,
        normals=None if normals is None else quant.load_normals(normals),
        recovery=None if recovery is None else quant.load_recovery(recovery),
        phantom=truth is not None,
        strictness=strictness,
        limits=wanted.limits,
    )
    _run(request, settings)


def _run(request: Request, settings: Settings) -> None:
    from dopascope.batch import assumed_of, read_truth, recovery_of, write_sheet

    truth = None if request.truth is None else read_truth(request.truth)
    scans = _scans(request)
    _prepare(request, scans)
    results = _measure(request, settings, scans)
    if request.out is not None:
        write_sheet(results, request.out)
    fitted = None if request.fit_normals is None else _fit_normals(request, results)
    factors = None
    if truth is not None:
        say_assumed(assumed_of(results, truth))
        stem = request.fit_recovery or request.what
        factors = recovery_of(results, truth, name=stem.name.split(".")[0])
        _write_model(factors, request.fit_recovery)
    _answer(request, results, fitted, factors)
    bad = [one for one in results if one.error is not None]
    if bad:
        raise SomeScansFailedError(
            "Some scans could not be measured.",
            where=request.what,
            found=f"{len(bad)} of {len(results)}",
            fix="See the column error; the same command tries them again.",
        )


def _scans(request: Request) -> list[CohortScan]:
    from dopascope.cohort import one_scan, read_cohort

    found: list[CohortScan] = (
        read_cohort(request.what) if request.cohort else [one_scan(request.what, request.age, request.sex)]
    )
    return found


def _prepare(request: Request, scans: list[CohortScan]) -> None:
    """Find out before the long work what would fail after it."""
    from dopascope import provenance
    from dopascope.batch.fitting import check_enough

    if request.fit_normals is not None:
        check_enough(scans, request.labels)
    for path in (request.out, request.fit_normals, request.fit_recovery):
        if path is not None:
            provenance.check_writable(path.parent)


def _measure(request: Request, settings: Settings, scans: list[CohortScan]) -> list[Measured]:
    from dopascope.batch import Runner, cache_of, measure_all, measure_scan

    if not request.cohort:
        return [measure_scan(scans[0], settings, series=request.series, frame=request.frame)]
    cache = request.cache or (None if request.out is None else cache_of(request.out))
    say(f"Measuring {len(scans)} scans ...")
    results: dict[int, Measured] = {}
    for one in measure_all(scans, settings, cache, Runner(request.workers, request.dask)):
        state = "kept" if one.kept else "done"
        if one.result.error is not None:
            state = f"failed: {one.result.error['what']} {one.result.error.get('found', '')}".rstrip()
        results[one.number] = one.result
        say(f"  {len(results)}/{len(scans)}  {one.result.name}  {state}")
    return [results[number] for number in sorted(results)]


def _fit_normals(request: Request, results: list[Measured]) -> Normals:
    from dopascope.batch import normals_of
    from dopascope.batch.fitting import HEALTHY_LABELS, left_out

    path = request.fit_normals or Path("normals.json")
    labels = request.labels or HEALTHY_LABELS
    if others := left_out(results, labels):
        say(f"WARNING  Not fitted, since not measured or not placed well: {', '.join(others)}")
    found = normals_of(results, name=path.stem, cohort=request.what.name, labels=labels)
    _write_model(found, request.fit_normals)
    return found


def _write_model(found: Normals | Recovery, path: Path | None) -> None:
    from dopascope import provenance

    if path is not None:
        provenance.write_text(path, found.model_dump_json(indent=2) + "\n")


def _answer(request: Request, results: list[Measured], fitted: Normals | None, factors: Recovery | None) -> None:
    from dopascope.batch import sheet_text

    say_assumed(list(dict.fromkeys(text for one in results for text in one.assumed)))
    _warn(results)
    if request.json:
        known: dict[str, Any] = {"form": FORM, "disclaimer": DISCLAIMER, "scans": [one.as_dict() for one in results]}
        known["normals"] = None if fitted is None else fitted.model_dump(mode="json")
        known["recovery"] = None if factors is None else factors.model_dump(mode="json") | {"id": factors.id}
        data(as_json(known))
        return
    if request.out is not None:
        data(str(request.out))
    elif request.cohort and factors is None:
        data(sheet_text(results).rstrip("\n"))
    elif not request.cohort and results[0].quantification is not None:
        _show(results[0].quantification)
    if fitted is not None:
        # A table on stdout is data to its last line.
        (say if request.out is None else data)(str(request.fit_normals))
        say(
            f"Normals: {fitted.population}, {fitted.age_range[0]:g} to {fitted.age_range[1]:g} years; {_sexes(fitted)}."
        )
        say(f"  method {fitted.method_id}; {fitted.acquisition}")
    if factors is not None:
        _show_factors(factors)


def _warn(results: list[Measured]) -> None:
    """Each warning once, with the scan or the number of scans that it is about."""
    about: dict[str, list[str]] = {}
    for one in results:
        for text in (*one.warnings, *(one.quantification.warnings if one.quantification else ())):
            about.setdefault(text, []).append(one.name)
    for text, names in about.items():
        whose = "" if len(results) == 1 else f" ({names[0] if len(names) == 1 else f'{len(names)} scans'})"
        say(f"WARNING  {text}{whose}")


def _sexes(fitted: Normals) -> str:
    if fitted.sex is not None:
        return "one sex only, so no effect of sex was fitted and they hold for that sex alone"
    return f"{fitted.women} women, {fitted.n - (fitted.women or 0)} men"


def _show(numbers: Quantification) -> None:
    data(f"SBR        {numbers.method_id}")
    for name, region in numbers.regions.items():
        if region.sbr is None:
            data(f"  {name:<26} not measured: {region.reason}")
            continue
        spread = "" if region.interval is None else f"  ({region.interval[0]:.2f} to {region.interval[1]:.2f})"
        place = "" if region.z is None else f"  z {region.z:+.2f}"
        share = "" if region.percent_expected is None else f"  {region.percent_expected:.0f} % of expected"
        data(f"  {name:<26} {region.sbr:5.2f}{spread}{place}{share}")
    for name, index in numbers.indices.items():
        value = f"not measured: {index.reason}" if index.value is None else f"{index.value:6.2f} {index.unit}".rstrip()
        data(f"  {name:<40} {value}")
    data(f"Normals    {numbers.normals or f'none: {numbers.normals_reason}'}")
    data(DISCLAIMER)


def _show_factors(factors: Recovery) -> None:
    data(f"Recovery   {factors.id}  measured over true ratio, {factors.method_id}")
    for region, one in factors.regions.items():
        low, high = one.interval
        data(f"  {region:<26} {one.factor:.3f}  ({low:.3f} to {high:.3f})  {one.n} scan{'s' if one.n > 1 else ''}")
    say(f"Ratios divided by these factors have the method id {factors.corrected_method_id}")
