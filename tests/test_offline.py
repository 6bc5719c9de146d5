"""Reading makes no network connection: an audit hook ends the process that tries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.promise(
    "No network connection is made unless `models add URL`, or a plan with published weights "
    "that are not there, asks for one; there is no telemetry, and that of a package we use is "
    "off"
)

GUARDED = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        import os
        os.write(2, f"network: {event} {arguments}".encode())
        os._exit(97)
sys.addaudithook(watch)
from dopascope.cli import main
main()
"""


def test_the_guard_sees_a_connection() -> None:
    code = GUARDED.replace(
        "from dopascope.cli import main\nmain()", "import socket\nsocket.create_connection(('127.0.0.1', 9))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 97


def test_no_package_of_ours_leaves_telemetry_behind(tmp_path: Path) -> None:
    """Sockets opened in C++ escape an audit hook; the device id that such telemetry keeps does not."""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-m", "dopascope", "doctor"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not [
        path for path in tmp_path.rglob("*") if "microsoft" in str(path).lower() or "deviceid" in path.name.lower()
    ]


@pytest.mark.parametrize("command", ["doctor", pytest.param("read", marks=pytest.mark.slow)])
def test_no_connection_is_made(command: str, tmp_path: Path) -> None:
    from dopascope import phantom

    words = [command]
    if command == "read":
        phantom.write(phantom.example(seed=3, group="pd")[0], tmp_path / "scan.nii.gz")
        words += [str(tmp_path / "scan.nii.gz"), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
