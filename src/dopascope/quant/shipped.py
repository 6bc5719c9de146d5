"""The normal values that ship, and which of them fit a scan."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from dopascope.quant.conditions import Conditions
from dopascope.quant.normals import Normals, load_normals
from dopascope.volume import FACTS, Acquisition, said, same

FOLDER = "normals"
OWN = "fit normals to healthy people of your own camera (dopascope quantify --fit-normals)"


@cache
def shipped_normals() -> tuple[Normals, ...]:
    """All normals that ship, by file name. Each is of simulated healthy people on one simulated site."""
    folder = files("dopascope.quant").joinpath("data", FOLDER)
    if not folder.is_dir():
        return ()
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    return tuple(load_normals(Path(str(folder.joinpath(name)))) for name in names)


def find_normals(method_id: str, acquisition: Acquisition) -> Normals | str:
    """The shipped normals that fit a scan measured so, or in a sentence why none does.

    They are of simulated sites, so they fit simulated scans only: manufacturer and model must be stated and equal.
    """
    known = [one for one in shipped_normals() if one.method_id == method_id]
    if not known:
        return f"no normals ship for method {method_id}; {OWN}"
    scan = Conditions.of(acquisition)
    for one in known:
        if one.mismatch(method_id, acquisition) is None:
            return one
    if not scan.simulated:
        return (
            f"no normals ship for this scan: those of method {method_id} are of simulated cameras only, "
            f"this scan's manufacturer is {said(scan.manufacturer)}; {OWN}"
        )

    def unlike(one: Normals) -> int:
        return sum(not same(getattr(one.acquisition, name), getattr(scan, name)) for name in FACTS)

    nearest = min(known, key=unlike)
    return f"no normals ship for this scan; the nearest: {nearest.mismatch(method_id, acquisition)}"
