"""`dopascope study`: from a cohort to validated models, and what is to be believed of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import CacheOption, WorkersOption, finder_for
from dopascope.cli.study_explain import RunArgument, explain_scan, require
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.cli.telling import Teller
from dopascope.errors import SomeScansFailedError, UsageError

if TYPE_CHECKING:
    from dopascope.study import Plan

app = typer.Typer(name="study", help="Train and test models on a cohort, by a plan.", no_args_is_help=True)

PlanArgument = Annotated[str, typer.Argument(help="s1, s2, s3, s5, best, or the path of a plan.", metavar="PLAN")]
CohortOption = Annotated[Path, typer.Option("--cohort", help="The cohort table.", metavar="cohort.tsv")]
OutOption = Annotated[Path, typer.Option("--out", help="The run folder.", metavar="RUN")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in this folder.")]
AlsoOption = Annotated[
    Path | None,
    typer.Option(
        "--also", help="Further scans of the same people, such as degraded copies, judged apart.", metavar="more.tsv"
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights-dir", help="Folder of published weights; default: the user's data folder.", metavar="DIR"),
]
InitialOption = Annotated[
    str | None,
    typer.Option("--weights", help="First weights of every network, instead of the plan's.", metavar="NAME|FILE"),
]
MinutesOption = Annotated[
    float | None,
    typer.Option("--minutes", help="Time after which each training ends, at an end of an epoch.", metavar="M"),
]
EpochsOption = Annotated[
    int | None, typer.Option("--epochs", help="Epochs of every network, instead of the plan's.", metavar="N")
]
LeaveOutOption = Annotated[
    str | None,
    typer.Option("--leave-out", help="A fold for each camera or site, instead of the plan's.", metavar="camera|site"),
]
WithOption = Annotated[
    str | None,
    typer.Option(
        "--with",
        help="Extra training images of every network: cvae, gan, ddpm, rflow or ldm fitted in each fold; repeated, the "
        "matched null; or none.",
        metavar="NAME",
    ),
]
ShareOption = Annotated[float, typer.Option("--share", help="Extra images for each scan, with --with.", metavar="X")]
AloneOption = Annotated[
    bool, typer.Option("--alone", help="With --with: learn from the synthetic images alone, test on real scans.")
]
GeneratorEpochsOption = Annotated[
    int | None, typer.Option("--generator-epochs", help="Of the generator, with --with.", metavar="N")
]
RunsArgument = Annotated[list[Path], typer.Argument(help="Run folders of the same cohort and folds.", metavar="RUN...")]


@app.command("run")
@verb
def run(
    plan: PlanArgument,
    cohort: CohortOption,
    out: OutOption,
    resume: ResumeOption = False,
    also: AlsoOption = None,
    weights: InitialOption = None,
    weights_dir: WeightsOption = None,
    minutes: MinutesOption = None,
    epochs: EpochsOption = None,
    leave_out: LeaveOutOption = None,
    with_: WithOption = None,
    share: ShareOption = 1.0,
    alone: AloneOption = False,
    generator_epochs: GeneratorEpochsOption = None,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    json: options.JsonOption = False,
) -> None:
    """Train and test as a plan says; an interrupted run goes on with --resume.

    Examples: dopascope study run best --cohort cohort.tsv --out runs/best;
    dopascope study run s3 --cohort cohort.tsv --out runs/s3 --weights none --epochs 20
    """
    require()
    from dopascope.batch import Runner
    from dopascope.cohort import read_cohort
    from dopascope.report import study as page
    from dopascope.study import changed, load
    from dopascope.study.run import Watch, run_study

    extra = _extra(with_, share, alone, generator_epochs)
    wanted = changed(load(plan), weights=weights, minutes=minutes, epochs=epochs, leave_out=leave_out, extra=extra)
    tell(wanted)
    teller = Teller()
    watch = Watch(
        scan=teller.scan,
        training=teller.training,
        left_out=lambda text: say(f"Warning: {text}"),
        epoch=teller.epoch,
    )
    try:
        figures = run_study(
            wanted,
            cohort,
            out,
            resume=resume,
            also=also,
            cache=cache,
            weights_folder=weights_dir,
            runner=Runner(workers),
            watch=watch,
            finder=finder_for([*read_cohort(cohort), *([] if also is None else read_cohort(also))]),
        )
    finally:
        teller.close()
    page.write(out)
    answer(figures, out, json)


@app.command("pretrain")
@verb
def pretrain(
    cohort: Annotated[Path, typer.Argument(help="A simulated T1 cohort of other people.", metavar="cohort.tsv")],
    out: Annotated[Path, typer.Option("--out", help="The weights.", metavar="FILE.npz")],
    network: Annotated[str, typer.Option("--network", help="A 3-D network.", metavar="NAME")] = "resnet3d-18",
    epochs: Annotated[int, typer.Option("--epochs", help="How many.", metavar="N", min=1)] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Of first weights and order.", metavar="S", min=0)] = 1,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    json: options.JsonOption = False,
) -> None:
    """Pretrain a 3-D network on the tissues of simulated T1 scans: S2's first weights where MedicalNet's are not.

    Example: dopascope study pretrain t1/cohort.tsv --out weights/stand-in-resnet3d-18.npz
    """
    require()
    from dopascope.batch import Runner
    from dopascope.study.pretrain import pretrain as learn

    teller = Teller()
    teller.training(f"pretraining {network}")
    found = learn(
        cohort,
        out,
        network=network,
        epochs=epochs,
        seed=seed,
        cache=cache,
        runner=Runner(workers),
        scan=teller.scan,
        progress=teller.epoch,
    )
    teller.close()
    if json:
        data(as_json(found))
        return
    say(
        f"{found['voxels_right']:.1%} of the voxels are right; always the largest part, "
        f"{found['voxels_of_the_largest_part']:.1%}. {found['scans']} scans, {found['epochs']} epochs."
    )
    data(str(out))


@app.command("report")
@verb
def report(run: RunArgument) -> None:
    """Write the report of a finished run again.

    Example: dopascope study report runs/best
    """
    from dopascope.report import study as page

    data(str(page.write(run)))


@app.command("compare")
@verb
def compare(runs: RunsArgument, json: options.JsonOption = False) -> None:
    """The answers of several runs for the same scans, and the intervals of their differences from the first.

    Example: dopascope study compare runs/best runs/s1 runs/s3
    """
    from dopascope.report.study_compare import compare_runs, lines

    found = compare_runs(runs)
    if json:
        data(as_json(found))
        return
    for line in lines(found):
        data(line)


@app.command("bundle")
@verb
def bundle(
    run: RunArgument,
    target: Annotated[Path, typer.Argument(help="The bundle's folder; must not exist.", metavar="FOLDER")],
    name: Annotated[str, typer.Option("--id", help="Its name, as `models list` will show it.", metavar="NAME")],
    title: Annotated[str, typer.Option("--title", help="A line for people.", metavar="TEXT")],
    licence: Annotated[
        str, typer.Option("--licence", help="Under which the weights may be used (SPDX).", metavar="SPDX")
    ] = "LicenseRef-not-stated",
    holder: Annotated[str, typer.Option("--holder", help="Whose they are.", metavar="NAME")] = "not stated",
) -> None:
    """Make a bundle of a run's final networks, which `models add` installs and `read` asks.

    Example: dopascope study bundle runs/mine bundles/mine --id mine --title "Slab networks of our scans"
    """
    require()
    from dopascope.convert.study_bundle import Named, bundle_of_run

    data(str(bundle_of_run(run, target, Named(name, title, licence, holder))))


app.command("explain")(explain_scan)


def _extra(name: str | None, share: float, alone: bool, epochs: int | None) -> dict[str, Any] | None:
    """What the options say of extra images, for the plan to check."""
    if name in (None, "none"):
        if alone or epochs is not None:
            raise UsageError(
                "There are no extra images to learn from.",
                where="--alone, --generator-epochs",
                found=f"--with {name or 'none'}",
                expected="--with and the name of a family",
                fix="Name one, or leave these options out.",
            )
        return None
    found: dict[str, Any] = {"source": name, "share": share, "alone": alone}
    return found if epochs is None else found | {"epochs": epochs}


def tell(plan: Plan) -> None:
    """Say what is about to be done, and what nobody said."""
    say(f"{plan.title}")
    say_assumed([f"{name}: {why}" for name, why in plan.assumed.items()])


def answer(figures: dict[str, Any], out: Path, json: bool) -> None:
    """Print the main figures; raises SomeScansFailedError where scans could not be used."""
    if json:
        data(as_json(figures))
    else:
        for name, reader in figures["pooled"]["readers"].items():
            shown = [f"{title} {_shown(reader[key])}" for key, title in (("auroc", "AUROC"), ("log_loss", "log loss"))]
            data(f"{name:<14} {'  '.join(shown)}  accuracy {_shown(reader['accuracy'])}")
        data(str(out / "report.html"))
    if figures["failed"]:
        raise SomeScansFailedError(
            "Some scans could not be used.",
            where=out / "metrics.json",
            found=f"{len(figures['failed'])}, such as {figures['failed'][0]['scan_id']}",
            fix="See failed there; the figures are of the others.",
        )


def _shown(one: dict[str, Any]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
