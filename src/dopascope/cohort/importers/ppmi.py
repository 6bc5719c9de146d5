"""Kind `ppmi`: a download of DaTSCANs from the image archive of PPMI, with the tables of the study."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope.cohort.importers.cells import SCAN_DATE, SEXES, check_sexes, check_used
from dopascope.cohort.importers.files import files_below
from dopascope.cohort.importers.found import Found, ImportOptions, LeftOut, Visits
from dopascope.cohort.importers.ppmi_dates import Month
from dopascope.cohort.importers.ppmi_join import APART, event_of, measured_in, scores_near
from dopascope.cohort.importers.ppmi_metadata import Record
from dopascope.cohort.importers.ppmi_tables import SERIES, Tables, read_tables
from dopascope.cohort.importers.ppmi_tree import TABLES, Image, images_below, number_of
from dopascope.cohort.importers.registry import importer
from dopascope.errors import UnsuitableError

NO_TABLE: Final = "No table names this image."
OTHER_PERSON: Final = "The tables and the folders give this image to different people."
OTHER_DAY: Final = "The tables and the folder give this image different days."
TWO_WORDS: Final = "The tables contradict each other about this image's group, sex, age or visit."
NO_GROUP: Final = "No table says which group this person is in."
TWO_GROUPS: Final = "The tables put this person into two groups."
PHANTOM: Final = "A phantom, not a person."
SECOND_COPY: Final = "A second copy of the same image."
NOT_THERE: Final = "A table names an image that is not in the folders."
LATER: Final = "Not the baseline visit."
NOT_FIRST: Final = "Not the first scan of this person."
NO_VISIT: Final = "No table says which visit this is."
NO_BASELINE: Final = "No scan of this person is of a baseline visit."
NOT_EARLIEST: Final = "The baseline visit is not the earliest scan: visit codes and dates contradict each other."
SEVERAL: Final = "Several images of one visit, and none is clearly meant."

BASELINE: Final = ("SC", "BL")
"""Visit codes of a baseline scan, the usual one of DaTSCAN first."""
_VISITS: Final = {
    "screening": "SC",
    "baseline": "BL",
    "month 12": "V04",
    "month 24": "V06",
    "month 36": "V08",
    "month 48": "V10",
}
_GROUPS: Final = {"pd": "PD", "control": "control", "hc": "control", "healthy control": "control", "swedd": "SWEDD"}
"""What groups are called here; others keep their names."""
_POOR: Final = ("3", "3.0")
_NOT: Final = ("0", "no", "false", "n")
_YEAR: Final = 1.1
"""Ages are given to a tenth of a year, births to the month."""
US_DATES: Final = "days in tables of the image archive are month/day/year"
FROM_BIRTH: Final = "ages that no table gives count from the 15th of the month of birth"
NEAREST: Final = "clinical scores are those nearest to the scan, within 12 months; columns _months_apart say how near"
OTHER_MONTH: Final = "lines of other tables name a scan's visit but another month, or say two things: not joined"
POOR: Final = "scans were rated poor or not acceptable: see quality_rating and image_acceptable"
NO_SEX: Final = "scans have a sex that is no word for one: say what it means with --sex"
OTHER_AGE: Final = "ages differ by more than a year from the month of birth; the image archive's were taken"
BOTH_SERIES: Final = (
    "sbr_datscan_ and sbr_xing_ columns are two series of binding ratios, measured differently: do not mix them."
)


@dataclass
class _Told:
    """What all tables together say of one image."""

    image: Image
    group: str
    sex: str | None
    age: float | None
    visit: str | None


@importer(
    "ppmi",
    "PERSON/Reconstructed_DaTSCAN/DATE_TIME/IMAGE folders of the PPMI image archive, with its collection CSV",
    *("tables", "labels", "sexes", "visits", "delimiter", "encoding", "sheet"),
)
def find_ppmi(source: Path, options: ImportOptions) -> Found:
    """The reconstructed DaTSCANs of a download, with group, visit and age at the scan, and covariates from the tables.

    Raises:
        UnsuitableError: no table or metadata file says whose the images are.
        UsageError: `--label` or `--sex` names what is not there.
        InputError: a table cannot be meant.
    """
    check_sexes(options.sexes)
    found = Found(source)
    inside = [path for path in files_below(source) if path.suffix.casefold() in TABLES]
    tables = read_tables(source, [*inside, *options.tables], options, found.left_out)
    if not tables.known:
        raise UnsuitableError(
            "No table says whose these images are.",
            where=source,
            found=f"{len(inside) + len(options.tables)} tables, none of them known",
            expected="the collection's CSV, or the metadata XML of the images",
            fix="Download the CSV of the image collection, and lay it beside the folders or name it with --table.",
        )
    images, stubs = images_below(source, found.left_out)
    images = _once(images, found.left_out)
    _not_there(images, stubs, tables, found.left_out)
    told = _one_group([one for image in images if (one := _told(image, tables, found)) is not None], found.left_out)
    check_used(options.labels, {one.group for one in told}, "--label")
    check_used(options.sexes, {one.sex for one in told if one.sex}, "--sex")
    doubts: Counter[str] = Counter()
    for one in _of_visits(told, options.visits or Visits.BASELINE, found.left_out):
        found.rows.append(_row(one, tables, options, doubts))
    _say(found, tables, doubts)
    return found


def _once(images: Sequence[Image], left_out: list[LeftOut]) -> list[Image]:
    """Each image once: the copy whose folder has its own id, else the first."""
    kept: dict[str, Image] = {}
    for image in sorted(images, key=lambda one: (not one.in_own_folder, one.path)):
        if image.image in kept:
            left_out.append(LeftOut(image.path, SECOND_COPY, kept[image.image].path))
        else:
            kept[image.image] = image
    return sorted(kept.values(), key=lambda one: (one.person, one.day, one.image))


def _not_there(images: Iterable[Image], stubs: set[str], tables: Tables, left_out: list[LeftOut]) -> None:
    """DaTSCANs that a table names by an image id that no folder has."""
    there = {number_of(one.image) for one in images} | stubs
    days = {(one.person, one.day) for one in images}
    for number, records in sorted(tables.records.items()):
        wanted = any("recon" in (one.description or "").casefold() for one in records)
        if wanted and number not in there and not any((one.person, one.day) in days for one in records):
            left_out.append(LeftOut(f"image {records[0].image}", NOT_THERE, f"person {records[0].person}"))


def _told(image: Image, tables: Tables, found: Found) -> _Told | None:
    """What the tables say of an image; None where they do not, or not with one voice."""
    records = tables.records.get(number_of(image.image)) or _of_day(image, tables)
    why = _doubt(image, records)
    if why is not None:
        found.left_out.append(LeftOut(image.path, why))
        return None
    ages = [one.age for one in records if one.age is not None]
    visit = next((code_of(one.visit) for one in records if one.visit), None)
    return _Told(
        image=image,
        group=next(one.group for one in records if one.group),
        sex=next((one.sex for one in records if one.sex), None),
        age=ages[0] if ages else None,
        visit=visit or event_of(tables.of_image[image.person], image.day),
    )


def _of_day(image: Image, tables: Tables) -> list[Record]:
    """Records of the person's only image of that day: older folders have the series' id, which no table has."""
    near = [
        one
        for records in tables.records.values()
        for one in records
        if (one.person, one.day) == (image.person, image.day) and "recon" in (one.description or "").casefold()
    ]
    return near if len({one.image for one in near}) == 1 and image.image.startswith("S") else []


def _doubt(image: Image, records: Sequence[Record]) -> str | None:
    """Why these records do not tell whose the image is."""
    if not records:
        return NO_TABLE
    if any(one.person != image.person for one in records):
        return OTHER_PERSON
    if any(one.day not in (None, image.day) for one in records):
        return OTHER_DAY
    groups = {_group(one.group) for one in records if one.group}
    if not groups:
        return NO_GROUP
    if "phantom" in {group.casefold() for group in groups}:
        return PHANTOM
    ages = [one.age for one in records if one.age is not None]
    others = ({one.sex for one in records if one.sex}, {code_of(one.visit) for one in records if one.visit})
    if len(groups) > 1 or any(len(said) > 1 for said in others) or (ages and max(ages) - min(ages) > 1):
        return TWO_WORDS
    return None


def _one_group(told: Sequence[_Told], left_out: list[LeftOut]) -> list[_Told]:
    """Without people whose scans are of different groups."""
    groups = defaultdict(set)
    for one in told:
        groups[one.image.person].add(_group(one.group))
    left_out += [LeftOut(one.image.path, TWO_GROUPS) for one in told if len(groups[one.image.person]) > 1]
    return [one for one in told if len(groups[one.image.person]) == 1]


def code_of(visit: str | None) -> str | None:
    """The code of a visit that may be given by its name."""
    return None if visit is None else _VISITS.get(visit.casefold(), visit)


def _group(name: str) -> str:
    return _GROUPS.get(name.casefold(), name)


def _of_visits(told: Sequence[_Told], visits: Visits, left_out: list[LeftOut]) -> list[_Told]:
    """The scans that are wanted of each person."""
    if visits is Visits.ALL:
        return list(told)
    people: dict[str, list[_Told]] = defaultdict(list)
    for one in told:
        people[one.image.person].append(one)
    kept = []
    for scans in people.values():
        chosen, why = _baseline(scans) if visits is Visits.BASELINE else _first(scans)
        reasons = {
            id(one): why.get(one.image.image, LATER if visits is Visits.BASELINE else NOT_FIRST) for one in scans
        }
        left_out += [LeftOut(one.image.path, reasons[id(one)]) for one in scans if one is not chosen]
        kept += [] if chosen is None else [chosen]
    return kept


def _baseline(scans: Sequence[_Told]) -> tuple[_Told | None, dict[str, str]]:
    """The baseline scan of a person; None, and the reason for each image, where it is not clear."""
    without = {one.image.image: NO_VISIT for one in scans if one.visit is None}
    code = next((code for code in BASELINE if any(one.visit == code for one in scans)), None)
    if code is None:
        return None, {one.image.image: NO_BASELINE for one in scans} | without
    meant = [one for one in scans if one.visit == code]
    if len(meant) > 1:
        return None, {one.image.image: SEVERAL for one in meant} | without
    if any(one.image.day < meant[0].image.day for one in scans):
        return None, dict.fromkeys((one.image.image for one in scans), NOT_EARLIEST)
    return meant[0], without


def _first(scans: Sequence[_Told]) -> tuple[_Told | None, dict[str, str]]:
    """The earliest scan of a person; None where two are of one day."""
    earliest = min(one.image.day for one in scans)
    meant = [one for one in scans if one.image.day == earliest]
    return (meant[0], {}) if len(meant) == 1 else (None, {one.image.image: SEVERAL for one in meant})


def _row(told: _Told, tables: Tables, options: ImportOptions, doubts: Counter[str]) -> dict[str, str]:
    """The scan's line; `doubts` counts what somebody should look at."""
    image = told.image
    measured, doubtful = measured_in(tables.of_image[image.person], told.visit, image.day)
    doubts[OTHER_MONTH] += doubtful
    doubts[POOR] += measured.get("quality_rating") in _POOR or measured.get("image_acceptable", "").casefold() in _NOT
    sex = options.sexes.get(told.sex or "") or SEXES.get((told.sex or "").casefold())
    doubts[NO_SEX] += told.sex is not None and sex is None
    known = {
        "participant_id": image.person,
        "session_id": told.visit or image.day.isoformat(),
        "scan_id": f"{image.person}_{image.day.isoformat()}_{image.image}",
        "path": image.path,
        "modality": "dat",
        "label": options.labels.get(told.group) or _group(told.group),
        "age": _age(told, tables.births.get(image.person), doubts),
        "sex": sex,
        SCAN_DATE: image.day.isoformat(),
        "image_id": image.image,
    }
    covariates = measured | scores_near(tables.of_person[image.person], told.visit, image.day)
    return {name: cell for name, cell in known.items() if cell} | dict(sorted(covariates.items()))


def _age(told: _Told, born: Month | None, doubts: Counter[str]) -> str | None:
    """Age at the scan as a table has it, else from the month of birth."""
    counted = None if born is None else born.years_until(told.image.day)
    if told.age is None:
        doubts[FROM_BIRTH] += counted is not None
        return None if counted is None else f"{counted:.1f}"
    doubts[OTHER_AGE] += counted is not None and abs(counted - told.age) > _YEAR
    return f"{told.age:g}"


def _say(found: Found, tables: Tables, doubts: Counter[str]) -> None:
    """What is assumed, and what somebody should look at."""
    columns = found.columns()
    assumed = {
        US_DATES: any(one.day for records in tables.records.values() for one in records),
        FROM_BIRTH: doubts.pop(FROM_BIRTH, 0),
        NEAREST: any(name.endswith(APART) for name in columns),
    }
    found.assumed += [text for text, holds in assumed.items() if holds]
    found.warnings += [f"{count} {text}" for text, count in doubts.items() if count]
    if all(any(name.startswith(series) for name in columns) for series in SERIES):
        found.warnings.append(BOTH_SERIES)
