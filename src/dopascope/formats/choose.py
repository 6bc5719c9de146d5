"""What is in a file, a folder or a zip, and which of it is meant: listed with reasons, picked only where clear."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from dopascope.errors import AmbiguousError, InputError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats import dicom_enhanced, dicom_nuclear, dicom_series
from dopascope.formats.archive import Listing, blobs_of, is_zip
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_file import HEAD_BYTES, Header, ParsedBlob, header_of, is_dicom
from dopascope.formats.foreign import refusal
from dopascope.formats.limits import Limits
from dopascope.formats.registry import READERS, ReadOptions
from dopascope.volume import Grid, SliceImage, Volume

ATTENUATION_MODALITIES: Final = ("CT",)
"""What a hybrid camera adds to a scan for attenuation correction; it is not meant when NM or PT is beside it."""


_MOST_LISTED: Final = 20


@dataclass(frozen=True)
class Candidate:
    """One image that could be read."""

    id: str
    """Short name, for `--series`."""
    reader: str
    blobs: tuple[Blob, ...] = field(repr=False)
    description: str
    loadable: bool
    reason: str = ""
    """Why it cannot be read, where it cannot."""
    modality: str | None = None
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    error: InputError | None = field(default=None, repr=False, compare=False)
    """The refusal that reading would raise."""

    def summary(self) -> dict[str, Any]:
        """JSON-ready facts for a listing."""
        return {
            "id": self.id,
            "reader": self.reader,
            "description": self.description,
            "files": len(self.blobs),
            "loadable": self.loadable,
            "reason": self.reason,
            "modality": self.modality,
            "shape": self.shape,
            "spacing_mm": self.spacing_mm,
        }

    def line(self) -> str:
        """One line for a listing."""
        shape = " x ".join(map(str, self.shape)) if self.shape else ""
        facts = [self.description, shape, f"not readable: {self.reason}" if not self.loadable else ""]
        return f"{self.id}: {', '.join(fact for fact in facts if fact)}"


def survey(path: str | Path, limits: Limits | None = None) -> list[Candidate]:
    """Every image in a file, a folder or a zip, readable or not, without its pixels.

    Raises:
        InputError: nothing is there, a damaged archive, or a limit passed.
    """
    candidates, _ = _surveyed(Path(path), ReadOptions(limits=limits or Limits()))
    return candidates


def choose(path: str | Path, series: str | None = None, limits: Limits | None = None) -> Candidate:
    """The one image that is meant.

    Args:
        path: file, folder or zip.
        series: id of a candidate, as `survey` gives it.
        limits: bounds on the read.

    Raises:
        AmbiguousError: several images could be meant; lists them with their ids.
        UsageError: no candidate has the id `series`.
        InputError: nothing there can be read; says why for each.
    """
    return _chosen(Path(path), series, ReadOptions(limits=limits or Limits()))


def _chosen(path: Path, series: str | None, options: ReadOptions) -> Candidate:
    candidates, skipped = _surveyed(path, options)
    if not candidates:
        raise _nothing(path, skipped)
    if series is not None:
        return _named(path, candidates, series)
    meant = meant_among(candidates)
    if not meant:
        raise _none_readable(path, candidates)
    if len(meant) == 1:
        _check_complete(meant[0], candidates)
        return meant[0]
    raise AmbiguousError(
        "Several images are here and none is clearly meant.",
        where=path,
        found=_listed(meant),
        expected="one image",
        fix=f"Name one: --series {meant[0].id}",
    )


def meant_among(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that somebody who gives all of them may want read: no pictures beside volumes, no attenuation maps."""
    return _without_attenuation_maps(_without_pictures([one for one in candidates if one.loadable]))


def _check_complete(meant: Candidate, candidates: list[Candidate]) -> None:
    """A damaged file beside a series may be one of its slices: then the volume would be silently shorter."""
    damaged = [one for one in candidates if one.reader == _DAMAGED]
    if not damaged or len(meant.blobs) == 1:
        return
    raise UnreadableError(
        "A damaged file lies beside the series and may be one of its slices.",
        where=damaged[0].blobs[0].name,
        found=f"{len(damaged)} damaged: {damaged[0].reason}",
        expected="sound files",
        fix=f"Copy it again or remove it; or name the series to read it without: --series {meant.id}",
    )


def read_chosen(path: str | Path, series: str | None, options: ReadOptions) -> Volume | SliceImage:
    """Read what `choose` picks. `Source.path` is `path` as the caller gave it: member names may name a person."""
    candidate = _chosen(Path(path), series, options)
    if candidate.error is not None and candidate.reader == _DAMAGED:
        raise candidate.error
    image = READERS[candidate.reader].read(candidate.blobs, options)
    return image if image.source is None else replace(image, source=replace(image.source, path=str(path)))


def _surveyed(path: Path, options: ReadOptions) -> tuple[list[Candidate], Counter[str]]:
    """Candidates, judged by `options`, and how many files were passed over for which reason."""
    limits = options.limits
    if not path.is_dir() and not path.is_file():
        raise UnreadableError("There is no such file or folder.", where=path, fix="Check the path.")
    alone = Blob(str(path), path=path)
    listing = blobs_of(path, limits) if path.is_dir() or is_zip(alone) else Listing((alone,))
    skipped = Counter(listing.skipped)
    images: list[ParsedBlob] = []
    found: list[Candidate] = []
    for blob in listing.blobs:
        if is_dicom(blob):
            _parse(blob, limits, images, found, skipped)
        elif reader := _reader_of(blob):
            found.append(Candidate(Path(blob.name).name, reader, (blob,), READERS[reader].description, True))
        elif len(listing.blobs) == 1:
            raise refusal(blob)
        elif blob.name.lower().endswith(_DICOM_SUFFIXES):
            found.append(_damaged(blob, refusal(blob)))
        else:
            skipped["files of no kind that is read" if blob.size else "empty files"] += 1
    groups = _grouped(images, skipped)
    return _with_ids([_candidate(group, options) for group in groups]) + _unique(found), skipped


def _parse(blob: Blob, limits: Limits, images: list[ParsedBlob], found: list[Candidate], skipped: Counter[str]) -> None:
    """Parse one DICOM file for the survey; a damaged one is a candidate that cannot be read."""
    try:
        header = header_of(blob, limits, dicom_series.WANTED, _likely_head(images))
        _check_whole(header)
        _key(header, blob)
    except InputError as error:
        found.append(_damaged(blob, error))
        return
    if header.text("SOPClassUID") == _DICOMDIR:
        skipped["DICOMDIR (its paths are not followed)"] += 1
    else:
        images.append(ParsedBlob(blob.name, blob.path, blob.content, blob.beside, header))


def _likely_head(images: list[ParsedBlob]) -> int:
    """Headers of one series are about as long as each other, and some makers' are longer than most."""
    last = _header(images[-1]).pixels if images else None
    return HEAD_BYTES if last is None else max(HEAD_BYTES, last.offset + 4096)


def _check_whole(header: Header) -> None:
    """An image without pixels has lost its end; other objects (reports, plans) never had any."""
    kind = header.text("SOPClassUID")
    if header.pixels is None and (kind is None or kind in _IMAGE_CLASSES):
        raise UnreadableError(
            "The DICOM file ends before its pixels.",
            where=header.name,
            found=f"SOP class {kind or 'not stated'}, no pixel data",
            expected="pixel data",
            fix="Copy or export the file again.",
        )


def _damaged(blob: Blob, error: InputError) -> Candidate:
    return Candidate(Path(blob.name).name, _DAMAGED, (blob,), "damaged DICOM file", False, error.what, error=error)


_DAMAGED: Final = "none"
"""Stands for the reader of a file that none can read."""

_IMAGE_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.128",
    dicom_nuclear.NM_CLASS,
    *dicom_enhanced.ENHANCED_CLASSES,
}
"""CT, MR, PT and NM image storage: objects that cannot do without pixels."""

_DICOM_SUFFIXES: Final = (".dcm", ".ima")

_DICOMDIR: Final = "1.2.840.10008.1.3.10"
"""Media Storage Directory: a table of paths, which are never followed (threat T11)."""


def _reader_of(blob: Blob) -> str | None:
    names = (one.name for one in READERS.values() if not one.name.startswith("dicom") and one.sniff(blob))
    return next(names, None)


def _header(blob: ParsedBlob) -> Header:
    if blob.header is None:
        raise ValueError(f"{blob.name} has not been surveyed")
    return blob.header


def _grouped(images: Sequence[ParsedBlob], skipped: Counter[str]) -> list[list[ParsedBlob]]:
    """One group for each image: multi-frame files alone, single frames by series, further split where they must be."""
    groups: defaultdict[tuple[str, ...], list[ParsedBlob]] = defaultdict(list)
    seen: dict[str, ParsedBlob] = {}
    for blob in images:
        header = _header(blob)
        instance = header.text("SOPInstanceUID") or blob.name
        if instance in seen and seen[instance].read() == blob.read():
            skipped["copies of another file"] += 1
            continue
        seen[instance] = blob
        groups[_key(header, blob)].append(blob)
    return [part for group in groups.values() for part in _split(group)]


def _key(header: Header, blob: Blob) -> tuple[str, ...]:
    """What the files of one image share: a multi-frame file is alone, single frames share series, kind and size."""
    series = header.text("SeriesInstanceUID") or ""
    if (header.integer("NumberOfFrames") or 1) > 1 or _reader_for(header) == "dicom-enhanced":
        return series, blob.name
    size = f"{header.integer('Rows')} x {header.integer('Columns')}"
    return series, header.text("SOPClassUID") or "", size


def _split(group: list[ParsedBlob]) -> list[list[ParsedBlob]]:
    """Split a series whose images share positions by what tells them apart (echo, time, ...), if anything does."""
    places = Counter(map(_place, group))
    if len(places) == len(group) or max(places.values()) == 1 or None in places:
        return [group]
    keywords = dicom_series.SPLIT_KEYWORDS
    for chosen in [*combinations(keywords, 1), *combinations(keywords[:8], 2)]:
        parts: defaultdict[tuple[bytes | None, ...], list[ParsedBlob]] = defaultdict(list)
        for blob in group:
            parts[tuple(_header(blob).raw(keyword) for keyword in chosen)].append(blob)
        if len(parts) > 1 and all(len(set(map(_place, part))) == len(part) > 1 for part in parts.values()):
            return list(parts.values())
    return [group]


def _place(blob: ParsedBlob) -> tuple[bytes | None, bytes | None] | None:
    header = _header(blob)
    position = header.raw("ImagePositionPatient")
    return None if position is None else (position, header.raw("ImageOrientationPatient"))


def _reader_for(header: Header) -> str:
    kind = header.text("SOPClassUID")
    if kind in dicom_enhanced.ENHANCED_CLASSES:
        return "dicom-enhanced"
    return "dicom-nm" if kind == dicom_nuclear.NM_CLASS else "dicom-series"


_LAYOUTS: Final[dict[str, Callable[[tuple[Header, ...], ReadOptions], Grid]]] = {
    "dicom-series": lambda headers, options: dicom_series.layout_of(headers, options).grid,
    "dicom-nm": lambda headers, options: dicom_nuclear.layout_of(headers[0], options).grid,
    "dicom-enhanced": lambda headers, options: dicom_enhanced.layout_of(headers[0], options).grid,
}


def _candidate(group: list[ParsedBlob], options: ReadOptions) -> Candidate:
    headers = tuple(_header(blob) for blob in group)
    first = headers[0]
    reader = "dicom-series" if len(group) > 1 else _reader_for(first)
    grid, error = None, None
    try:
        grid = _LAYOUTS[reader](headers, options)
    except InputError as refused:
        error = refused
    return Candidate(
        id=first.text("SeriesNumber") or "",
        reader=reader,
        blobs=tuple(group),
        description=_description(first),
        loadable=error is None,
        reason=error.what if error else "",
        modality=first.text("Modality"),
        shape=grid.shape if grid else None,
        spacing_mm=grid.spacing_mm if grid else None,
        error=error,
    )


def _description(header: Header) -> str:
    facts = [
        header.text("Modality") or "DICOM",
        header.text("SeriesDescription"),
        next(iter(header.texts("ImageType")[2:3]), None),
        None if header.number("EchoTime") is None else f"echo {header.number('EchoTime'):g} ms",
    ]
    return " ".join(fact for fact in facts if fact)


def _with_ids(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Series numbers as ids, in their order; a letter or two tells apart what shares one."""
    ordered = sorted(candidates, key=lambda one: (not one.id.isdecimal(), one.id.zfill(8), one.blobs[0].name))
    named = [replace(one, id=one.id or "0") for one in ordered]
    counts, nth = Counter(one.id for one in named), Counter[str]()
    made = []
    for one in named:
        nth[one.id] += 1
        made.append(one if counts[one.id] == 1 else replace(one, id=f"{one.id}.{nth[one.id]}"))
    return made


def _unique(found: Iterable[Candidate]) -> list[Candidate]:
    """File names as ids; the whole name in the archive where two are the same."""
    listed = list(found)
    counts = Counter(one.id for one in listed)
    return [one if counts[one.id] == 1 else replace(one, id=one.blobs[0].name) for one in listed]


def _without_pictures(readable: list[Candidate]) -> list[Candidate]:
    volumes = [one for one in readable if one.reader != "picture"]
    return volumes or readable


def _without_attenuation_maps(readable: list[Candidate]) -> list[Candidate]:
    if not any(one.modality in ("NM", "PT") for one in readable):
        return readable
    return [one for one in readable if one.modality not in ATTENUATION_MODALITIES]


def _named(path: Path, candidates: list[Candidate], series: str) -> Candidate:
    for one in candidates:
        if one.id == series:
            return one
    raise UsageError(
        "There is no such series here.",
        where=path,
        found=f"--series {series}",
        expected=_listed(candidates),
        fix=f"Name one that is there: --series {candidates[0].id}",
    )


def _listed(candidates: Sequence[Candidate]) -> str:
    lines = [one.line() for one in candidates[:_MOST_LISTED]]
    more = len(candidates) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")


def _none_readable(path: Path, candidates: list[Candidate]) -> InputError:
    first = candidates[0].error
    if first is not None and len(candidates) == 1:
        if path.is_file() and "one slice" in first.what:
            first.fix = f"Give the folder that holds the whole series: {path.parent}"
        return first
    kinds = {type(one.error) for one in candidates if one.error is not None}
    kind = kinds.pop() if len(kinds) == 1 else UnsupportedError
    return kind(
        "Nothing here can be read.",
        where=path,
        found=_listed(candidates),
        expected="one image that is a volume",
        fix=first.fix if first is not None else "Give another scan.",
    )


def _nothing(path: Path, skipped: Counter[str]) -> UnsupportedError:
    return UnsupportedError(
        "There is no image here.",
        where=path,
        found=", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "no files",
        expected="NIfTI, MGZ, DICOM, PNG or JPEG",
        fix="Give the file, folder or zip that holds the scan.",
    )
