"""A made-up download of PPMI: 60 people with three visits, and everything that real downloads have wrong with them.

Nothing of it is PPMI's: the layout and the columns are those that the archive documents, all values are invented.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

PEOPLE = 60
VISITS = (("SC", 0), ("V04", 365), ("V06", 730))
GROUPS = ("PD", "PD", "Control", "SWEDD", "Prodromal", "PD")
REGIONS = ("CAUDATE_R", "CAUDATE_L", "PUTAMEN_R", "PUTAMEN_L", "PUTAMEN_R_ANT", "PUTAMEN_L_ANT")
XING = ("STRIATUM", "CAUDATE_L", "POSCOMMISSURAL_PUTAMEN_R", "PREDORSAL_PUTAMEN_L")
COLLECTION = (
    "Image Data ID",
    "Subject",
    "Group",
    "Sex",
    "Age",
    "Visit",
    "Modality",
    "Description",
    "Type",
    "Acq Date",
    "Note",
)

Write = Callable[[Path, int], object]


def person(n: int) -> str:
    return str(3000 + 7 * n)


def day(n: int, visit: int) -> date:
    return date(2011, 1, 9) + timedelta(days=11 * n + VISITS[visit][1])


def image_id(n: int, visit: int) -> str:
    return f"I{200_000 + 10 * n + visit}"


def group(n: int) -> str:
    return GROUPS[n % len(GROUPS)]


def age(n: int, visit: int) -> float:
    return round(50 + n % 30 + VISITS[visit][1] / 365.25, 1)


def month(of: date) -> str:
    return f"{of.month:02d}/{of.year}"


def folder(root: Path, n: int, visit: int, image: str, description: str = "Reconstructed_DaTSCAN") -> Path:
    return root / "PPMI" / person(n) / description / f"{day(n, visit)}_12_34_56.0" / image


def write_images(root: Path, write: Write, people: int = PEOPLE) -> None:
    """Every third person's folders have the older ids: the series' S in the folder, the image's I in the file."""
    for n in range(people):
        for visit in range(len(VISITS)):
            image = image_id(n, visit)
            old = f"S{90_000 + 10 * n + visit}"
            where = folder(root, n, visit, old if n % 3 == 0 else image)
            ending = "dcm" if n % 2 else "nii"
            write(where / f"PPMI_{person(n)}_NM_Reconstructed_DaTSCAN_Br_2011_{old}_{image}.{ending}", 10 * n + visit)
    # An MRI, raw projections, a folder that was never filled, and a second copy under the newer id.
    write(folder(root, 0, 0, "I900001", "MPRAGE_GRAPPA") / "PPMI_mri_I900001.nii", 9001)
    write(folder(root, 0, 0, "I900002", "DaTSCAN") / "PPMI_raw_I900002.nii", 9002)
    folder(root, 1, 0, "I900003").mkdir(parents=True)
    write(folder(root, 3, 0, image_id(3, 0)) / f"PPMI_{person(3)}_again_{image_id(3, 0)}.nii", 30)


def write_tables(root: Path, people: int = PEOPLE, word: str = "") -> None:
    write_collection(root / "DaTSCAN_collection_3_20_2015.csv", people, word)
    everybody = [(n, visit) for n in range(people) for visit in range(len(VISITS))]
    write_table(
        root / "tables" / "DaTScan_SBR_Analysis_01Jan2024.csv",
        ["PROTOCOL", "PATNO", "EVENT_ID", "DATSCAN_DATE", "DATSCAN_ANALYZED", *(f"DATSCAN_{name}" for name in REGIONS)],
        [["1", person(n), VISITS[v][0], month(day(n, v)), "Yes", *ratios(n, v, 0.0)] for n, v in everybody],
    )
    write_table(
        root / "tables" / "Xing_Core_Lab_-_Quant_SBR_01Jan2024.csv",
        ["PATNO", "EVENT_ID", *(f"{name}_REF_CWM" for name in XING)],
        [[person(n), VISITS[v][0], *ratios(n, v, 0.5)[: len(XING)]] for n, v in everybody],
    )
    write_table(
        root / "tables" / "DaTScan_Visual_Interpretation_Results.csv",
        ["PATNO", "EVENT_ID", "DATSCAN_VISINTRP", "COMMENT"],
        [
            [person(n), "SC", "negative" if group(n) in ("Control", "SWEDD") else "positive", word]
            for n in range(people)
        ],
    )
    write_table(
        root / "tables" / "DaTScan_Metadata.csv",
        ["PATNO", "EVENT_ID", "QUALITY_RATING", "IMAGE_ACCEPTABLE"],
        [[person(n), "SC", "3" if n == 4 else "1", "Yes"] for n in range(people)],
    )
    # Part III twice at baseline, with and without medication; Hoehn and Yahr two months later; nothing near visit V06.
    write_table(
        root / "tables" / "MDS-UPDRS_Part_III.csv",
        ["PATNO", "EVENT_ID", "INFODT", "PDSTATE", "NP3TOT", "NHY", "NOTE"],
        [
            [person(n), event, month(day(n, 0) + timedelta(days=later)), state, str(score + n % 9), stage, word]
            for n in range(people)
            for event, later, state, score, stage in (
                ("SC", 0, "ON", 11, ""),
                ("SC", 0, "OFF", 21, ""),
                ("BL", 61, "", 31, "2"),
                ("V04", 900, "", 99, "5"),
            )
        ],
    )
    write_table(
        root / "tables" / "Demographics.csv",
        ["PATNO", "BIRTHDT", "NAME"],
        [[person(n), month(day(n, 0) - timedelta(days=round(365.25 * age(n, 0)))), word] for n in range(people)],
    )
    write_table(root / "tables" / "Code_List.csv", ["MOD_NAME", "CODE"], [["x", "1"]])


def write_collection(path: Path, people: int = PEOPLE, word: str = "") -> None:
    lines = [
        [
            image_id(n, visit),
            person(n),
            group(n),
            "F" if n % 2 else "M",
            f"{age(n, visit):g}",
            VISITS[visit][0],
            "SPECT",
            "Reconstructed_DaTSCAN",
            "Pre-processed",
            f"{day(n, visit).month}/{day(n, visit).day}/{day(n, visit).year}",
            f"{word}{n}",
        ]
        for n in range(people)
        for visit in range(len(VISITS))
    ]
    absent = [
        "I900009",
        "2999",
        "PD",
        "M",
        "70",
        "SC",
        "SPECT",
        "Reconstructed_DaTSCAN",
        "Pre-processed",
        "2/1/2012",
        "",
    ]
    write_table(path, COLLECTION, [*lines, absent])


def ratios(n: int, visit: int, more: float) -> list[str]:
    return [f"{1 + 0.01 * n + 0.1 * visit + more + 0.001 * k:.3f}" for k in range(len(REGIONS))]


def write_table(path: Path, header: Sequence[str], lines: Sequence[Sequence[str]]) -> Path:
    """A CSV as the archive writes them: every cell in quotes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([header, *lines])
    return path


def write_metadata(path: Path, image: str, who: str, group_: str, visit: str, years: float) -> Path:
    path.write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<idaxs xmlns="http://ida.loni.usc.edu"><project><subject><subjectIdentifier>{who}</subjectIdentifier>
<researchGroup>{group_}</researchGroup><subjectSex>F</subjectSex>
<visit><visitIdentifier>{visit}</visitIdentifier></visit>
<study><subjectAge>{years}</subjectAge><series><imagingProtocol><imageUID>{image}</imageUID>
<protocolTerm><protocol term="Manufacturer">SIEMENS</protocol></protocolTerm></imagingProtocol></series></study>
</subject></project></idaxs>
""",
        encoding="utf-8",
    )
    return path
