"""A claim: what a paper reports, as a TOML file with every number as it is printed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from dopascope.claims.reported import Reported
from dopascope.errors import UnreadableError, UsageError

FIGURES: Final = (
    *("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "negative_precision"),
    *("f1", "jaccard", "mcc"),
)
"""Figures that follow from a confusion matrix; names as in `score.Confusion`."""
OTHERS: Final = ("auc", "baseline_accuracy")
MAX_BYTES: Final = 1 << 20
MOST_SCANS: Final = 1_000_000_000
_COUNTS: Final = ("tp", "fp", "tn", "fn")
_FOLDS: Final[Mapping[str, type]] = {
    "name": str,
    "values": list,
    "sizes": list,
    "mean": str,
    "spread": str,
    "shares": bool,
    "batch": int,
}
_SET: Final[Mapping[str, type]] = {
    "name": str,
    "n": int,
    "positives": int,
    "counts": dict,
    "reported": dict,
    "whole_negative_share": str,
    "further": int,
    "tuned_on": str,
}


@dataclass(frozen=True)
class EvaluationSet:
    """One set of scans that figures were reported on."""

    name: str
    n: int | None = None
    positives: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    """Of tp, fp, tn, fn, those that are printed."""
    reported: Mapping[str, Reported] = field(default_factory=dict)
    """Of `FIGURES` and `OTHERS`."""
    whole_negative_share: Reported | None = None
    """Share of negatives that is stated for the whole data."""
    further: int | None = None
    """Scans of another set that may have been counted too."""
    tuned_on: str = ""
    """Where the settings were chosen, if the paper says so and the test scans were among them."""


@dataclass(frozen=True)
class FoldTable:
    """A table of folds with its mean."""

    name: str
    values: tuple[Reported, ...]
    sizes: tuple[int, ...]
    mean: Reported | None = None
    spread: Reported | None = None
    shares: bool = True
    """Whether each value is a share of scans, such as an accuracy, and not a loss."""
    batch: int | None = None


@dataclass(frozen=True)
class Claim:
    """A paper's report."""

    title: str
    source: str
    sets: tuple[EvaluationSet, ...]
    folds: tuple[FoldTable, ...]


def shipped_names() -> list[str]:
    """Names of the claims that come with dopascope."""
    return sorted(one.name.removesuffix(".toml") for one in files("dopascope.claims").joinpath("data").iterdir())


def shipped(name: str) -> Claim:
    """A claim that comes with dopascope.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in shipped_names():
        raise UsageError(
            "There is no such claim.",
            where="CLAIM",
            found=name,
            expected=f"a .toml file, or {', '.join(shipped_names())}",
            fix="Name a file, or one of these.",
        )
    place = files("dopascope.claims").joinpath("data", f"{name}.toml")
    return _claim(tomllib.loads(place.read_text(encoding="utf-8")), Path(name))


def read_claim(path: Path) -> Claim:
    """The claim of a file.

    Raises:
        UnreadableError: it cannot be opened, is no TOML, or a field is unknown or cannot be meant. The error names it.
    """
    try:
        raw = path.read_bytes()[: MAX_BYTES + 1]
        if len(raw) > MAX_BYTES:
            raise _wrong("The claim is too large.", path, f"more than {MAX_BYTES} bytes", "a page of text")
        return _claim(tomllib.loads(raw.decode("utf-8")), path)
    except OSError as error:
        raise _wrong("The claim cannot be opened.", path, error.strerror or "", "a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(
            "The claim is no TOML text.", path, str(error), "TOML; docs/audit_claim.md has examples"
        ) from error


def _claim(data: dict[str, Any], path: Path) -> Claim:
    known = _only(data, {"title": str, "source": str, "set": list, "folds": list}, str(path))
    sets = [_set(one, f"{path}, set {n}") for n, one in enumerate(known.get("set", []), 1)]
    folds = [_folds(one, f"{path}, folds {n}") for n, one in enumerate(known.get("folds", []), 1)]
    if not sets and not folds:
        raise _wrong("The claim reports nothing.", path, "neither [[set]] nor [[folds]]", "at least one of them")
    return Claim(known.get("title", path.stem), known.get("source", ""), tuple(sets), tuple(folds))


def _set(data: Any, where: str) -> EvaluationSet:
    known = _only(data, _SET, where)
    counts = _only(known.get("counts", {}), _kinds(_COUNTS, int), f"{where}, counts")
    figures = _only(known.get("reported", {}), _kinds((*FIGURES, *OTHERS), str), f"{where}, reported")
    numbers: dict[str, int] = counts | {name: known[name] for name in ("n", "positives", "further") if name in known}
    for name, value in numbers.items():
        if not 0 <= value <= MOST_SCANS:
            raise _wrong("This count cannot be meant.", f"{where}, {name}", value, f"0 to {MOST_SCANS}")
    if known.get("n") == 0 or (len(counts) == len(_COUNTS) and not sum(counts.values())):
        raise _wrong("A set without scans reports nothing.", where, "0 scans", "1 or more")
    if known.get("positives", 0) > known.get("n", MOST_SCANS):
        raise _wrong(
            "There are more positives than scans.", f"{where}, positives", known["positives"], f"up to {known['n']}"
        )
    share = known.get("whole_negative_share")
    return EvaluationSet(
        name=known.get("name", "test"),
        n=known.get("n"),
        positives=known.get("positives"),
        counts=counts,
        reported={name: _number(text, f"{where}, {name}") for name, text in figures.items()},
        whole_negative_share=None if share is None else _number(share, f"{where}, whole_negative_share"),
        further=known.get("further"),
        tuned_on=known.get("tuned_on", ""),
    )


def _folds(data: Any, where: str) -> FoldTable:
    known = _only(data, _FOLDS, where)
    values, sizes = known.get("values", []), known.get("sizes", [])
    if (
        len(values) != len(sizes)
        or len(values) < 2
        or not all(isinstance(n, int) and 0 < n <= MOST_SCANS for n in sizes)
    ):
        raise _wrong(
            "These folds cannot be meant.", where, f"{len(values)} values, {len(sizes)} sizes", "one size a value"
        )
    if not 0 <= known.get("batch", 0) <= MOST_SCANS:
        raise _wrong("This batch cannot be meant.", f"{where}, batch", known["batch"], f"0 to {MOST_SCANS}")
    mean, spread = (
        None if name not in known else _number(known[name], f"{where}, {name}") for name in ("mean", "spread")
    )
    return FoldTable(
        name=known.get("name", "folds"),
        values=tuple(_number(text, f"{where}, value {n}") for n, text in enumerate(values, 1)),
        sizes=tuple(sizes),
        mean=mean,
        spread=spread,
        shares=known.get("shares", True),
        batch=known.get("batch"),
    )


def _number(text: Any, where: str) -> Reported:
    found = Reported.of(text) if isinstance(text, str) else None
    if found is None:
        raise _wrong("This number cannot be meant.", where, text, 'as it is printed, in quotes: "94.03 %" or "0.966"')
    return found


def _kinds(names: Sequence[str], kind: type) -> dict[str, type]:
    return dict.fromkeys(names, kind)


def _only(data: Any, kinds: Mapping[str, type], where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _wrong("A part of the claim cannot be meant.", where, type(data).__name__, "a table")
    for name, value in data.items():
        if name not in kinds:
            raise _wrong("A field of the claim is unknown.", f"{where}, {name}", value, ", ".join(kinds))
        if not isinstance(value, kinds[name]) or (kinds[name] is int and isinstance(value, bool)):
            raise _wrong("A field of the claim cannot be meant.", f"{where}, {name}", value, _WORDS[kinds[name]])
    return data


_WORDS: Final = {
    str: "a text in quotes",
    int: "a whole number",
    list: "a list",
    dict: "a table",
    bool: "true or false",
}


def _wrong(what: str, where: object, found: object, expected: str) -> UnreadableError:
    return UnreadableError(what, where=where, found=found, expected=expected, fix="Correct the claim.")
