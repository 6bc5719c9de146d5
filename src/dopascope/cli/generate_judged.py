"""The verbs of `dopascope generate` that look at images: of a synthetic cohort, and of one scan with other ratios."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import CacheOption, WorkersOption
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.cli.telling import Teller

if TYPE_CHECKING:
    from dopascope.generate.judging import FeatureSet

CohortOption = Annotated[Path, typer.Option("--cohort", help="The cohort table.", metavar="cohort.tsv")]


@verb
def judge(
    synthetic: Annotated[Path, typer.Argument(help="The folder of a synthetic cohort.", metavar="SYNTHETIC")],
    generator: Annotated[
        Path, typer.Option("--generator", help="The folder of the generator that drew it.", metavar="GENERATOR")
    ],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option("--out", help="Folder of page and figures.", metavar="DIR")],
    model: Annotated[
        list[str], typer.Option("--model", help="An installed reader to ask; repeat; default: the usual ones; none.")
    ] = [],  # noqa: B006
    models_dir: options.ModelsDirOption = None,
    inception: Annotated[
        str | None,
        typer.Option(
            "--inception", help="Also FID and KID: imagenet, or a file with InceptionV3's weights.", metavar="NAME|FILE"
        ),
    ] = None,
    weights_dir: Annotated[
        Path | None, typer.Option("--weights-dir", help="Folder of published weights.", metavar="DIR")
    ] = None,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    json: options.JsonOption = False,
) -> None:
    """Judge synthetic images by held-out people: likeness, variety, class and ratio, copies, each beside its floor.

    Example: dopascope generate judge synthetic --generator gen/cvae --cohort cohort.tsv --out judged
    """
    require_learn()
    from dopascope.batch import Runner
    from dopascope.generate.fitting import CACHE
    from dopascope.generate.judging import judge as judged
    from dopascope.generate.judging import material_of, shown
    from dopascope.generate.lineage import read_lineage
    from dopascope.generate.synthetic import read_synthetic
    from dopascope.reading import readers
    from dopascope.report import generated as page

    lineage, images = read_lineage(generator), read_synthetic(synthetic)
    bundles = readers.chosen(tuple(model) or None, models_dir)
    further = [] if inception is None else [_inception(inception, weights_dir, lineage.frame)]
    teller = Teller()
    material = material_of(
        lineage,
        cohort,
        cache=cache or generator.parent / CACHE,
        runner=Runner(workers),
        progress=teller.scan,
    )
    found = judged(lineage, material, images, readers=bundles, further=further)
    written = page.write(found, shown(material, images, found), out)
    if json:
        data(as_json(found))
        return
    for line in found["verdict"]:
        data(line)
    data(str(written))


@verb
def change(
    scan: options.ScanArgument,
    generator: Annotated[
        Path, typer.Option("--generator", help="A generator fitted with --condition sbr.", metavar="GENERATOR")
    ],
    label: Annotated[str, typer.Option("--class", help="The scan's class.", metavar="LABEL")],
    sbr: Annotated[
        list[float], typer.Option("--sbr", help="Ratio of the lower putamen to change to; repeat.", metavar="X")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the changed images.", metavar="DIR")],
    age: Annotated[float | None, typer.Option("--age", help="In years, for generators that know it.")] = None,
    json: options.JsonOption = False,
) -> None:
    """One scan as it would look with another ratio: what a generator has learned of severity, not a prognosis.

    Example: dopascope generate change scan.nii.gz --generator gen/cvae --class PD --sbr 0.5 --sbr 1.5 --out changed
    """
    require_learn()
    from dopascope.generate import changing
    from dopascope.generate.frames import frame as known_frame
    from dopascope.generate.lineage import read_lineage

    lineage = read_lineage(generator)
    image, sha256 = changing.image_of(scan, known_frame(lineage.frame))
    changed = changing.change(lineage, image, label, sbr, age=age)
    said = changing.write(changed, lineage, out, source_sha256=sha256)
    if json:
        data(as_json(said))
        return
    say(f"SYNTHETIC images: {said['meaning']}.")
    for one in said["images"]:
        data(f"{out / one['file']}: asked {one['asked']:.2f}, found {one['found']:.2f}, the scan {said['present']:.2f}")


def _inception(weights: str, folder: Path | None, frame: str) -> FeatureSet:
    from dopascope.generate.frames import frame as known_frame
    from dopascope.generate.network_features import inception
    from dopascope.learn import torch_file

    torch_file.require_learn("FID", ("torch", "timm"))
    return inception(known_frame(frame), weights, folder)


def require_learn() -> None:
    """Refuse where what generators need is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    from dopascope.learn import torch_file

    torch_file.require_learn("Generating", ("torch", "monai", "einops", "lightning_fabric"))
