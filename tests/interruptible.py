"""Commands of ours that a test interrupts as a person would, by Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from typing import Any


def started(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """The command in a session of its own, where SIGINT reaches it.

    A shell that runs the tests in the background has its children ignore SIGINT; the child starts without that.
    """
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        list(command),
        **{**pipes, **options},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
