"""The forms of the pages: what each takes, and nothing else."""

from __future__ import annotations

from typing import Final

from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import (
    DecimalField,
    FloatField,
    IntegerField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from dopascope.reading.counterfactual import NORMAL
from dopascope.web.api.tokens import LONGEST_DAYS, SCOPES
from dopascope.web.changes import CHANGEABLE, FURTHEST, Changeable
from dopascope.web.passwords import LONGEST
from dopascope.web.settings import Settings
from dopascope.web.tables import LABELS, ROLES, T1_LABELS, Role

_NAME = [
    DataRequired("Give a user name."),
    Length(2, 64, "2 to 64 characters."),
    Regexp(r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", message="Letters, digits and . _ @ - only."),
]
CONFIDENCE: Final = {1: "1: a guess", 2: "2: unsure", 3: "3: fairly sure", 4: "4: sure", 5: "5: certain"}
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

    role = SelectField("Role", choices=[SelectChoice(one) for one in ROLES])
    submit = SubmitField("Make an invitation")


class UploadForm(FlaskForm):  # type: ignore[misc]
    """Scans to read."""

    files = MultipleFileField("Scan: a DICOM or NIfTI file, all files of a series, or a zip")
    modality = SelectField(
        "What it is",
        choices=[
            SelectChoice("", "as the file says"),
            SelectChoice("dat", "dopamine transporter SPECT"),
            SelectChoice("t1", "T1-weighted MRI of the head"),
        ],
        default="",
        coerce=lambda one: one or "",
    )
    age = DecimalField("Age, years", [Optional(), NumberRange(0, 120, "0 to 120 years.")])
    sex = SelectField(
        "Sex",
        choices=[SelectChoice("", "as the file says"), SelectChoice("F", "female"), SelectChoice("M", "male")],
        default="",
        coerce=lambda one: one or "",
    )
    counterfactual = SelectField(
        "Simulation",
        choices=[SelectChoice("", "none"), SelectChoice(NORMAL, "this scan as an age-matched normal (DaT)")],
        default="",
        coerce=lambda one: one or "",
    )
    submit = SubmitField("Read")


class NoteForm(FlaskForm):  # type: ignore[misc]
    """A comment, or after the signature an addendum."""

    text = TextAreaField("Comment", [DataRequired("Write something."), Length(max=4000)], filters=[_without_nul])
    submit = SubmitField("Add")


class SignForm(FlaskForm):  # type: ignore[misc]
    """A signature: what one reads and how surely, and the password again."""

    label = SelectField(
        "You read it as",
        [DataRequired("Say what you read.")],
        choices=[SelectChoice("", "choose"), *(SelectChoice(one) for one in LABELS)],
    )
    confidence = SelectField(
        "How sure you are",
        [DataRequired("Say how sure you are.")],
        choices=[SelectChoice("", "choose"), *(SelectChoice(str(n), told) for n, told in CONFIDENCE.items())],
    )
    conclusion = TextAreaField(
        "Conclusion", [DataRequired("Write what you conclude."), Length(max=4000)], filters=[_without_nul]
    )
    password = PasswordField("Your password", _ANY_PASSWORD)
    submit = SubmitField("Sign")

    @classmethod
    def of(cls, *, t1: bool) -> SignForm:
        """The form with what may be read in a T1 MRI, or in a DaT SPECT."""
        made = cls()
        labels = T1_LABELS if t1 else [one for one in LABELS if one not in T1_LABELS or one == "unreadable"]
        made.label.choices = [SelectChoice("", "choose"), *(SelectChoice(one) for one in labels)]
        return made


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


def settings_form(held: Settings) -> FlaskForm:
    """A form of the settings that may be changed, filled with those that hold."""
    parts = {one.name: _setting(one) for one in CHANGEABLE} | {"submit": SubmitField("Save")}
    form: FlaskForm = type("SettingsForm", (FlaskForm,), parts)(data={one.name: one.shown(held) for one in CHANGEABLE})
    return form


def _setting(one: Changeable) -> SelectField | FloatField:
    if one.choices:
        return SelectField(one.title, choices=[SelectChoice(value) for value in one.choices])
    return FloatField(one.title, [InputRequired("Give a number."), NumberRange(one.low, one.high)])


class SimulateForm(FlaskForm):  # type: ignore[misc]
    """A wish for a simulation of a scan that was read without one."""

    age = DecimalField("Age, years", [Optional(), NumberRange(0, 120, "0 to 120 years.")])
    submit = SubmitField("Read again with a simulation")


class OnlyToken(FlaskForm):  # type: ignore[misc]
    """A button: the token against forged requests alone."""
