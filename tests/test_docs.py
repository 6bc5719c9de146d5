"""The documentation is true: every command, option, error, limit and dependency has its line."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from dopascope import errors
from dopascope.cli.app import app
from dopascope.formats.limits import Limits

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"


def commands(group, path=()):  # type: ignore[no-untyped-def]
    """Every (path, command) of the program."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = list(commands(get_command(app)))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_and_option_is_documented(path: tuple[str, ...], command: object) -> None:
    text = (DOCS / "commands.md").read_text()
    assert f"dopascope {path[0]}" in text
    assert path[-1] in text
    options = [option for parameter in command.params for option in parameter.opts + parameter.secondary_opts]  # type: ignore[attr-defined]
    missing = [option for option in options if option.startswith("--") and f"`{option}" not in text]
    assert missing == []
    assert "Example" in command.help, "help texts show an example"  # type: ignore[attr-defined]


def test_every_error_is_documented_with_its_code() -> None:
    text = (DOCS / "errors.md").read_text()
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    rows = [f"| `{kind.__name__}` | `{kind.code}` | {kind.exit_code} |" for kind in kinds]
    assert [row for row in rows if row not in text] == []


def test_every_limit_is_documented_with_its_default() -> None:
    text = (DOCS / "formats.md").read_text()
    rows = [f"| `{one.name}` | {one.default:,} |" for one in dataclasses.fields(Limits)]
    assert [row for row in rows if row not in text] == []


def test_every_dependency_has_a_row() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    text = (DOCS / "dependencies.md").read_text()
    names = {re.split(r"[<>=!\[ ]", requirement)[0] for requirement in wanted}
    assert [name for name in sorted(names) if f"\n| {name} " not in text] == []


@pytest.mark.parametrize("page", sorted([*DOCS.glob("*.md"), *REPOSITORY.glob("*.md")]), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]
    assert [target for target in local if not (page.parent / target).exists()] == []
