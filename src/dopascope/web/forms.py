"""The forms of the pages: what each takes, and nothing else."""

from __future__ import annotations

from typing import Final

from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import DecimalField, PasswordField, SelectField, StringField, SubmitField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length, NumberRange, Optional, Regexp

from dopascope.web.passwords import LONGEST
from dopascope.web.tables import ROLES

_NAME = [
    DataRequired("Give a user name."),
    Length(2, 64, "2 to 64 characters."),
    Regexp(r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", message="Letters, digits and . _ @ - only."),
]
FURTHEST: Final = 30.0
"""Millimetres or degrees of one correction by hand; beyond it the scan lies wrong in its file."""
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


class InviteForm(FlaskForm):  # type: ignore[misc]
    """An invitation."""

    role = SelectField("Role", choices=[SelectChoice(one) for one in ROLES])
    submit = SubmitField("Make an invitation")


class UploadForm(FlaskForm):  # type: ignore[misc]
    """Scans to read."""

    files = MultipleFileField("Scan: a DICOM or NIfTI file, all files of a series, or a zip")
    age = DecimalField("Age, years", [Optional(), NumberRange(0, 120, "0 to 120 years.")])
    sex = SelectField(
        "Sex",
        choices=[SelectChoice("", "as the file says"), SelectChoice("F", "female"), SelectChoice("M", "male")],
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


def _by_hand(label: str, unit: str) -> DecimalField:
    told = f"-{FURTHEST:g} to {FURTHEST:g} {unit}."
    return DecimalField(label, [Optional(), NumberRange(-FURTHEST, FURTHEST, told)], default=0)


class AdjustForm(FlaskForm):  # type: ignore[misc]
    """A correction of the registration: how the scan, seen on the template, is moved and turned."""

    right = _by_hand("To the patient's right, mm", "mm")
    front = _by_hand("To the front, mm", "mm")
    up = _by_hand("Up, mm", "mm")
    nod = _by_hand("About the left-right axis, degrees", "degrees")
    tilt = _by_hand("About the back-front axis, degrees", "degrees")
    turn = _by_hand("About the down-up axis, degrees", "degrees")
    submit = SubmitField("Read again")

    @property
    def shift_mm(self) -> tuple[float, float, float]:
        """Right, forward, up."""
        return _number(self.right), _number(self.front), _number(self.up)

    @property
    def rotate_deg(self) -> tuple[float, float, float]:
        """About the x, y and z axis, right-handed."""
        return _number(self.nod), _number(self.tilt), _number(self.turn)


def _number(field: DecimalField) -> float:
    return float(field.data or 0)


class OnlyToken(FlaskForm):  # type: ignore[misc]
    """A button: the token against forged requests alone."""
