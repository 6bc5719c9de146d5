"""A cohort without names: clean copies of its scans, a table of pseudonyms and moved dates, and a report.

All scans of one person get one pseudonym and one shift, both from the key and the table's `participant_id`, so that the
days between visits stay. Columns whose cells could hold a name are left out unless somebody asks for them by name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dopascope.cohort.scan import COLUMNS
from dopascope.cohort.table import MISSING
from dopascope.errors import InputError, UsageError
from dopascope.formats.deidentify import CleanOptions, Key, Person, deidentify_scan, new_folder
from dopascope.formats.deidentify_elements import OLDEST
from dopascope.formats.deidentify_report import Removed
from dopascope.formats.deidentify_terms import technical
from dopascope.provenance import write_text
from dopascope.volume import FACTS

REPORT: Final = "deidentify.json"
TABLE: Final = "cohort.tsv"
SCANS: Final = "scans"
LABELS: Final = frozenset(
    {
        "pd",
        "control",
        "controls",
        "hc",
        "et",
        "swedd",
        "msa",
        "psp",
        "cbd",
        "dlb",
        "ad",
        "mci",
        "abnormal",
        "normal",
        "non-pd",
    }
    | {"healthy", "healthy control", "prodromal", "genetic pd", "atypical", "borderline", "vascular", "advanced_pd"}
)
"""Labels that are a diagnosis or a finding, not a name."""
_NAMES: Final = ("participant_id", "session_id", "scan_id", "path")
_NUMBER: Final = re.compile(r"[+-]?\d{1,4}(\.\d{1,12})?([eE][+-]?\d{1,2})?")
"""At most four digits before the point: telephone and hospital numbers are longer."""
_YEAR: Final = re.compile(r"(19|20)\d\d")
_PERSONAL: Final = re.compile(r"birth|dob|born|name|patient|person", re.IGNORECASE)


@dataclass(frozen=True)
class Deidentified:
    """What became of a cohort."""

    rows: list[dict[str, str]]
    """Cells of the clean table, by column; paths are relative to the folder."""
    removed: Removed
    dropped: list[str]
    """Columns that were left out: of the names of the source's columns, those that are not kept."""
    covariates: list[str]
    """Columns that were kept as they are because somebody asked for them."""
    failed: Counter[str] = field(default_factory=Counter)
    """What went wrong with a scan that is not in the clean cohort -> how many."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready report, without a value of the source; dropped columns are counted, since names can be names."""
        said = self.removed.as_dict()
        del said["pseudonym"]
        return said | {
            "scans": len(self.rows),
            "failed": dict(sorted(self.failed.items())),
            "columns_dropped": len(self.dropped),
            "columns_kept_unchanged": self.covariates,
            "people": len({row["participant_id"] for row in self.rows}),
        }


@dataclass
class _Visits:
    """Numbers in place of session names, in the order in which a person's sessions come."""

    sessions: dict[tuple[str, str], str] = field(default_factory=dict)
    scans: Counter[str] = field(default_factory=Counter)

    def named(self, pseudonym: str, session: str | None) -> tuple[str, str]:
        """Session and scan id of the next scan; one without a session is a session of its own."""
        which = (pseudonym, session or f"\0{len(self.sessions)}")
        if which not in self.sessions:
            number = 1 + sum(person == pseudonym for person, _ in self.sessions)
            self.sessions[which] = f"ses-{number:02d}"
        scan = f"{pseudonym}_{self.sessions[which]}"
        self.scans[scan] += 1
        return self.sessions[which], scan + (f"_{self.scans[scan]}" if self.scans[scan] > 1 else "")


@dataclass(frozen=True)
class _Choices:
    key: Key
    folder: Path
    covariates: frozenset[str]
    options: CleanOptions


def deidentify_cohort(
    rows: Sequence[dict[str, str]],
    root: Path,
    folder: Path,
    key: Key,
    *,
    covariates: Sequence[str] = (),
    options: CleanOptions | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Deidentified:
    """Write the cohort without names to `folder`: `cohort.tsv`, `scans/` and `deidentify.json`, all or nothing.

    Args:
        rows: cells by column, as an importer has them: those of `COLUMNS` and any others.
        root: what the paths of the rows are relative to.
        folder: new or empty.
        key: the project's secret; its file must not lie in `folder`.
        covariates: columns that are kept as they are, though their cells are text.
        options: what to let through, and the bounds on each read.
        progress: is told how many scans of how many are done.

    Raises:
        UsageError: a row without a path, no such covariate, a folder that is not empty, two people with one pseudonym.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    wanted = frozenset(covariates)
    _check_covariates(wanted, columns)
    people = _people(rows, key)
    with new_folder(folder) as making:
        choices = _Choices(key, making, wanted, options or CleanOptions())
        kept = [name for name in columns if name in (*COLUMNS, *FACTS) or _is_plain(name, rows, choices)]
        done = Deidentified([], Removed(""), [name for name in columns if name not in kept], sorted(wanted))
        visits = _Visits()
        for number, row in enumerate(rows, 1):
            try:
                done.rows.append(_clean_row(row, kept, root, people[_who(row)], visits, choices, done.removed))
            except InputError as error:
                done.failed[error.what] += 1
            progress(number, len(rows))
        others = [name for name in kept if name not in COLUMNS]
        _write(making, done, [*(name for name in COLUMNS if name in kept or name in _NAMES), *others])
    return done


def _check_covariates(wanted: frozenset[str], columns: Sequence[str]) -> None:
    missing = sorted(wanted - set(columns))
    if missing:
        raise UsageError(
            "There is no such column to keep.",
            where="--covariate",
            found=missing[0],
            expected=", ".join(columns),
            fix="Correct the name.",
        )


def _who(row: dict[str, str]) -> str:
    """Whose scan this is; one that names nobody is of a person of its own."""
    if not row.get("path"):
        raise UsageError("A scan has no path.", where="column path", expected="the path of the scan", fix="Add it.")
    return row.get("participant_id") or f"\0{row['path']}"


def _people(rows: Sequence[dict[str, str]], key: Key) -> dict[str, Person]:
    people = {who: key.person(key.pseudonym(who)) for who in dict.fromkeys(map(_who, rows))}
    if len({person.pseudonym for person in people.values()}) < len(people):
        raise UsageError(
            "Two people would get one pseudonym.",
            where="key",
            found=f"{len(people)} people",
            expected="a pseudonym for each",
            fix="Use another key.",
        )
    return people


def _clean_row(
    row: dict[str, str],
    kept: Sequence[str],
    root: Path,
    person: Person,
    visits: _Visits,
    choices: _Choices,
    removed: Removed,
) -> dict[str, str]:
    """The row's clean scan is written, and its cells are given."""
    session, scan_id = visits.named(person.pseudonym, row.get("session_id"))
    out, done = deidentify_scan(
        root / row["path"],
        choices.folder / SCANS,
        person.pseudonym,
        choices.key.secret,
        name=scan_id,
        options=choices.options,
    )
    removed.add(done)
    cells = {name: _cell(name, row.get(name, MISSING), person, choices) for name in kept}
    path = out.relative_to(choices.folder).as_posix()
    return cells | dict(zip(_NAMES, (person.pseudonym, session, scan_id, path), strict=True))


def _cell(name: str, text: str, person: Person, choices: _Choices) -> str:
    """A cell without what could name somebody."""
    if name in choices.covariates or text in ("", MISSING):
        return text or MISSING
    if name == "age":
        return f"{min(float(text), OLDEST):g}" if _NUMBER.fullmatch(text) else MISSING
    if name == "site":
        return choices.key.pseudonym(text, "site-")
    if (moved := person.shifted(text)) is not None:
        return moved
    if _NUMBER.fullmatch(text) or technical(text):
        return text
    return choices.key.term(text) if name in ("label", "camera") else MISSING


def _is_plain(name: str, rows: Sequence[dict[str, str]], choices: _Choices) -> bool:
    """Whether a column may stay: its name and all its cells are technical words, numbers or dates."""
    if name in choices.covariates:
        return True
    if not technical(name) or _PERSONAL.search(name):
        return False
    nobody = Person("nobody", 0)
    cells = [one for row in rows if (one := row.get(name, "")) not in ("", MISSING)]
    if cells and all(_YEAR.fullmatch(one) for one in cells):
        return False
    if any(row.get(name) and row.get(name) in [row.get(own) for own in _NAMES] for row in rows):
        return False  # what says again who this is
    return all(_NUMBER.fullmatch(one) or nobody.shifted(one) is not None or technical(one) for one in cells)


def _write(folder: Path, done: Deidentified, columns: Sequence[str]) -> None:
    lines = ["\t".join(columns)]
    lines += ["\t".join(row.get(name) or MISSING for name in columns) for row in done.rows]
    write_text(folder / REPORT, json.dumps(done.as_dict(), indent=2) + "\n")
    write_text(folder / TABLE, "\n".join(lines) + "\n")
