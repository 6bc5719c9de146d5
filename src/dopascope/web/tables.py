"""What the database holds. Times are seconds since 1970, UTC; ids say nothing of whom they stand for."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final, Literal

from sqlalchemy import JSON, BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

Role = Literal["reader", "reviewer", "administrator"]
ROLES: Final[tuple[Role, ...]] = ("reader", "reviewer", "administrator")
Label = Literal["normal", "reduced", "uncertain", "unreadable", "no verdict"]
LABELS: Final[tuple[Label, ...]] = ("normal", "reduced", "uncertain", "unreadable", "no verdict")
"""What a person may read in a scan."""
T1_LABELS: Final[tuple[Label, ...]] = ("no verdict", "unreadable")
"""Of a T1 MRI: it says nothing of dopamine transporters."""
JobState = Literal["queued", "running", "done", "refused", "dead"]
JOB_STATES: Final[tuple[JobState, ...]] = ("queued", "running", "done", "refused", "dead")
FINAL_STATES: Final[tuple[JobState, ...]] = ("done", "refused", "dead")
_ID: Final = String(32)


def new_id() -> str:
    """A random name that cannot be guessed."""
    return uuid.uuid4().hex


class Base(DeclarativeBase):
    """Of all tables."""


class User(Base):
    """An account."""

    __tablename__ = "user"
    id: Mapped[str] = mapped_column(_ID, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    """The name in small letters: nobody is called like another one but for capitals."""
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[float] = mapped_column(Float, default=time.time)
    __table_args__ = (CheckConstraint("role IN ('reader', 'reviewer', 'administrator')", name="user_role"),)


class WebSession(Base):
    """A log-in that lasts; its key is the digest of the cookie, so that the database gives nobody a session."""

    __tablename__ = "session"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created: Mapped[float] = mapped_column(Float)
    seen: Mapped[float] = mapped_column(Float)
    user: Mapped[User] = relationship(lazy="joined")


class ApiToken(Base):
    """A key to the programming interface; its key here is the digest, so that the database gives nobody a token."""

    __tablename__ = "api_token"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float)
    seen: Mapped[float | None] = mapped_column(Float, default=None)
    """When it was last used; None for never."""
    user: Mapped[User] = relationship(lazy="joined")


class SentOnce(Base):
    """An upload that a program sent under an Idempotency-Key; its key is the digest of the user's id and that key."""

    __tablename__ = "sent_once"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"))
    body: Mapped[str] = mapped_column(String(64))
    """Digest of what was sent."""
    created: Mapped[float] = mapped_column(Float, index=True)


class Invitation(Base):
    """The right to make one account; its key is the digest of the token."""

    __tablename__ = "invitation"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    invited_by: Mapped[str] = mapped_column(ForeignKey("user.id"))
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float)
    used: Mapped[float | None] = mapped_column(Float, default=None)


class Throttle(Base):
    """Failed log-ins of an account or address, known to every worker and after a restart."""

    __tablename__ = "throttle"
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last: Mapped[float] = mapped_column(Float)
    until: Mapped[float] = mapped_column(Float)


class Upload(Base):
    """Files that came in together, in a folder of the upload's id."""

    __tablename__ = "upload"
    id: Mapped[str] = mapped_column(_ID, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    created: Mapped[float] = mapped_column(Float, default=time.time)
    original_name: Mapped[str] = mapped_column(String(255))
    """As the browser gave it; shown, never used as a path."""
    files: Mapped[int] = mapped_column(Integer)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    choices: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """Fields of `reading.Choices`, and `series` where the files hold several."""
    replaces: Mapped[str | None] = mapped_column("adjusts", _ID, default=None, index=True)
    """Upload that was read again by this one, registered by hand or with a simulation; once this one is read, the
    reading before is no longer the current one. The column keeps its first name."""
    owner: Mapped[User] = relationship(lazy="joined")
    job: Mapped[Job] = relationship(back_populates="upload", lazy="joined")
    reading: Mapped[ReadingRow | None] = relationship(back_populates="upload", lazy="joined")
    __table_args__ = (
        Index("upload_owner_sha256", "owner_id", "sha256"),
        Index("upload_created", "created"),
        Index("upload_owner_created", "owner_id", "created"),
    )


class Identity(Base):
    """Whom a reading's scan shows, apart from everything else; read only by those whose role allows it."""

    __tablename__ = "identity"
    reading_id: Mapped[str] = mapped_column(ForeignKey("reading.id", ondelete="CASCADE"), primary_key=True)
    fields: Mapped[dict[str, Any]] = mapped_column(JSON)


class Job(Base):
    """The reading of one upload, from queued to exactly one final state."""

    __tablename__ = "job"
    id: Mapped[str] = mapped_column(_ID, primary_key=True, default=new_id)
    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"), unique=True)
    state: Mapped[str] = mapped_column(String(8), default="queued")
    progress: Mapped[str] = mapped_column(String(80), default="waiting")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[float] = mapped_column(Float, default=0.0)
    worker: Mapped[str | None] = mapped_column(String(80), default=None)
    lease_until: Mapped[float] = mapped_column(Float, default=0.0)
    created: Mapped[float] = mapped_column(Float, default=time.time)
    finished: Mapped[float | None] = mapped_column(Float, default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    upload: Mapped[Upload] = relationship(back_populates="job")
    __table_args__ = (
        Index("job_state", "state", "not_before"),
        CheckConstraint("state IN ('queued', 'running', 'done', 'refused', 'dead')", name="job_state_known"),
    )


def _worse(context: Any) -> float | None:
    return worse_putamen(context.get_current_parameters()["ratios"])


def worse_putamen(ratios: dict[str, float] | None) -> float | None:
    """The lower of the two putaminal binding ratios, None where neither was measured."""
    found = [value for name, value in (ratios or {}).items() if name in ("putamen_left", "putamen_right")]
    return min(found, default=None)


def _urgency(context: Any) -> int:
    given = context.get_current_parameters()
    return urgency(bool(given.get("disagreement")), given["verdict"], given["passport"])


def urgency(disagreement: bool, verdict: str, passport: str) -> int:
    """How early a reading wants to be looked at: disagreements first, then uncertain ones, then unusual scans."""
    return 4 * disagreement + 2 * (verdict == "uncertain") + (passport != "in-distribution")


class ReadingRow(Base):
    """What the records show of a finished reading; the whole lies in its folder."""

    __tablename__ = "reading"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"), unique=True)
    owner_id: Mapped[str] = mapped_column(_ID, index=True)
    """Its upload's: lists of very many readings need not ask for their uploads."""
    current: Mapped[bool] = mapped_column(default=True)
    """False once another reading of the scan has taken its place."""
    pseudonym: Mapped[str] = mapped_column(String(32), index=True)
    created: Mapped[float] = mapped_column(Float)
    verdict: Mapped[str] = mapped_column(String(16), index=True)
    passport: Mapped[str] = mapped_column(String(16))
    p_abnormal: Mapped[float | None] = mapped_column(Float, default=None)
    disagreement: Mapped[bool] = mapped_column(default=False)
    camera: Mapped[str] = mapped_column(String(120), default="")
    ratios: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)
    """Region -> binding ratio, of those that were measured."""
    worse_putamen: Mapped[float | None] = mapped_column(Float, default=_worse)
    urgency: Mapped[int] = mapped_column(Integer, default=_urgency)
    """Follows from the columns above, as `worse_putamen` does: lists of very many readings ask for both."""
    sha256: Mapped[str] = mapped_column(String(64))
    upload: Mapped[Upload] = relationship(back_populates="reading")


Index("reading_urgency", ReadingRow.urgency.desc(), ReadingRow.created, ReadingRow.id)


class Note(Base):
    """A comment, a signature or an addendum; nothing is ever changed or removed."""

    __tablename__ = "note"
    id: Mapped[str] = mapped_column(_ID, primary_key=True, default=new_id)
    reading_id: Mapped[str] = mapped_column(ForeignKey("reading.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    created: Mapped[float] = mapped_column(Float, default=time.time)
    kind: Mapped[str] = mapped_column(String(12))
    text: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(String(16), default=None)
    """Of a signature: what its author reads, one of `LABELS`."""
    confidence: Mapped[int | None] = mapped_column(Integer, default=None)
    """Of a signature: 1 (a guess) to 5 (certain)."""
    user: Mapped[User] = relationship(lazy="joined")
    __table_args__ = (CheckConstraint("kind IN ('comment', 'signature', 'addendum')", name="note_kind"),)


class AuditEntry(Base):
    """One line of the audit trail; each holds the digest of the one before."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Float)
    actor: Mapped[str] = mapped_column(String(32))
    """Id of the user; `-` for nobody, `system` for a worker."""
    action: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(String(80))
    detail: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
