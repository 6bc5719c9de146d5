"""`dopascope segment`: the brain in a scan; `segment_fit` trains networks that find it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from dopascope.cli import options, segment_fit
from dopascope.cli.read import stem
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.formats.registry import Strictness

app = typer.Typer(no_args_is_help=True, help="Find the brain in a scan; train a network that does.")
MASK: Final = "brain_mask.nii.gz"
RECORD: Final = "brain_mask.json"

app.command("fit")(segment_fit.fit)

ModelOption = Annotated[
    str | None, typer.Option("--model", help="A segmenter by its name; default: the one that ships.", metavar="NAME")
]


@app.command("apply")
@verb
def apply(
    scan: options.ScanArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; default: the scan's name with -brain.", metavar="DIR")
    ] = None,
    model: ModelOption = None,
    series: options.SeriesOption = None,
    frame: options.FrameOption = None,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    models_dir: options.ModelsDirOption = None,
    json: options.JsonOption = False,
) -> None:
    """Write the brain of an MRI of any contrast, or of a PET scan, as a mask on the scan's own grid.

    Example: dopascope segment apply t1.nii.gz --out t1-brain
    """
    from dopascope import formats, provenance
    from dopascope.bundle.segmenter import brain_of

    wanted = options.read_options(frame, strictness, limit)
    volume = formats.load(scan, series=series, frame=frame, strictness=strictness, limits=wanted.limits)
    found = brain_of(volume, model, models_dir, progress=lambda plane: say(f"  {plane} slices ..."))
    folder = out or Path(f"{stem(scan)}-brain")
    folder.mkdir(parents=True, exist_ok=True)
    formats.save_nifti(found.mask, folder / MASK)
    record = found.as_dict()
    provenance.write_text(folder / RECORD, as_json(record) + "\n")
    if json:
        data(as_json(record))
    else:
        data(str(folder / MASK))
        data(str(folder / RECORD))
    say(f"Brain: {found.volume_ml:.0f} ml{'' if found.whole else ', of a brain that is cut by the field of view'}.")
