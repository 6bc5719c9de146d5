"""The forms of the pages: what each takes, and nothing else."""

from __future__ import annotations

from typing import Final

from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import (
    DecimalField,
    IntegerField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    TextAreaField,
)
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from dopascope.web.api.tokens import LONGEST_DAYS, SCOPES
from dopascope.web.passwords import LONGEST
from dopascope.web.tables import ROLES, Role

_NAME = [
    DataRequired("Give a user name."),
    Length(2, 64, "2 to 64 characters."),
    Regexp(r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", message="Letters, digits and . _ @ - only."),
]
_ANY_PASSWORD = [DataRequired("Give a password."), Length(max=LONGEST, message=f"{LONGEST} characters at most.")]


def _without_nul(text: str | None) -> str | None:
    """PostgreSQL stores any character but this one."""
    return None if text is None else text.replace("\0", "")


class LoginForm(FlaskForm):  # type: ignore[misc]
    """Name and password."""

    name = StringField("User name", [DataRequired("Give a user name."), Length(max=64)], filters=[_without_nul])
    password = PasswordField("Password", _ANY_PASSWORD)
    submit = SubmitField("Log in")


class AccountForm(FlaskForm):  # type: ignore[misc]
    """A new account. The role is never asked for: it follows from the invitation."""

    name = StringField("User name", _NAME)
    password = PasswordField("Password", _ANY_PASSWORD)
    submit = SubmitField("Make the account")


class SetupForm(AccountForm):
    """The first account."""

    token = StringField("Setup token", [DataRequired("Give the token that the server printed.")])


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """Another password."""

    old = PasswordField("Password now", _ANY_PASSWORD)
    new = PasswordField("New password", _ANY_PASSWORD)
    submit = SubmitField("Change the password")


SCOPE_LABELS: Final = {
    "read": "read what I may see",
    "upload": "upload scans",
    "annotate": "add comments and addenda",
    "admin": "administer accounts and the queue",
}


class TokenForm(FlaskForm):  # type: ignore[misc]
    """A token of the programming interface: the password is asked again."""

    name = StringField(
        "What it is for", [DataRequired("Give it a name."), Length(max=64)], filters=[_without_nul], default=""
    )
    scopes = SelectMultipleField(
        "What it may do",
        [DataRequired("Choose at least one.")],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    days = IntegerField(
        "Days until it ends",
        [InputRequired("Give a number of days."), NumberRange(1, LONGEST_DAYS, f"1 to {LONGEST_DAYS} days.")],
        default=90,
    )
    password = PasswordField("Your password", _ANY_PASSWORD)
    submit = SubmitField("Make a token")

    @classmethod
    def of(cls, role: Role, *, empty: bool = False) -> TokenForm:
        """The form as a role may fill it in; `empty` where another form of the page was sent."""
        made = cls(formdata=None) if empty else cls()
        made.scopes.choices = [(one, SCOPE_LABELS[one]) for one in SCOPES[role]]
        return made


class InviteForm(FlaskForm):  # type: ignore[misc]
    """An invitation."""

    role = SelectField("Role", choices=[(one, one) for one in ROLES])
    submit = SubmitField("Make an invitation")


class UploadForm(FlaskForm):  # type: ignore[misc]
    """Scans to read."""

    files = MultipleFileField("Scan: a DICOM or NIfTI file, all files of a series, or a zip")
    age = DecimalField("Age, years", [Optional(), NumberRange(0, 120, "0 to 120 years.")])
    sex = SelectField(
        "Sex",
        choices=[("", "as the file says"), ("F", "female"), ("M", "male")],
        default="",
        coerce=lambda one: one or "",
    )
    submit = SubmitField("Read")


class NoteForm(FlaskForm):  # type: ignore[misc]
    """A comment, or after the signature an addendum."""

    text = TextAreaField("Comment", [DataRequired("Write something."), Length(max=4000)], filters=[_without_nul])
    submit = SubmitField("Add")


class SignForm(FlaskForm):  # type: ignore[misc]
    """A signature: the password is asked again."""

    conclusion = TextAreaField(
        "Conclusion", [DataRequired("Write what you conclude."), Length(max=4000)], filters=[_without_nul]
    )
    password = PasswordField("Your password", _ANY_PASSWORD)
    submit = SubmitField("Sign")


class OnlyToken(FlaskForm):  # type: ignore[misc]
    """A button: the token against forged requests alone."""
