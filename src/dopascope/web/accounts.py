"""Accounts: the first one by a setup token, others by invitation or by themselves; log-in, log-out, password."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Final, cast

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from flask import session as browser_session
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from dopascope.errors import UsageError
from dopascope.web import audit, limiter, passwords, sessions
from dopascope.web.access import ADMINISTRATORS, ANYONE, SIGNED_IN, allow, any_user, database, known, settings, who
from dopascope.web.api import tokens
from dopascope.web.forms import AccountForm, InviteForm, LoginForm, OnlyToken, PasswordForm, SetupForm, TokenForm
from dopascope.web.settings import SETUP_FILE
from dopascope.web.tables import ROLES, Invitation, Role, User

blueprint = Blueprint("accounts", __name__)
INVITATION_S: Final = 7 * 24 * 3600.0
NO_ENTRY: Final = "This user name and password do not belong together."
"""The same whether the name is unknown, the password wrong, or the account disabled."""


def note(session: Session, action: str, target: str = "", *, actor: str | None = None, **detail: object) -> None:
    """A line of the audit trail by the user of this request."""
    audit.add(session, settings().secret("audit"), actor or who().id, action, target, **detail)


@blueprint.route("/setup", methods=["GET", "POST"])
@allow(ANYONE)
def setup() -> Response | str:
    """The first account, an administrator's; there is no such page afterwards."""
    with database().read() as session:
        if any_user(session):
            abort(404)
    form = SetupForm(token=request.args.get("token", "")) if request.method == "GET" else SetupForm()
    if not form.validate_on_submit():
        return render_template("setup.html", form=form)
    path = settings().data / SETUP_FILE
    expected = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not expected or not hmac.compare_digest(form.token.data.strip().encode(), expected.encode()):
        form.token.errors = ["This is not the token that the server printed."]
        return render_template("setup.html", form=form)
    try:
        user = _make(form.name.data, form.password.data, "administrator", first=True)
    except UsageError as error:
        return render_template("setup.html", form=form, error=error)
    path.unlink(missing_ok=True)
    return _welcome(user)


@blueprint.route("/login", methods=["GET", "POST"])
@allow(ANYONE)
def login() -> Response | str | tuple[str, int]:
    """Name and password; as slow and as silent for names that do not exist."""
    with database().read() as session:
        if not any_user(session):
            return redirect(url_for("accounts.setup"))
    form = LoginForm()
    open_ = settings().registration == "open"
    if not form.validate_on_submit():
        return render_template("login.html", form=form, open=open_)
    keys = limiter.keys_of(form.name.data, request.remote_addr or "unknown")
    with database().write() as session:
        wait = limiter.wait_s(session, keys)
        if wait <= 0:
            limiter.failed(session, keys)  # taken back below; tries at the same moment count too
    if wait > 0:
        flash(f"Too many tries. Wait {wait:.0f} s, then try again.", "alarm")
        return render_template("login.html", form=form, open=open_), 429
    with database().read() as session:
        user = session.scalars(select(User).where(User.key == form.name.data.lower())).first()
    good = passwords.matches(None if user is None or user.disabled else user.password_hash, form.password.data)
    if user is None or not good:
        with database().write() as session:
            note(session, "log in failed", actor="-", account="known" if user else "unknown")
        flash(NO_ENTRY, "alarm")
        return render_template("login.html", form=form, open=open_), 401
    with database().write() as session:
        limiter.succeeded(session, keys)
        mine = session.get_one(User, user.id)
        if passwords.outdated(mine.password_hash):
            mine.password_hash = passwords.hashed(form.password.data)
        sessions.sweep(session, settings())
        note(session, "log in", user.id, actor=user.id)
    return _welcome(user)


@blueprint.post("/logout")
@allow(SIGNED_IN)
def logout() -> Response:
    """End this session, on the server and in the browser."""
    with database().write() as session:
        sessions.end(session, who().token)
        note(session, "log out", who().id)
    browser_session.clear()
    answer = redirect(url_for("accounts.login"))
    answer.delete_cookie(sessions.cookie_name(settings()), secure=settings().secure, httponly=True, samesite="Lax")
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@blueprint.route("/register", methods=["GET", "POST"])
@allow(ANYONE)
def register() -> Response | str:
    """An account by oneself, where the installation allows it."""
    if settings().registration != "open":
        abort(404)
    return _register(None)


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
@allow(ANYONE)
def invitation(token: str) -> Response | str:
    """An account by invitation, once."""
    with database().read() as session:
        if _good(session, token) is None:
            abort(404)
    return _register(token)


def _register(token: str | None) -> Response | str:
    form = AccountForm()
    if not form.validate_on_submit():
        return render_template("register.html", form=form)
    try:
        user = _make(form.name.data, form.password.data, "reader", token=token)
    except UsageError as error:
        return render_template("register.html", form=form, error=error)
    return _welcome(user)


def _good(session: Session, token: str) -> Invitation | None:
    found = session.get(Invitation, sessions.digest(token))
    return None if found is None or found.used is not None or found.expires < time.time() else found


def _make(name: str, password: str, role: Role, *, first: bool = False, token: str | None = None) -> User:
    """Make an account.

    Raises:
        UsageError: the password cannot be used, the name is taken, or the invitation is used up.
    """
    passwords.check(password, name)
    stored = passwords.hashed(password)
    with database().write() as session:
        if first and any_user(session):
            abort(404)
        if token is not None:
            invited = _good(session, token)
            if invited is None:
                abort(404)
            invited.used = time.time()
            role = cast(Role, invited.role)
        if session.scalars(select(User.id).where(User.key == name.lower())).first():
            raise UsageError(
                "This user name is taken.", where="name", found=name, expected="a new name", fix="Choose another one."
            )
        user = User(name=name, key=name.lower(), password_hash=stored, role=role)
        session.add(user)
        session.flush()
        note(session, "account made", user.id, actor=user.id, role=role)
        return user


def _welcome(user: User) -> Response:
    """A new session under a new token, whatever the browser had before."""
    before = known()
    with database().write() as session:
        if before is not None:
            sessions.end(session, before.token)
        token = sessions.open_for(session, user)
    browser_session.clear()  # the token of forms changes too
    answer = make_response(redirect(_target()))
    answer.set_cookie(
        sessions.cookie_name(settings()),
        token,
        max_age=int(3600 * settings().session_hours),
        secure=settings().secure,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return answer


def _target() -> str:
    """Where the user was going, if that is a page of ours."""
    wanted = request.args.get("to", "")
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and "\\" not in wanted
    return wanted if ours else url_for("history.shown")


@blueprint.route("/account", methods=["GET", "POST"])
@allow(SIGNED_IN)
def account() -> Response | str:
    """One's own account: password and sessions."""
    form = PasswordForm()
    error = None
    if form.validate_on_submit():
        error = _change_password(form)
        if error is None:
            flash("The password was changed; all other sessions and all tokens were ended.", "good")
            return redirect(url_for("accounts.account"))
    return account_page(form, error=error)


def account_page(form: PasswordForm, token_form: TokenForm | None = None, **shown: object) -> str:
    """One's own account, with the forms as they were filled in."""
    with database().read() as session:
        own, held = sessions.of_user(session, who().id), tokens.of_user(session, who().id)
    return render_template(
        "account.html",
        form=form,
        token_form=token_form or TokenForm.of(who().role, empty=True),
        own=own,
        tokens=held,
        now=time.time(),
        this=sessions.digest(who().token),
        **shown,
    )


def password_trouble(given: str) -> str:
    """Why a password that was asked again is not taken; empty where it is that of the user of this request."""
    keys = limiter.keys_of(who().name, request.remote_addr or "unknown")
    with database().write() as session:
        stored = session.get_one(User, who().id).password_hash
        wait = limiter.wait_s(session, keys)
        if wait <= 0:
            limiter.failed(session, keys)  # taken back below; tries at the same moment count too
    if wait > 0:
        return f"Too many tries. Wait {wait:.0f} s, then try again."
    if not passwords.matches(stored, given):
        return "This is not your password."
    with database().write() as session:
        limiter.succeeded(session, keys)
    return ""


def _change_password(form: PasswordForm) -> UsageError | None:
    trouble = password_trouble(form.old.data)
    if trouble:
        return UsageError(trouble, where="password", fix="Give the password that you log in with.")
    try:
        passwords.check(form.new.data, who().name)
    except UsageError as error:
        return error
    stored = passwords.hashed(form.new.data)
    with database().write() as session:
        user = session.get_one(User, who().id)
        user.password_hash = stored
        ended = sessions.end_all(session, user.id, but=who().token)
        over = tokens.end_all(session, user.id)
        note(session, "password changed", user.id, sessions_ended=ended, tokens_ended=over)
    return None


@blueprint.post("/account/sessions/end")
@allow(SIGNED_IN)
def end_sessions() -> Response:
    """End all other sessions of one's own."""
    with database().write() as session:
        ended = sessions.end_all(session, who().id, but=who().token)
        note(session, "sessions ended", who().id, sessions_ended=ended)
    flash(f"Other sessions ended: {ended}.", "good")
    return redirect(url_for("accounts.account"))


@blueprint.get("/users")
@allow(ADMINISTRATORS)
def users() -> str:
    """All accounts."""
    with database().read() as session:
        found = all_users(session)
    return render_template("users.html", users=found, roles=ROLES, form=InviteForm(), button=OnlyToken())


def all_users(session: Session) -> list[User]:
    """All accounts by name."""
    return list(session.scalars(select(User).order_by(User.name, User.id)))


@blueprint.post("/users/invite")
@allow(ADMINISTRATORS)
def invite() -> Response | str:
    """Make an invitation; its address is shown once."""
    form = InviteForm()
    if not form.validate_on_submit():
        abort(400)
    token, now = secrets.token_urlsafe(32), time.time()
    with database().write() as session:
        invited = Invitation(
            id=sessions.digest(token),
            role=form.role.data,
            invited_by=who().id,
            created=now,
            expires=now + INVITATION_S,
        )
        session.add(invited)
        note(session, "invitation made", role=form.role.data)
    return render_template("invited.html", url=url_for("accounts.invitation", token=token, _external=True))


@blueprint.post("/users/<user_id>/<change>")
@allow(ADMINISTRATORS)
def change_user(user_id: str, change: str) -> Response:
    """Disable or enable an account, or give it another role; its sessions and tokens end."""
    try:
        flash(f"{change_account(user_id, change).name}: {change}.", "good")
    except UsageError as error:
        flash(error.what, "alarm")
    return redirect(url_for("accounts.users"))


def change_account(user_id: str, change: str) -> User:
    """Change another one's account as the user of this request says.

    Raises:
        UsageError: it is his own.
    """
    if user_id == who().id:
        raise UsageError("Your own account is changed by another administrator.", where="account")
    with database().write() as session:
        user = session.get(User, user_id)
        if user is None:
            abort(404)
        if change in ("disable", "enable"):
            user.disabled = change == "disable"
        elif change in ROLES:
            user.role = change
        else:
            abort(404)
        sessions.end_all(session, user.id)
        tokens.end_all(session, user.id)
        note(session, "account changed", user.id, change=change)
        return user
