"""An installation with thousands of readings: rows of their own, and one reading's files for all of them."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from dopascope.web import Settings, create_app, passwords, seal
from dopascope.web.api import tokens
from dopascope.web.database import Database
from dopascope.web.tables import Identity, Job, Note, ReadingRow, Upload, User, new_id

PASSWORD = "a quiet walk by the sea"
CAMERAS = ("Siemens Symbia Intevo", "GE Discovery NM/CT 670", "Philips BrightView XCT", "Mediso AnyScan Trio", "")
YEAR_S = 365 * 24 * 3600.0


@dataclass
class Store:
    """What was made: the people by role, and each reader's (upload, reading, pseudonym)."""

    settings: Settings
    readers: dict[str, list[tuple[str, str, str]]]
    reviewers: list[str]
    tokens: dict[str, str]
    """Each person's, for the programming interface."""


def fill(data: Path, example: Path, *, people: int, readings: int, models_dir: Path) -> Store:
    """Make an installation; one person of five is a reviewer, the readings are the readers'.

    Args:
        data: the folder to be.
        example: folder of one finished reading, which stands for all.
        people: accounts, two at least.
        readings: rows.
        models_dir: of the readers.
    """
    settings = Settings(data=data, models_dir=models_dir)
    base: Database = create_app(settings).extensions["dopascope_database"]
    seal.write(example, settings.secret("seal"), "example", "2026-01-01T00:00:00Z")
    shutil.copytree(example, data / "example")
    draw, hashed = random.Random(1), passwords.hashed(PASSWORD)
    ids = {f"person{number:02}": new_id() for number in range(people)}
    names = list(ids)
    reviewers, readers = names[::5], [one for number, one in enumerate(names) if number % 5]
    with base.write() as session:
        session.execute(
            insert(User),
            [
                {
                    "id": key,
                    "name": name,
                    "key": name,
                    "password_hash": hashed,
                    "role": "reviewer" if name in reviewers else "reader",
                }
                for name, key in ids.items()
            ],
        )
    made: dict[str, list[tuple[str, str, str]]] = {one: [] for one in readers}
    rows: dict[type, list[dict[str, object]]] = {Upload: [], Job: [], ReadingRow: [], Identity: [], Note: []}
    for number in range(readings):
        owner = readers[number % len(readers)]
        upload, reading, created = new_id(), new_id(), time.time() - draw.uniform(0, 2 * YEAR_S)
        known = made[owner]
        again = bool(known) and draw.random() < 0.4
        pseudonym = draw.choice(known)[2] if again else f"P-{draw.getrandbits(32):08X}"
        known.append((upload, reading, pseudonym))
        digest = f"{draw.getrandbits(256):064x}"
        rows[Upload].append(
            {
                "id": upload,
                "owner_id": ids[owner],
                "created": created,
                "original_name": f"scan-{number:05}.dcm",
                "files": 1,
                "size": 1 << 20,
                "sha256": digest,
                "choices": {},
            }
        )
        rows[Job].append({"id": reading, "upload_id": upload, "state": "done", "progress": "done", "created": created})
        verdict = draw.choices(("normal", "reduced", "uncertain", "refused"), (45, 40, 10, 5))[0]
        ratios = {name: round(draw.uniform(0.5, 4.0), 4) for name in ("putamen_left", "putamen_right", "caudate_left")}
        rows[ReadingRow].append(
            {
                "id": reading,
                "upload_id": upload,
                "owner_id": ids[owner],
                "pseudonym": pseudonym,
                "created": created + 10,
                "verdict": verdict,
                "passport": draw.choices(("in-distribution", "unusual", "refused"), (85, 12, 3))[0],
                "p_abnormal": None if verdict == "refused" else draw.random(),
                "disagreement": draw.random() < 0.05,
                "camera": draw.choice(CAMERAS),
                "ratios": {} if verdict == "refused" else ratios,
                "sha256": digest,
            }
        )
        rows[Identity].append({"reading_id": reading, "fields": {"patient_id": pseudonym}})
        if draw.random() < 0.5:
            rows[Note].append(
                {
                    "reading_id": reading,
                    "user_id": ids[owner],
                    "kind": "signature",
                    "text": "agreed",
                    "created": created,
                }
            )
        (settings.readings / reading).symlink_to(data / "example")
    for table, lines in rows.items():
        with base.write() as session:
            session.execute(insert(table), lines)
    with base.write() as session:
        held = {
            name: tokens.make(session, session.get_one(User, key), "bench", ("read",), 1) for name, key in ids.items()
        }
    base.close()
    return Store(settings, made, reviewers, held)
