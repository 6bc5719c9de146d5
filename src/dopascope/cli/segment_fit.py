"""`dopascope segment fit`: a network that finds brains, from marked images or from painted heads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

import typer

from dopascope.cli import options
from dopascope.cli.progress import showing, training
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.errors import UsageError
from dopascope.formats.registry import Strictness

if TYPE_CHECKING:
    from dopascope.formats.limits import Limits
    from dopascope.study.segment import Material, TrainedSegmenter
    from dopascope.study.segment_plan import SegmentPlan

BUNDLE: Final = "bundle"
PAPER_SIZE: Final = 512
BUNDLE_SIZE: Final = 160
PARTS: Final = ("torch", "timm", "segmentation_models_pytorch", "lightning_fabric", "onnx", "onnxscript")
LOSSES = Literal["cross-entropy", "cross-entropy+dice"]

TableArgument = Annotated[
    Path | None,
    typer.Argument(help="Tab-separated: participant_id, image, mask, and plane and slices.", metavar="TABLE"),
]
OutOption = Annotated[Path, typer.Option("--out", help="The run folder, new or to go on with.", metavar="RUN")]
PaintedOption = Annotated[bool, typer.Option("--painted", help="Learn from painted heads instead of a table.")]
LabelsOption = Annotated[
    list[Path],
    typer.Option("--labels", help="FreeSurfer's aseg of a brain to paint heads around; may be repeated.", metavar="F"),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--size", help="Side of the slices: 512 (default; painted heads 160), another, or native.", metavar="N|native"
    ),
]
EncoderOption = Annotated[
    str | None, typer.Option("--encoder", help="By its name, such as resnet18 (default), mobilenet_v2.", metavar="NAME")
]
LossOption = Annotated[str, typer.Option("--loss", help="Softmax cross-entropy, as in the paper, or with Dice.")]
EpochsOption = Annotated[int, typer.Option("--epochs", help="How many.", metavar="N")]
BatchOption = Annotated[int | None, typer.Option("--batch", help="Slices learned from at once (default 8).")]
RateOption = Annotated[float | None, typer.Option("--rate", help="Highest learning rate (default 0.001).")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="32, or bf16 where the processor has it.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of split, first weights and order.", metavar="S", min=0)]
IdOption = Annotated[str, typer.Option("--id", help="The bundle's name, as `models list` will show it.")]


@verb
def fit(
    out: OutOption,
    table: TableArgument = None,
    painted: PaintedOption = False,
    labels: LabelsOption = [],  # noqa: B006  (typer copies it)
    size: SizeOption = None,
    encoder: EncoderOption = None,
    loss: LossOption = "cross-entropy",
    epochs: EpochsOption = 200,
    batch: BatchOption = None,
    rate: RateOption = None,
    precision: PrecisionOption = "32",
    seed: SeedOption = 1,
    name: IdOption = "own-brain",
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    json: options.JsonOption = False,
) -> None:
    """Train DeepLabv3+ to find the brain in slices, judge it on people it never saw, and write a run folder.

    An interrupted training goes on with the same command.

    Examples: dopascope segment fit slices.tsv --out runs/s5;
    dopascope segment fit --painted --out runs/painted --epochs 100 --loss cross-entropy+dice
    """
    _check_source(table, painted, labels)
    limits = options.read_options(None, strictness, limit).limits
    given = {
        name: value
        for name, value in (("encoder", encoder), ("batch", batch), ("learning_rate", rate))
        if value is not None
    }
    wanted: dict[str, Any] = {
        "loss": _one_of("--loss", loss, get_args(LOSSES)),
        "precision": _one_of("--precision", precision),
        **given,
    }
    from dopascope.learn.torch_file import require_learn

    require_learn("Training", PARTS)
    from dopascope.report import segment as page
    from dopascope.study.segment import first_network, run_segmenter
    from dopascope.study.segment_plan import PAINTED, TABLE, SegmentPlan

    plan = SegmentPlan(
        source=PAINTED if painted else TABLE,
        size=_size(size, BUNDLE_SIZE if painted else PAPER_SIZE),
        epochs=epochs,
        seed=seed,
        **wanted,
    )
    net = first_network(plan)
    material = _of_heads(plan, labels, out) if table is None else _of_table(plan, table, strictness, limits)
    _tell(plan, material, list(given))
    with training(plan.epochs) as progress:
        trained = run_segmenter(plan, net, material, out, given=list(given), progress=progress)
    _bundle(trained, plan, material, out, name)
    page.write(out)
    _answer(trained.figures, out, json)


def _check_source(table: Path | None, painted: bool, labels: list[Path]) -> None:
    if (table is None) != painted:
        raise UsageError(
            "It is not clear what to learn from.",
            where="TABLE, --painted",
            found="neither" if table is None else "both",
            expected="a table of marked images, or --painted",
            fix="Name one of them.",
        )
    if labels and not painted:
        raise UsageError(
            "Labels are for painted heads.", where="--labels", found=labels[0], fix="Add --painted, or leave them out."
        )


def _one_of(option: str, found: str, known: tuple[str, ...] = ("32", "bf16")) -> str:
    if found not in known:
        raise UsageError(
            "There is no such choice.", where=option, found=found, expected=" or ".join(known), fix="Correct it."
        )
    return found


def _size(text: str | None, default: int) -> int | None:
    """Side of the slices; None for the stored pixels."""
    if text is None or text == "native":
        return default if text is None else None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            "This size cannot be meant.", where="--size", found=text, expected="a number or native", fix="Correct it."
        )
    return int(text)


def _of_table(plan: SegmentPlan, table: Path, strictness: Strictness, limits: Limits) -> Material:
    from dopascope.cohort.masked import read_masked
    from dopascope.study.segment import check_people, material_of_table
    from dopascope.tasks.masked_slices import gather

    images = read_masked(table)
    check_people(images)
    with showing("images", len(images)) as shown:
        gathered = gather(
            images, plan.size, strictness=strictness, limits=limits, progress=lambda number: shown(number, 0)
        )
    return material_of_table(gathered, images, plan.seed)


def _of_heads(plan: SegmentPlan, labels: list[Path], out: Path) -> Material:
    from dopascope.study.segment import material_of_heads
    from dopascope.tasks.painted import HEADS

    with showing("heads", HEADS) as shown:
        return material_of_heads(plan, labels, out, progress=lambda number: shown(number, 0))


def _tell(plan: SegmentPlan, material: Material, given: list[str]) -> None:
    """What is about to be done, and what nobody said."""
    say(f"DeepLabv3+, {plan.encoder}, on slices of {material.shape[0]} x {material.shape[1]}")
    say_assumed([f"split: {material.sentence}"])
    say_assumed([f"{name}: {why}" for name, why in plan.assumed(given).items()])
    say_assumed(material.notes)


def _bundle(trained: TrainedSegmenter, plan: SegmentPlan, material: Material, out: Path, name: str) -> None:
    """Make the bundle where the network can be one; one that is there already is of the same training."""
    if not trained.figures["bundle"]["made"]:
        say(f"No bundle: {trained.figures['bundle']['reason']}. The weights are in weights.npz.")
        return
    if (out / BUNDLE).exists():
        return
    from dopascope.convert.segmenter_bundle import SegmenterNamed, bundle_of_segmenter

    named = SegmenterNamed(
        id=name,
        title=f"Brain segmenter, {plan.encoder}",
        trained_on=material.sentence,
        details=f"{plan.epochs} epochs, {plan.loss}, seed {plan.seed}; figures are in the run's metrics.json.",
        rebuilt_by="dopascope segment fit, with the settings of the run's plan.toml",
        licence="LicenseRef-not-stated",
        holder="not stated",
    )
    bundle_of_segmenter(trained.net.cpu(), out / BUNDLE, named)


def _answer(figures: dict[str, Any], out: Path, json: bool) -> None:
    if json:
        data(as_json(figures))
        return
    from dopascope.report.segment import FIGURES, estimate

    for reader, found in figures["readers"].items():
        for key in FIGURES:
            data(f"{reader:<8} {key:<17} {estimate(found[key])}")
    data(str(out / "report.html"))
