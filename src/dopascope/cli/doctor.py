"""`dopascope doctor`: is this installation whole, and what to do where it is not."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import typer

from dopascope import __version__
from dopascope.cli import options
from dopascope.cli.serve import (
    PACKAGES,
    DataOption,
    HostOption,
    ProxyOption,
    TrustedOption,
    default_data,
    require_web,
)
from dopascope.cli.talk import as_json, data, say, verb
from dopascope.errors import DopascopeError

CORE: Final = (
    *("numpy", "scipy", "nibabel", "pydicom", "SimpleITK", "onnxruntime"),
    *("pydantic", "jinja2", "reportlab", "PIL", "platformdirs"),
)
LEARN: Final = ("torch", "onnx", "onnxscript")
FREE_BYTES: Final = 1 << 30
"""Less free space than this is worth a warning: a report is 2 MB, a converted set of networks 12 MB."""


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, how it stands, and what to do where it does not."""

    check: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    fix: str = ""


@verb
def doctor(
    models_dir: options.ModelsDirOption = None,
    folder: DataOption = None,
    host: HostOption = "127.0.0.1",
    behind_proxy: ProxyOption = False,
    trusted_host: TrustedOption = [],  # noqa: B006  (typer copies it)
    json: options.JsonOption = False,
) -> None:
    """Check this installation: packages, data, models, folders, web app, and one simulated scan read end to end.

    Exit code 1 where something failed; 2 where the web app would refuse to answer at --host.

    Examples: dopascope doctor; dopascope doctor --data /srv/dopascope --behind-proxy --trusted-host scans.example.org
    """
    web = _web_app(folder, host, behind_proxy, tuple(trusted_host))
    checks: dict[str, Callable[[], Finding]] = {
        "program": _python,
        "packages": _core_packages,
        "extra [learn]": _learn_extra,
        "folders": _folders,
        "atlas, template": _atlas,
        "models": lambda: _models(models_dir),
        "web app": lambda: web,
        "reading": lambda: _reads_a_scan(models_dir),
    }
    found = [_run(name, check) for name, check in checks.items()]
    if json:
        data(as_json([asdict(one) for one in found]))
    else:
        for one in found:
            data(f"{one.status:<8} {one.check:<18} {one.detail}")
            if one.fix:
                data(f"{'':<8} {'':<18} -> {one.fix}")
    if any(one.status == "failed" for one in found):
        say("Something is wrong with this installation; the lines above say what to do.")
        raise typer.Exit(1)


def _run(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except DopascopeError as error:
        return Finding(name, "failed", f"{error.what} ({error.where})" if error.where else error.what, error.fix)


def _python() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    detail = f"dopascope {__version__}, Python {platform.python_version()} on {sys.platform}, {cores} cores"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("program", "ok", detail)
    return Finding("program", "warning", detail, "Tested are Python 3.11 to 3.13.")


def _core_packages() -> Finding:
    from dopascope.bundle import runtime

    broken = []
    for name in CORE:
        try:
            if name == "onnxruntime":
                runtime.onnxruntime()
            else:
                import_module(name)
        except ImportError as error:
            broken.append(f"{name} ({error})")
    if broken:
        return Finding(
            "packages", "failed", "cannot be loaded: " + ", ".join(broken), "pip install --upgrade dopascope"
        )
    return Finding("packages", "ok", f"all {len(CORE)} core packages load")


def _learn_extra() -> Finding:
    missing = [name for name in LEARN if find_spec(name) is None]
    if missing:
        return Finding(
            "extra [learn]",
            "ok",
            f"not installed ({', '.join(missing)}): reading needs none of it; converting networks does",
        )
    return Finding("extra [learn]", "ok", "installed: published networks can be converted")


def _folders() -> Finding:
    where = Path(tempfile.gettempdir())
    free = shutil.disk_usage(where).free
    with tempfile.NamedTemporaryFile() as probe:
        probe.write(b"x")
    detail = f"temporary folder writable, {free / (1 << 30):.1f} GiB free"
    if free < FREE_BYTES:
        return Finding("folders", "warning", detail, "Free some space, or set TMPDIR to a larger disk.")
    return Finding("folders", "ok", detail)


def _atlas() -> Finding:
    from dopascope import atlas, space

    labels = atlas.striatum_labels()
    template = space.dat_template()
    return Finding(
        "atlas, template", "ok", f"{len(labels.names)} regions, template {template.grid.shape} on the MNI grid"
    )


def _models(models_dir: Path | None) -> Finding:
    from dopascope.bundle import store

    found = store.list_models(models_dir)
    where = models_dir or store.default_models_dir()
    if store.default_readers(models_dir) == [store.SHIPPED_READER]:
        return Finding(
            "models",
            "ok",
            f"none added in {where}: `read` asks {store.SHIPPED_READER}, which has seen simulated scans only, and the "
            "binding-ratio rule",
            "dopascope models add dat-spect-ud FOLDER",
        )
    return Finding("models", "ok", f"in {where}, hashes right: " + ", ".join(bundle.id for bundle in found))


def _web_app(folder: Path | None, host: str, behind_proxy: bool, trusted_hosts: tuple[str, ...]) -> Finding:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        if host != "127.0.0.1" or behind_proxy or trusted_hosts:
            require_web()
        return Finding("web app", "ok", f"not installed ({', '.join(missing)}): only `dopascope serve` needs it")
    from dopascope.web.settings import SECRETS_FILE, Settings

    settings = Settings(
        data=folder or default_data(), host=host, behind_proxy=behind_proxy, trusted_hosts=trusted_hosts
    )
    settings.check()
    answers = (
        f"answers at {host} to a proxy with TLS, as {', '.join(trusted_hosts)}"
        if behind_proxy
        else f"answers at {host}, this machine alone; other addresses are refused without TLS by a proxy"
    )
    if not (settings.data / SECRETS_FILE).is_file():
        return Finding("web app", "ok", f"no data in {settings.data} yet; {answers}")
    exposed = settings.exposed()
    if exposed:
        modes = [f"{path} has mode {path.stat().st_mode & 0o777:04o}" for path in exposed]
        fixes = [f"chmod {mode:o} {shlex.quote(str(path))}" for path, mode in exposed.items()]
        return Finding("web app", "failed", f"others can open {'; '.join(modes)}", "; ".join(fixes))
    return Finding("web app", "ok", f"{settings.data} and its secrets are this account's alone; {answers}")


def _reads_a_scan(models_dir: Path | None) -> Finding:
    from dopascope import phantom
    from dopascope.reading import Choices, examine

    volume, _ = phantom.example(seed=1, group="healthy")
    reading = examine(volume, Choices(models_dir=models_dir, evidence=False)).reading
    detail = f"a simulated healthy scan reads {reading.verdict}"
    if reading.verdict == "refused":
        return Finding(
            "reading", "failed", detail, "Reinstall; if it stays, report it with the output of doctor --json."
        )
    return Finding("reading", "ok", detail)
