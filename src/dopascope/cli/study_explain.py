"""`dopascope study explain`: maps of where the answer of a run's networks comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dopascope.cli import options
from dopascope.cli.batch_options import finder_for
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.errors import UsageError

if TYPE_CHECKING:
    from dopascope.space import Registration
    from dopascope.space.brain_registration import BrainRegistration
    from dopascope.volume import Volume

RunArgument = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]
MapsOption = Annotated[Path, typer.Option("--out", help="Folder of the maps.", metavar="DIR")]
MethodOption = Annotated[
    str, typer.Option("--method", help="What map.", metavar="grad-cam|integrated-gradients|occlusion")
]
MaskOption = Annotated[
    Path | None,
    typer.Option("--mask", help="Brain of a T1 scan; default: what the segmenter that ships finds.", metavar="MASK"),
]


class _Placed(NamedTuple):
    """A scan as the networks of a run see it."""

    scan: Volume
    registration: Registration | BrainRegistration
    on_mni: Volume
    references: Mapping[str, float] | None
    """Of each intensity scale; None where they are measured."""


@verb
def explain_scan(
    run: RunArgument,
    scan: options.ScanArgument,
    out: MapsOption,
    method: MethodOption = "grad-cam",
    mask: MaskOption = None,
    json: options.JsonOption = False,
) -> None:
    """Where the answer of a run's final networks comes from, as NIfTI on the scan's own grid, with the sanity check.

    Examples: dopascope study explain runs/s3 scan.nii.gz --out maps --method integrated-gradients;
    dopascope study explain runs/s5 t1.nii.gz --mask brain.nii.gz --out maps --method occlusion
    """
    require()
    from dopascope import formats
    from dopascope.batch.t1 import ZSCORE
    from dopascope.explain import explain, picture, randomised
    from dopascope.study.trained import networks_of

    networks = networks_of(run)
    of_t1 = any(ZSCORE in one.sight.intensity for one in networks)
    placed = _t1(scan, mask) if of_t1 else _dat(scan, mask)
    told = []
    for one in networks:
        found = explain(
            one.net,
            one.member.network,
            one.sight,
            placed.on_mni,
            method,
            references=placed.references,
            scan=placed.scan,
            registration=placed.registration,
        )
        shown = picture(one.sight, placed.on_mni, placed.references)
        check = randomised(one.net, one.member.network, shown, method)
        path = out / f"{method}-{one.name}.nii.gz"
        formats.save_nifti(found.map, path)
        told.append({"network": one.name, "map": str(path), **found.as_dict(), "sanity": check.as_dict()})
    if json:
        data(as_json({"form": "dopascope.explanation/1", "scan": str(scan), "maps": told}))
        return
    for line in told:
        sane = line["sanity"]
        data(
            f"{line['map']}: {line['share_inside_striatum']:.0%} inside the striatum (even map "
            f"{line['area_inside_striatum']:.0%}), likeness to untrained networks {sane['correlation']:.2f}"
            + ("" if sane["passed"] else ": DOES NOT FOLLOW WHAT WAS LEARNED")
        )


def _dat(path: Path, mask: Path | None) -> _Placed:
    from dopascope import formats, space
    from dopascope.volume import Volume

    if mask is not None:
        raise UsageError(
            "The networks of this run see DaT scans, which need no mask.",
            where="--mask",
            found=mask,
            expected="no mask",
            fix="Leave it out, or name a run of T1 scans.",
        )
    image = formats.load(path)
    if not isinstance(image, Volume):
        raise UsageError(
            "A picture of one slice has no map.", where=path, expected="a scan", fix="Give the scan itself."
        )
    registration = space.register(image)
    return _Placed(image, registration, space.normalise(image, registration), None)


def _t1(path: Path, mask: Path | None) -> _Placed:
    from dopascope.batch.viewing import T1_REFERENCES, ViewSettings, lifted, placed_t1
    from dopascope.cohort import CohortScan

    scan = CohortScan(str(path), path, {"modality": "t1"}, mask=mask)
    found = placed_t1(scan, ViewSettings(), finder_for([scan]))
    for text in found.record["warnings"]:
        say(f"WARNING  {text}")
    return _Placed(found.even, found.registration, lifted(found), T1_REFERENCES)


def require() -> None:
    """Training, and networks of a run, need what `[learn]` installs.

    Raises:
        MissingExtraError: it is not there.
    """
    from dopascope.learn.torch_file import require_learn

    require_learn("Training", ("torch", "timm", "monai", "lightning_fabric", "sklearn"))
