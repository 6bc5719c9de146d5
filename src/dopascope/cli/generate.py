"""`dopascope generate`: synthetic images learned inside a training fold, drawn with their lineage, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import generate_judged, options
from dopascope.cli.batch_options import CacheOption, WorkersOption
from dopascope.cli.progress import showing
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.cli.telling import Teller
from dopascope.errors import SomeScansFailedError, UsageError

if TYPE_CHECKING:
    from dopascope.learn.generative.fit import GeneratorEpoch
    from dopascope.learn.generative.plan import Setting

app = typer.Typer(
    name="generate", help="Fit generators of synthetic images, draw from them, and judge them.", no_args_is_help=True
)

GeneratorArgument = Annotated[Path, typer.Argument(help="The folder of a fitted generator.", metavar="GENERATOR")]
NamedOption = Annotated[
    list[str], typer.Option("--set", help="A setting of the family's networks; repeat.", metavar="NAME=VALUE")
]


@app.command("fit")
@verb
def fit(
    cohort: generate_judged.CohortOption,
    out: Annotated[Path, typer.Option("--out", help="Folder of the generator, new or to go on with.", metavar="DIR")],
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="What a paper fits: s1, s4 or s4-volumes; other options go before it."),
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", help="cvae (default), gan, ddpm, rflow or ldm.", metavar="NAME")
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(
            "--frame",
            help="slab-64 (default), slab, slices, volume-32; of T1: t1-slice, t1-volume.",
            metavar="NAME",
        ),
    ] = None,
    label: Annotated[
        list[str], typer.Option("--class", help="A label to learn; repeat; default: all.", metavar="LABEL")
    ] = [],  # noqa: B006  (typer copies it)
    condition: Annotated[
        list[str], typer.Option("--condition", help="What may be asked for too: age, sbr; repeat.", metavar="NAME")
    ] = [],  # noqa: B006
    setting: NamedOption = [],  # noqa: B006
    splits: Annotated[
        Path | None,
        typer.Option("--splits", help="The folds; default: five, made with seed 1.", metavar="splits.tsv"),
    ] = None,
    fold: Annotated[str, typer.Option("--fold", help="Its training side is learned from.", metavar="FOLD")] = "1",
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the images; default: the family's.", metavar="N")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Time after which it ends, at an end of an epoch.", metavar="M")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Images learned from at once.", metavar="N")] = 16,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Of the optimiser; default 0.001.", metavar="RATE")
    ] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Show all classes equally often, whatever their sizes.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.", metavar="S")] = 1,
    grid_every: Annotated[
        int, typer.Option("--grid-every", help="Epochs between sample grids.", metavar="N", min=1)
    ] = 20,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    json: options.JsonOption = False,
) -> None:
    """Fit a generator on the training side of one fold, the test side unseen. Run again to go on after an interruption.

    Examples: dopascope generate fit --cohort cohort.tsv --family cvae --out gen/cvae;
    dopascope generate fit --cohort cohort.tsv --family rflow --condition sbr --splits splits.tsv --fold 2 --out gen/rf;
    dopascope generate fit --cohort t1/cohort.tsv --preset s4 --out gen/s4
    """
    generate_judged.require_learn()
    from dopascope.batch import Runner
    from dopascope.generate.fitting import Wanted, Watch
    from dopascope.generate.fitting import fit as fit_cohort
    from dopascope.generate.frames import frame as known_frame
    from dopascope.generate.presets import chosen as chosen_preset
    from dopascope.learn.generative.plan import known
    from dopascope.learn.generative.recipe import GeneratorRecipe

    named = chosen_preset(
        preset,
        family=family,
        frame=frame,
        epochs=epochs,
        learning_rate=learning_rate,
        classes=tuple(label),
        balanced=balanced,
    )
    known(named.family)
    seen = known_frame(named.frame)
    wanted = Wanted(
        family=named.family,
        frame=seen,
        recipe=GeneratorRecipe(
            epochs=named.epochs,
            batch=batch,
            learning_rate=named.learning_rate,
            balanced=named.balanced,
            minutes=minutes,
        ),
        classes=named.classes,
        conditions=tuple(condition),
        settings=_settings(setting),
        fold=fold,
        splits=splits,
        seed=seed,
        grid_every=grid_every,
    )
    if named.title:
        say(named.title)
    say_assumed(named.assumed)
    if splits is None:
        say_assumed([f"five folds of whole people, made with seed 1; fold {fold} is held out"])
    teller = Teller()
    teller.training(f"{named.family}, {seen.description}")

    def told(one: GeneratorEpoch) -> None:
        teller.line(one.epoch, ", ".join(f"{name} {value:.4f}" for name, value in one.losses.items()), one.seconds)

    try:
        lineage = fit_cohort(
            wanted, cohort, out, cache=cache, runner=Runner(workers), watch=Watch(scan=teller.scan, epoch=told)
        )
    finally:
        teller.close()
    if json:
        data(
            as_json({"folder": str(out), "generator_sha256": lineage.generator_sha256, "images": len(lineage.parents)})
        )
    else:
        data(str(out / "generator.npz"))
    if lineage.failed:
        raise SomeScansFailedError(
            "Some scans could not be used.",
            where=out / "fit.json",
            found=f"{len(lineage.failed)}, such as {lineage.failed[0]}",
            fix="See failed there; nothing was learned from them.",
        )


@app.command("sample")
@verb
def sample(
    generator: GeneratorArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the synthetic cohort.", metavar="DIR")],
    count: Annotated[
        int | None,
        typer.Option("--count", help="Images, shared out as the training classes are.", metavar="N", min=1),
    ] = None,
    label: Annotated[
        list[str], typer.Option("--class", help="So many of a class, instead of --count; repeat.", metavar="LABEL=N")
    ] = [],  # noqa: B006
    condition: Annotated[
        list[str],
        typer.Option(
            "--condition",
            help="A value for all images, or open; default: those of real images of the class, drawn anew.",
            metavar="NAME=VALUE|open",
        ),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option("--seed", help="Of all images; a whole number from 0.", metavar="S", min=0)] = 1,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="dpm++, ddim, ancestral, heun or euler.", metavar="NAME")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Of the sampler.", metavar="N")] = None,
    guidance: Annotated[
        float, typer.Option("--guidance", help="1: as learned; more exaggerates what is asked.", metavar="G")
    ] = 1.0,
    format: Annotated[str, typer.Option("--format", help="nifti or png.", metavar="nifti|png")] = "nifti",
) -> None:
    """Draw a synthetic cohort, marked SYNTHETIC in pixels and headers. Run again to go on after an interruption.

    Examples: dopascope generate sample gen/cvae --count 64 --seed 7 --out synthetic;
    dopascope generate sample gen/rf --class PD=32 --condition sbr=1.2 --steps 15 --guidance 2 --out low
    """
    generate_judged.require_learn()
    from dopascope.generate.asking import Request, shares
    from dopascope.generate.lineage import read_lineage
    from dopascope.generate.synthetic import sample as draw

    if (count is None) == (not label):
        raise UsageError(
            "It is not said how many images to draw.",
            where="--count, --class",
            found="both" if label else "neither",
            expected="one of the two",
            fix="Give --count 64, or --class PD=32 --class control=32.",
        )
    lineage = read_lineage(generator)
    fixed = dict(_pair("--condition", one) for one in condition)
    request = Request(
        counts=shares(count, lineage.parents) if count else {name: _whole("--class", n) for name, n in _pairs(label)},
        seed=seed,
        fixed={name: _number("--condition", value) for name, value in fixed.items() if value != "open"},
        open=tuple(name for name, value in fixed.items() if value == "open"),
        sampler=sampler,
        steps=steps,
        guidance=guidance,
        format=format,
    )
    with showing("Drawing", sum(request.counts.values())) as show:
        table = draw(lineage, request, out, progress=show)
    say("SYNTHETIC images: never a person's, and not to be read as scans.")
    data(str(table))


app.command("judge")(generate_judged.judge)
app.command("change")(generate_judged.change)


def _pairs(given: Sequence[str]) -> list[tuple[str, str]]:
    return [_pair("--class", one) for one in given]


def _pair(option: str, text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise _wrong(option, text, "NAME=VALUE")
    return name, value


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise _wrong(option, text, "a finite number")
    return value


def _whole(option: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _wrong(option, text, "a whole number from 0")
    return int(text)


def _settings(given: Sequence[str]) -> dict[str, Setting]:
    """Numbers, true and false, or words."""
    found: dict[str, Setting] = {}
    for name, text in (_pair("--set", one) for one in given):
        if text in ("true", "false"):
            found[name] = text == "true"
            continue
        try:
            found[name] = int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            found[name] = text
    return found


def _wrong(option: str, found: str, expected: str) -> UsageError:
    return UsageError("This option cannot be meant.", where=option, found=found, expected=expected, fix="Correct it.")
