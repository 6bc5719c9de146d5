"""The image and the examples of docs/cloud.md name files, users, options and addresses that exist."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from dopascope.cli.app import app
from dopascope.web.settings import MIB, Settings

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = REPOSITORY / "docs" / "examples"
TEXT = re.sub(r"\\\n\s*", "", (REPOSITORY / "Dockerfile").read_text())
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def instructions(name: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in LINES if line.split()[0] == name]


def parsed(words: list[str]) -> Any:
    """The words of a command as the program takes them; an unknown verb or option is an error."""
    command, rest, name = get_command(app), list(words), "dopascope"
    while hasattr(command, "commands"):
        name = rest.pop(0)
        command = command.commands[name]
    return command.make_context(name, rest)


def allowed(path: str) -> bool:
    """Whether .dockerignore lets a file of the repository through."""
    let = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or line.startswith("#"):
            continue
        if fnmatch(path, pattern.removeprefix("**/")) or path == pattern or path.startswith(f"{pattern}/"):
            let = line.startswith("!")
    return let


def test_everything_that_is_copied_is_there_and_sent_to_the_builder() -> None:
    sources = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert {"src", "pyproject.toml", "constraints/cpu.txt"} <= set(sources)
    assert [one for one in sources if not (REPOSITORY / one).exists()] == []
    assert [one for one in sources if not allowed(one)] == []
    assert not allowed("tests/conftest.py")
    assert not allowed(".git/config")


def test_it_runs_as_nobody_in_particular_and_writes_to_one_volume() -> None:
    last = TEXT[TEXT.rindex("FROM ") :]
    assert re.search(r"^USER 10001$", last, re.M)
    assert "--uid 10001" in last
    assert instructions("VOLUME") == ["/data"]
    assert "chmod 777" not in TEXT


def test_its_health_is_asked_without_another_program() -> None:
    command = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert f"http://127.0.0.1:{Settings(Path('/data')).port}/healthz" in command[2]
    assert instructions("EXPOSE") == [str(Settings(Path("/data")).port)]


def test_it_is_installed_from_a_wheel_with_the_runtime_that_was_asked_for() -> None:
    assert "ONNXRUNTIME=onnxruntime" in instructions("ARG")
    steps = " ".join(instructions("RUN"))
    assert "pip wheel" in steps
    assert "-c constraints/cpu.txt" in steps
    assert "onnxruntime-gpu" in steps


def test_what_it_does_unless_told_otherwise_is_a_command_of_ours() -> None:
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["dopascope"]
    told = parsed(json.loads(instructions("CMD")[0]))
    assert told.info_name == "serve"
    Settings(data=told.params["data"], host=told.params["host"]).check()


def compose() -> dict[str, Any]:
    text = (EXAMPLES / "compose.yaml").read_text().replace("${NAME:?}", "scans.example.org")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize("name", ["server", "worker"])
def test_a_service_of_the_example_is_a_command_of_ours_and_may_not_write_elsewhere(name: str) -> None:
    service = compose()["services"][name]
    told = parsed(service["command"])
    assert told.params["data"] == Path("/data")
    assert told.params["database"].startswith("postgresql+psycopg://")
    assert service["read_only"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["volumes"] == ["data:/data"]
    assert "ports" not in service
    assert (EXAMPLES / service["build"] / "Dockerfile").resolve() == REPOSITORY / "Dockerfile"


def test_the_example_s_server_starts_with_its_settings_and_leaves_the_work_to_workers() -> None:
    told = parsed(compose()["services"]["server"]["command"]).params
    Settings(
        data=told["data"],
        host=told["host"],
        behind_proxy=told["behind_proxy"],
        trusted_hosts=tuple(told["trusted_host"]),
        workers=told["workers"],
    ).check()
    assert told["workers"] == 0


def test_no_password_stands_in_the_example() -> None:
    text = (EXAMPLES / "compose.yaml").read_text()
    assert re.findall(r"PASSWORD: (.*)", text) == ["${DATABASE_PASSWORD:?}"] * 2
    assert not re.search(r"://\w+:\w+@", text)


@pytest.mark.parametrize(
    ("name", "pattern"), [("Caddyfile", r"max_size (\d+)MiB"), ("nginx.conf", r"body_size (\d+)m;")]
)
def test_a_proxy_lets_the_largest_upload_through(name: str, pattern: str) -> None:
    found = re.search(pattern, (EXAMPLES / name).read_text())
    assert found
    assert int(found[1]) * MIB > Settings(Path("/data")).largest_upload


def test_nginx_sets_every_header_that_is_believed() -> None:
    text = (EXAMPLES / "nginx.conf").read_text()
    for name in ("For", "Proto", "Host"):
        assert len(re.findall(rf"proxy_set_header X-Forwarded-{name} +\$\w+;", text)) == 1
    assert "$proxy_add_x_forwarded_for" not in text


def test_commands_of_the_page_are_ours() -> None:
    text = (REPOSITORY / "docs" / "cloud.md").read_text()
    found = re.findall(r"^    (?:docker compose run --rm server|dopascope) (.+)$", text, re.M)
    assert len(found) >= 4
    for line in found:
        parsed(line.replace(" ...", "").split())
