"""`dopascope read SCAN`: one scan in, one reading out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import options
from dopascope.cli.talk import AnsweredError, data, say, say_assumed, verb
from dopascope.errors import UsageError
from dopascope.formats.registry import Strictness

if TYPE_CHECKING:
    from dopascope.reading import Choices, Reading
    from dopascope.volume import SliceImage, Volume


OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for reading.json, report.html and report.pdf.", metavar="DIR")
]
AgeOption = Annotated[float | None, typer.Option("--age", help="Age in years, before the header's.", metavar="Y")]
SexOption = Annotated[str | None, typer.Option("--sex", help="F or M, before the header's.", metavar="F|M")]
ModelOption = Annotated[
    list[str],
    typer.Option(
        "--model", help="Read with this model only; repeat for several; `none` for the rule alone.", metavar="NAME"
    ),
]
MethodOption = Annotated[str, typer.Option("--method", help="Regions to measure: anatomical.", metavar="ID")]
ReferenceOption = Annotated[
    str, typer.Option("--reference", help="Reference region: whole_brain or occipital.", metavar="REGION")
]
NormalsOption = Annotated[
    Path | None,
    typer.Option(
        "--normals",
        help="Normal values as JSON, for z and percent of expected; without it the shipped ones that fit.",
        metavar="FILE",
    ),
]
ShiftOption = Annotated[
    str | None,
    typer.Option("--shift", help="Move the scan under the regions by x,y,z mm (right, forward, up).", metavar="X,Y,Z"),
]
RotateOption = Annotated[
    str | None,
    typer.Option("--rotate", help="Turn the scan under the regions by x,y,z degrees.", metavar="X,Y,Z"),
]
EvidenceOption = Annotated[
    bool, typer.Option("--evidence/--no-evidence", help="Map where the networks' answer comes from.")
]
CounterfactualOption = Annotated[
    str | None,
    typer.Option(
        "--counterfactual",
        help="Simulate this slab with other ratios: `normal` for those of healthy people of the age, or the ratio of "
        "the lower putamen as the slab shows it. No evidence.",
        metavar="normal|RATIO",
    ),
]


@verb
def read(
    scan: options.ScanArgument,
    out: OutOption = None,
    modality: options.ModalityOption = None,
    age: AgeOption = None,
    sex: SexOption = None,
    model: ModelOption = [],  # noqa: B006  (typer copies it)
    method: MethodOption = "anatomical",
    reference: ReferenceOption = "whole_brain",
    normals: NormalsOption = None,
    shift: ShiftOption = None,
    rotate: RotateOption = None,
    evidence: EvidenceOption = True,
    counterfactual: CounterfactualOption = None,
    series: options.SeriesOption = None,
    frame: options.FrameOption = None,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    models_dir: options.ModelsDirOption = None,
    json: options.JsonOption = False,
) -> None:
    """Read one scan. DaT SPECT: binding ratios with intervals, all readers side by side, evidence, and a report.

    T1 MRI: the brain, volumes with intervals, pseudo-colour, and why there is no verdict.

    Exit code 4 where the scan is not fit to be read; the report is still written and says why.

    Examples: dopascope read scan.dcm --out reading; dopascope read scan.nii.gz --age 67 --sex F --json;
    dopascope read t1.nii.gz --modality t1
    """
    wanted = options.read_options(frame, strictness, limit)
    moved, turned = options.three_numbers("--shift", shift), options.three_numbers("--rotate", rotate)
    from dopascope import formats

    image = formats.load(scan, series=series, frame=frame, strictness=strictness, limits=wanted.limits)
    folder = out or Path(f"{stem(scan)}-reading")
    _prepare(folder, image)
    from dopascope.reading import Choices

    choices = Choices(
        modality=modality,
        age=age,
        sex=sex,
        models=tuple(model) or None,
        method=method,
        reference=reference,
        normals=normals,
        shift_mm=moved,
        rotate_deg=turned,
        evidence=evidence,
        counterfactual=counterfactual,
        models_dir=models_dir,
    )
    reading = _read_and_write(image, choices, folder)
    if json:
        data(reading.to_json())
    else:
        _show(reading)
    _talk(reading, folder, normals_given=normals is not None, counterfactual=counterfactual is not None)
    if reading.verdict == "refused":
        count = len(reading.verdict_reasons)
        raise AnsweredError(
            "This scan was not read.",
            where=scan,
            found=f"{count} reason{'s' if count != 1 else ''}, see above",
            expected="a T1-weighted MRI of one whole head"
            if reading.is_t1
            else "a DaT SPECT of one head, geometry known",
            fix=f"See the passport in {folder / 'report.html'}.",
        )


def _read_and_write(image: Volume | SliceImage, choices: Choices, folder: Path) -> Reading:
    from dopascope import report
    from dopascope.reading import examine

    examination = examine(image, choices)
    report.write(examination, folder)
    return examination.reading


def _talk(reading: Reading, folder: Path, *, normals_given: bool, counterfactual: bool) -> None:
    """What only a person reads: assumptions, warnings, where the report is."""
    from dopascope.report import content

    say_assumed(content.assumed(reading))
    for warning in reading.warnings:
        say(f"WARNING  {warning}")
    if normals_given and reading.quantification and reading.quantification.normals_reason:
        say(f"WARNING  No z and no percent of expected: {reading.quantification.normals_reason}")
    if counterfactual and not reading.counterfactual:
        say(f"WARNING  No counterfactual: {reading.reasons['counterfactual']}")
    say(f"Report: {folder / 'report.html'}")


def _prepare(folder: Path, image: Volume | SliceImage) -> None:
    """Find out before the long work whether the report can go there, and that no other scan's is lost."""
    from dopascope import provenance
    from dopascope.reading import Reading

    earlier = folder / "reading.json"
    if earlier.exists():
        try:
            known = Reading.model_validate_json(earlier.read_text(encoding="utf-8")).scan.sha256
        except ValueError:
            known = "not a reading of this version"
        if image.source is None or known != image.source.sha256:
            raise UsageError(
                "This folder holds the reading of another scan.",
                where=folder,
                found=f"sha256 {known}",
                expected="an empty folder, or one with a reading of this scan",
                fix="Name another folder with --out, or remove this one.",
            )
    provenance.check_writable(folder)


def stem(scan: Path) -> str:
    """The name of a scan without the suffixes of its format."""
    name = scan.resolve().name
    for suffix in (".nii.gz", ".nii", ".dcm", ".zip", ".img", ".hdr", ".mgz", ".mgh", ".png", ".jpg", ".jpeg"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _show(reading: Reading) -> None:
    data(f"Verdict    {reading.word}")
    for reason in reading.verdict_reasons:
        data(f"           {reason}")
    data(f"Passport   {reading.passport.verdict}")
    _show_t1(reading)
    if reading.quantification:
        data(f"SBR        {reading.quantification.method_id}")
        for name, region in reading.quantification.regions.items():
            if region.sbr is None or region.interval is None:
                data(f"  {name:<26} not measured: {region.reason}")
            else:
                low, high = region.interval
                place = "" if region.z is None else f"  z {region.z:+.2f}"
                data(f"  {name:<26} {region.sbr:5.2f}  ({low:.2f} to {high:.2f}){place}")
        data(f"Normals    {reading.quantification.normals or f'none: {reading.quantification.normals_reason}'}")
    for one in reading.readers:
        chance = "" if one.p_abnormal is None else f"  p {one.p_abnormal:.2f}, {one.calibration}"
        data(f"Reader     {one.id}: {one.verdict}{chance}")
    if reading.counterfactual:
        data(f"Simulated  {reading.counterfactual.model}, ratios as the slab shows them; no evidence")
        for name, ratio in reading.counterfactual.ratios.items():
            data(f"  {name:<26} {ratio.present:5.2f} asked to be {ratio.wanted:.2f}, read off {ratio.found:.2f}")
    if reading.disagreement:
        data(f"DISAGREE   {reading.disagreement}")
    data(reading.disclaimer)


def _show_t1(reading: Reading) -> None:
    if reading.brain:
        data(f"Brain      {reading.brain.volume_ml:.0f} ml, {reading.brain.model}")
    if reading.morphometry:
        data(f"Volumes    {reading.morphometry.method_id}, ml")
        for name, one in reading.morphometry.volumes.items():
            data(f"  {name:<26} {one.ml:5.2f}  ({one.interval[0]:.2f} to {one.interval[1]:.2f})")
        for name, index in reading.morphometry.indices.items():
            if index.value is not None and index.interval is not None:
                low, high = index.interval
                data(f"  {name:<26} {index.value:5.2f}  ({low:.2f} to {high:.2f}) {index.unit}".rstrip())
    elif reading.brain:
        data(f"Volumes    not measured: {reading.reasons.get('morphometry')}")
