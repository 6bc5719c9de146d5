"""Every bound that a read is held to before it allocates. Each is a named setting with a default and a reason."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from dopascope.errors import UsageError

MIB = 1 << 20


def _limit(default: int, help: str) -> int:
    chosen: int = field(default=default, metadata={"help": help})
    return chosen


@dataclass(frozen=True)
class Limits:
    """Bounds on one read; pass a changed copy to any reader, or `--limit NAME=VALUE` on the command line."""

    max_file_bytes: int = _limit(1024 * MIB, "largest single file that is opened")
    max_volume_bytes: int = _limit(512 * MIB, "largest array that one image may claim, at its stored voxel type")
    max_inflated_bytes: int = _limit(1024 * MIB, "most bytes that gzip, deflate or zip content may grow to, in all")
    max_inflation_ratio: int = _limit(200, "most bytes that one stored zip byte may become")
    max_pixels: int = _limit(16_000_000, "most pixels in a PNG or JPEG")
    max_files: int = _limit(20_000, "most files in a folder or zip")
    max_nesting: int = _limit(32, "deepest nesting of DICOM sequences")
    max_elements: int = _limit(200_000, "most data elements in one DICOM file")
    max_frames: int = _limit(20_000, "most frames in one multi-frame DICOM file")

    def with_settings(self, settings: list[str]) -> Limits:
        """A copy with `NAME=VALUE` settings applied.

        Raises:
            UsageError: an unknown name, or a value that is not a positive whole number.
        """
        known = [one.name for one in fields(self)]
        changed: dict[str, int] = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in known or not value.isdecimal() or int(value) < 1:
                raise UsageError(
                    "A limit cannot be set like this.",
                    where="--limit",
                    found=setting,
                    expected="NAME=VALUE with a positive whole number; names: " + ", ".join(known),
                    fix="Correct the name or the value.",
                )
            changed[name] = int(value)
        return replace(self, **changed)
