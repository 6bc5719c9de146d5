"""Every failure a user can meet, in one shape: what, where, found, expected, and what to do.

The command line prints it, the web page shows it and `--json` returns it, all from the same fields.
Anything else that escapes is our own fault (exit code 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


class DopascopeError(Exception):
    """An error with everything a stranger needs to mend it.

    Args:
        what: one sentence that says what went wrong.
        where: the file, option, tag or field concerned.
        found: the value met, with its unit.
        expected: the value or range that would have been accepted.
        fix: what to do now, as an order.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = "",
        found: object = "",
        expected: object = "",
        fix: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where)
        self.found = str(found)
        self.expected = str(expected)
        self.fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes send errors home: keep the fields through pickle.
        return _rebuild, (type(self), self.what, self.fields())

    def fields(self) -> dict[str, str]:
        """The parts that are not empty, without `what`, in reading order."""
        parts = {"where": self.where, "found": self.found, "expected": self.expected, "fix": self.fix}
        return {name: value for name, value in parts.items() if value}

    def as_dict(self) -> dict[str, str]:
        """The error as JSON-ready data: `code`, `what` and the parts present."""
        return {"code": self.code, "what": self.what, **self.fields()}

    def __str__(self) -> str:
        lines = [self.what, *(f"  {name:<8} {value}" for name, value in self.fields().items())]
        return "\n".join(lines)


def _rebuild(kind: type[DopascopeError], what: str, fields: dict[str, str]) -> DopascopeError:
    error = kind(what)
    for name, value in fields.items():
        setattr(error, name, value)
    return error


class UsageError(DopascopeError):
    """An argument, option or setting that cannot be meant."""

    code = "usage"
    exit_code = 2


def by_name(known: Mapping[str, T], name: str, *, kind: str, where: str) -> T:
    """What has this name.

    Raises:
        UsageError: nothing has; it says what names there are.
    """
    if name not in known:
        raise UsageError(
            f"There is no such {kind}.",
            where=where,
            found=name,
            expected=", ".join(known),
            fix="Choose one of these names.",
        )
    return known[name]


class MissingExtraError(DopascopeError):
    """A verb needs an optional part of the installation, such as `[learn]`."""

    code = "missing-extra"
    exit_code = 2


class SomeScansFailedError(DopascopeError):
    """A batch ended; some scans failed and each is recorded."""

    code = "some-failed"
    exit_code = 3


class InputError(DopascopeError):
    """The input cannot be read. Base of the four kinds below."""

    code = "input"
    exit_code = 4


class UnreadableError(InputError):
    """The bytes are damaged, truncated or contradict themselves."""

    code = "unreadable"


class UnsupportedError(InputError):
    """A sound file of a kind that is refused by name, with the reason."""

    code = "unsupported"


class HostileError(InputError):
    """Reading on would cost more memory, time or trust than a named limit allows."""

    code = "hostile"


class GeometryError(InputError):
    """Position, orientation or spacing is missing, uneven or contradictory."""

    code = "geometry"


class AmbiguousError(InputError):
    """Several series are here and none is clearly meant."""

    code = "ambiguous"


class UnsuitableError(InputError):
    """A readable image that is not fit for what was asked of it."""

    code = "unsuitable"


class BundleError(DopascopeError):
    """A saved predictor is damaged, changed, or made for something else."""

    code = "bundle"
    exit_code = 4


class LeakError(DopascopeError):
    """People, or images made of them, stand on both sides of a split."""

    code = "leak"
    exit_code = 4


class ChangedError(DopascopeError):
    """A sealed report is not what the installation sealed."""

    code = "changed"
    exit_code = 4


class AuditError(DopascopeError):
    """A line of the audit trail was changed, removed or moved."""

    code = "audit"
    exit_code = 4
