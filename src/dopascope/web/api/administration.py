"""Models, and what an administrator looks after: accounts, the audit trail and the queue."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from flask import url_for

from dopascope.bundle import store
from dopascope.errors import BundleError, UsageError
from dopascope.web import accounts, administration, audit, changes
from dopascope.web.access import ADMINISTRATORS, SIGNED_IN, database, settings
from dopascope.web.api.problems import Problem, refusal
from dopascope.web.api.resource import PAGES, Blueprint, Paged, page_of
from dopascope.web.api.schemas import ModelLine, QueueState, SettingLine, Trail, UserLine
from dopascope.web.tables import ROLES, AuditEntry

blueprint = Blueprint("administration", "Models, accounts, the audit trail and the queue.")
CHANGE: Final = f"any(disable, enable, {', '.join(ROLES)})"


@blueprint.operation("/models", "GET", SIGNED_IN, "read")
@blueprint.response(200, ModelLine(many=True))
def list_models() -> Any:
    """The readers that scans are shown to; they are added on the server's command line alone."""
    asked = store.default_readers(settings().models_dir)
    try:
        found = store.list_models(settings().models_dir)
    except BundleError as error:
        # Without its path: who asks need not be an administrator.
        raise Problem(503, error.what, kind=error.code, fields={"fix": error.fix}) from error
    return [asdict(one) | {"reads_each_scan": one.id in asked} for one in found]


@blueprint.operation("/users", "GET", ADMINISTRATORS, "admin")
@blueprint.response(200, UserLine(many=True))
def list_users() -> Any:
    """All accounts by name."""
    with database().read() as session:
        return accounts.all_users(session)


@blueprint.operation(f"/users/<id:user_id>/<{CHANGE}:change>", "POST", ADMINISTRATORS, "admin")
@blueprint.response(200, UserLine)
def change_user(user_id: str, change: str) -> Any:
    """Disable or enable an account, or give it another role; its sessions and tokens end. 409 for one's own."""
    try:
        return accounts.change_account(user_id, change)
    except UsageError as error:
        raise refusal(error, 409) from error


@blueprint.operation("/settings", "GET", ADMINISTRATORS, "admin")
@blueprint.response(200, SettingLine(many=True))
def list_settings() -> Any:
    """Settings that hold at this moment, with their help."""
    held = settings()
    made = [
        {"name": one.name, "value": getattr(held, one.name), "changeable": True, "help": one.help}
        for one in changes.CHANGEABLE
    ]
    return made + [
        {"name": name, "value": value, "changeable": False, "help": told} for name, value, told in changes.fixed(held)
    ]


@blueprint.operation("/audit", "GET", ADMINISTRATORS, "admin")
@blueprint.arguments(Paged, location="query")
@blueprint.response(200, Trail, headers=PAGES)
def get_audit(asked: dict[str, Any]) -> Any:
    """The audit trail, newest line first, and whether it is whole."""
    with database().read() as session:
        found, headers = page_of(session, administration.newest_lines(), asked)
        verified = audit.verify(session, settings().secret("audit"))
    return {"lines": [_line(one) for one in found], "verified": verified}, headers


def _line(entry: AuditEntry) -> dict[str, Any]:
    columns = ("number", "at", "actor", "action", "target", "digest")
    return {name: getattr(entry, name) for name in columns} | {"detail": json.loads(entry.detail)}


@blueprint.operation("/queue", "GET", ADMINISTRATORS, "admin")
@blueprint.response(200, QueueState)
def get_queue() -> Any:
    """How many uploads wait, and which were given up; by id, since administrators see no scans."""
    with database().read() as session:
        counts, dead = administration.counts_of(session), administration.given_up(session)
    columns = ("id", "upload_id", "created", "finished")
    lines = [
        {name: getattr(one, name) for name in columns}
        | {name: (one.error or {}).get(name, "") for name in ("what", "found")}
        | {"links": {"restart": url_for("api_uploads.restart_job", job_id=one.id)}}
        for one in dead
    ]
    return {"counts": counts, "dead": lines}
