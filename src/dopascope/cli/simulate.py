"""`dopascope simulate`: a cohort of simulated people, scanned and with the truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dopascope.cli.progress import showing
from dopascope.cli.talk import data, say, say_assumed, verb
from dopascope.errors import UsageError

if TYPE_CHECKING:
    from dopascope.simulate import Plan, T1Plan

IDEAL_UP_TO: Final = 100
"""Larger cohorts get no ideal ratios unless asked for: they take seconds for each scan."""

SubjectsOption = Annotated[int, typer.Option("--subjects", help="How many people.", metavar="N")]
SeedOption = Annotated[
    int, typer.Option("--seed", help="The same seed gives the same bytes; a whole number from 0.", metavar="S")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the cohort, new or to go on with.", metavar="DIR")]
ModalityOption = Annotated[
    str, typer.Option("--modality", help="What is simulated: DaT SPECT or T1-weighted MRI.", metavar="dat|t1")
]
PhysicsOption = Annotated[
    str,
    typer.Option(
        "--physics",
        help="Calibrated cameras in image space, or projections and their reconstruction (needs [learn]).",
        metavar="image|projection",
    ),
]
FormatOption = Annotated[str, typer.Option("--format", help="How scans are stored.", metavar="nifti|dicom")]
SitesOption = Annotated[
    str | None,
    typer.Option("--sites", help="Sites to scan at, equally often; default: all (phantom.md, t1.md).", metavar="A,B"),
]
MixOption = Annotated[
    str | None,
    typer.Option("--mix", help="Shares of groups, such as healthy=.5,pd=.5; together 1.", metavar="GROUP=SHARE,..."),
]
SignOption = Annotated[
    str,
    typer.Option("--spacing-sign", help="How DICOM slices are stacked.", metavar="both|positive|negative"),
]
IdealOption = Annotated[
    bool | None,
    typer.Option(
        "--ideal/--no-ideal",
        help=f"Ideal measured ratios in truth.tsv; default: for up to {IDEAL_UP_TO} subjects.",
        show_default=False,
    ),
]
SpacingOption = Annotated[
    float | None, typer.Option("--spacing", help="Cubic voxels of T1 scans; default: each site's own.", metavar="MM")
]
EffectOption = Annotated[
    float | None,
    typer.Option("--effect", help="Scale of group effects on T1 volumes: 0 none; default 1, as reported.", metavar="E"),
]
BrainLabelsOption = Annotated[
    list[Path],
    typer.Option("--brain-labels", help="FreeSurfer aseg of a further brain for T1; may be repeated.", metavar="FILE"),
]
ProcessesOption = Annotated[int, typer.Option("--processes", help="Worker processes.", metavar="P")]


@verb
def simulate(
    subjects: SubjectsOption,
    out: OutOption,
    seed: SeedOption = 1,
    modality: ModalityOption = "dat",
    physics: PhysicsOption = "image",
    format: FormatOption = "nifti",
    sites: SitesOption = None,
    mix: MixOption = None,
    spacing_sign: SignOption = "both",
    ideal: IdealOption = None,
    spacing: SpacingOption = None,
    effect: EffectOption = None,
    brain_labels: BrainLabelsOption = [],  # noqa: B006  (typer copies it)
    processes: ProcessesOption = 2,
) -> None:
    """Simulate a cohort with known truth: scans, cohort.tsv and truth.tsv. Run again to go on after an interruption.

    Examples: dopascope simulate --subjects 20 --seed 1 --out cohort;
    dopascope simulate --subjects 100 --out dicom --format dicom --mix healthy=.5,pd=.5;
    dopascope simulate --modality t1 --subjects 20 --out t1 --spacing 2 --mix healthy=.5,pd=.5
    """
    from dopascope.phantom import MIX, SITES
    from dopascope.phantom.mr.scanners import SCANNERS
    from dopascope.simulate import Plan, T1Plan, parse_mix, parse_scanners, parse_sites, run

    shares = MIX if mix is None else parse_mix(mix)
    plan: Plan | T1Plan
    if modality == "t1":
        _only("dat", physics=physics != "image", spacing_sign=spacing_sign != "both", ideal=ideal is not None)
        plan = T1Plan(
            subjects,
            seed,
            format=format,
            sites=tuple(SCANNERS) if sites is None else parse_scanners(sites),
            mix=shares,
            spacing_mm=spacing,
            effect=1.0 if effect is None else effect,
            labels=tuple(brain_labels),
        )
    else:
        _only("t1", spacing=spacing is not None, effect=effect is not None, brain_labels=bool(brain_labels))
        plan = Plan(
            subjects=subjects,
            seed=seed,
            modality=modality,
            physics=physics,
            format=format,
            sites=tuple(SITES) if sites is None else parse_sites(sites),
            mix=shares,
            spacing_sign=spacing_sign,
            ideal=subjects <= IDEAL_UP_TO if ideal is None else ideal,
        )
    _tell(plan, ideal)
    with showing("Simulating", subjects) as show:
        cohort = run(plan, out, processes=processes, progress=lambda done, kept, _: show(done, kept))
    say(f"Truth: {out / 'truth.tsv'}")
    data(str(cohort))


def _only(modality: str, **given: bool) -> None:
    """Refuse options that mean something for another modality alone."""
    for name in (name for name, was_given in given.items() if was_given):
        raise UsageError(
            f"This option means something for --modality {modality} alone.",
            where=f"--{name.replace('_', '-')}",
            found="given",
            expected="left out",
            fix=f"Leave it out, or simulate with --modality {modality}.",
        )


def _tell(plan: Plan | T1Plan, ideal: bool | None) -> None:
    say_assumed(plan.assumed())
    if ideal is None and getattr(plan, "ideal", True) is False:
        say(f"ASSUMED  no ideal ratios in truth.tsv, with more than {IDEAL_UP_TO} subjects; --ideal adds them")
