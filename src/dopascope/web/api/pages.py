"""The account page's part on tokens: made with the password asked again, shown once, ended by a button."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, flash, redirect, url_for
from werkzeug.wrappers import Response

from dopascope.errors import UsageError
from dopascope.web.access import SIGNED_IN, allow, database, who
from dopascope.web.accounts import account_page, note, password_trouble
from dopascope.web.api import tokens
from dopascope.web.forms import PasswordForm, TokenForm
from dopascope.web.sessions import digest
from dopascope.web.tables import User

blueprint = Blueprint("tokens", __name__)
SHOWN: Final = 16
"""Digits of a token's digest that the audit trail knows it by."""


@blueprint.post("/account/tokens")
@allow(SIGNED_IN)
def make() -> str:
    """Make a token; it is shown once."""
    form, other = TokenForm.of(who().role), PasswordForm(formdata=None)
    if not form.validate_on_submit():
        return account_page(other, form)
    trouble = password_trouble(form.password.data)
    if trouble:
        form.password.errors = [trouble]
        return account_page(other, form)
    try:
        with database().write() as session:
            user = session.get_one(User, who().id)
            token = tokens.make(session, user, form.name.data, form.scopes.data, form.days.data)
            note(session, "token made", digest(token)[:SHOWN], scopes=form.scopes.data, days=form.days.data)
    except UsageError as error:
        return account_page(other, form, token_error=error)
    return account_page(other, token=token)


@blueprint.post("/account/tokens/<token_id>/end")
@allow(SIGNED_IN)
def end(token_id: str) -> Response:
    """End one of one's own tokens."""
    with database().write() as session:
        if not tokens.end(session, who().id, token_id):
            abort(404)
        note(session, "token ended", token_id[:SHOWN])
    flash("The token was ended.", "good")
    return redirect(url_for("accounts.account"))
