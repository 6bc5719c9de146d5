"""`dopascope inspect SCAN`: what is in this file or folder, and is it fit to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dopascope.cli import options
from dopascope.cli.talk import as_json, data, say, say_assumed, verb
from dopascope.errors import AmbiguousError
from dopascope.formats.registry import ReadOptions, Strictness


@verb
def inspect(
    scan: options.ScanArgument,
    modality: options.ModalityOption = None,
    series: options.SeriesOption = None,
    frame: options.FrameOption = None,
    strictness: options.StrictnessOption = Strictness.RAISE,
    limit: options.LimitOption = [],  # noqa: B006  (typer copies it)
    identity: Annotated[
        bool, typer.Option("--identity", help="Also print what names the person. Off unless asked for.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Say what a file or folder holds, where it lies in space, and whether it is fit to be read.

    Examples: dopascope inspect scan.dcm; dopascope inspect study.zip --json
    """
    wanted = options.read_options(frame, strictness, limit)
    found = _look(scan, modality, series, wanted)
    if identity:
        from dopascope import formats

        found["identity"] = formats.identity_of(scan, wanted.limits).as_dict()
    if json:
        data(as_json(found))
    else:
        _show(found)


def _look(scan: Path, modality: str | None, series: str | None, wanted: ReadOptions) -> dict[str, Any]:
    from dopascope import formats

    found: dict[str, Any] = {"series": [c.summary() for c in formats.survey(scan, wanted.limits)]}
    try:
        image = formats.load(
            scan, series=series, frame=wanted.frame, strictness=wanted.strictness, limits=wanted.limits
        )
    except AmbiguousError as error:
        # Several series are an answer to `inspect`, not a failure.
        return found | {"chosen": None, "why_none": error.as_dict()}
    # Heavier floors only once there is an image: refusals stay fast.
    from dopascope import passport
    from dopascope.reading import Choices, parts
    from dopascope.reading.route import route
    from dopascope.volume import Volume

    read_as = route(image, Choices(modality=modality).modality)
    if isinstance(image, Volume) and read_as.modality == "t1":
        seen = passport.inspect_t1(image)
    else:
        seen = passport.inspect(image)
    return found | {
        "chosen": parts.scan(image).model_dump(mode="json"),
        "read_as": read_as.model_dump(mode="json"),
        "acquisition": parts.acquisition(image).model_dump(mode="json"),
        "passport": parts.passport_part(seen).model_dump(mode="json"),
    }


def _show(found: dict[str, Any]) -> None:
    for one in found["series"]:
        mark = "can be read" if one["loadable"] else f"refused: {one['reason']}"
        size = "" if one["shape"] is None else ", " + " x ".join(map(str, one["shape"]))
        if one["spacing_mm"] is not None:
            size += " of " + " x ".join(f"{mm:.2f}" for mm in one["spacing_mm"]) + " mm"
        files = f"{one['files']} file{'s' if one['files'] != 1 else ''}"
        data(f"{one['id']}  {one['description']}{size}  ({files}; {mark})")
    if found["chosen"] is None:
        say(f"{found['why_none']['what']} {found['why_none'].get('fix', '')}")
        return
    scan = found["chosen"]
    data("")
    data(f"Format         {scan['format']}, {scan['files']} file(s), sha256 {scan['sha256'][:16]}...")
    if grid := scan["grid"]:
        spacing = " x ".join(f"{mm:.2f}" for mm in grid["spacing_mm"])
        data(f"Grid           {' x '.join(map(str, grid['shape']))} voxels of {spacing} mm, axes {grid['axis_codes']}")
    data(f"Orientation    from {scan['orientation_from'] or 'nothing: a picture has none'}")
    said = {name: value for name, value in found["acquisition"].items() if value not in (None, [])}
    for name, value in said.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        data(f"{name.replace('_', ' ').capitalize():<22} {text}")
    passport = found["passport"]
    brain = ", before the brain was sought" if found["read_as"]["modality"] == "t1" else ""
    data(f"\nPassport       {passport['verdict']}, as {found['read_as']['modality']}{brain}")
    for check in passport["checks"]:
        data(f"  {check['name']:<28} {_value(check):<26} {check['verdict']}")
    for reason in passport["reasons"]:
        data(f"  because: {reason}")
    for name, value in found.get("identity", {}).items():
        data(f"IDENTITY {name:<24} {value}")
    how = found["read_as"]["assumed"]
    say_assumed([*scan["assumed"], *([how] if how else [])])


def _value(check: dict[str, Any]) -> str:
    value = check["value"]
    if value is None:
        return "not stated"
    return f"{value:.4g} {check['unit']}".rstrip() if isinstance(value, float) else f"{value} {check['unit']}".rstrip()
