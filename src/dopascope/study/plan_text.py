"""The content of a plan as TOML that reads back the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def toml_of(content: Mapping[str, Any]) -> str:
    """The content of a plan as TOML; `plan.parse` says whether it can be meant."""
    return _table(content, ())


def _table(content: Mapping[str, Any], at: tuple[str, ...]) -> str:
    lines, blocks = [], []
    for key, value in content.items():
        if isinstance(value, Mapping) and not _inline(at, key):
            blocks.append(f"\n[{'.'.join((*at, _key(key)))}]\n" + _table(value, (*at, _key(key))))
        elif key == "members":
            blocks += [_member(one) for one in value]
        else:
            lines.append(f"{_key(key)} = {_value(value)}\n")
    return "".join(lines) + "".join(blocks)


def _inline(at: tuple[str, ...], key: str) -> bool:
    return bool(at) and at[0] == "members" and key not in ("training", "extra")


def _member(member: Mapping[str, Any]) -> str:
    return "\n[[members]]\n" + _table(member, ("members",))


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return repr(value)
