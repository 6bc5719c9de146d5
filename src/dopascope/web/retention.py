"""Removing what has been kept long enough."""

from __future__ import annotations

import shutil
import time

from sqlalchemy import delete, select

from dopascope.web import audit
from dopascope.web.database import Database
from dopascope.web.settings import Settings
from dopascope.web.tables import FINAL_STATES, Job, Upload

DAY_S = 86400.0
AT_ONCE = 1000
"""Uploads that are removed before readings go on."""


def remove_old(database: Database, settings: Settings) -> int:
    """Remove uploads older than `keep_days` that no worker reads, with all that was made of them; returns how many.

    First the rows, with a line of the audit trail each, then the files; files whose removal was cut off have no row and
    are swept at the next start.
    """
    if settings.keep_days <= 0:
        return 0
    old = time.time() - DAY_S * settings.keep_days
    with database.read() as session:
        wanted = select(Upload.id, Job.id).join(Job).where(Upload.created < old, Job.state.in_(FINAL_STATES))
        found = session.execute(wanted.order_by(Upload.created).limit(AT_ONCE)).all()
    for upload_id, job_id in found:
        with database.write() as session:
            session.execute(delete(Upload).where(Upload.id == upload_id))
            audit.add(session, settings.secret("audit"), "system", "removed by age", upload_id)
        for folder in (settings.uploads / upload_id, settings.readings / job_id):
            shutil.rmtree(folder, ignore_errors=True)
    return len(found)
