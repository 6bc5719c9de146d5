"""Uploads made of others: each image of several that came in together, and a scan that is read again."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from dopascope.web import storage
from dopascope.web.settings import Settings
from dopascope.web.tables import Job, Upload, new_id


def derive(
    session: Session, settings: Settings, source: Upload, choices: dict[str, Any], *, replaces: str | None = None
) -> str:
    """Queue the files of `source` to be read with other choices; returns the id of the new upload.

    They take no room of the owner's: the same files lie on the disk once. In a `Database.write`; where that is undone,
    the folder is a stray one that the next start sweeps.

    Raises:
        OSError: the disk refuses.
    """
    name = new_id()
    storage.link(settings.uploads / source.id, settings.uploads / name)
    session.add(
        Upload(
            id=name,
            owner_id=source.owner_id,
            original_name=source.original_name,
            files=source.files,
            size=0,
            sha256=source.sha256,
            choices=choices,
            replaces=replaces,
        )
    )
    session.flush()
    session.add(Job(upload_id=name))
    return name
