"""The server and its workers as processes of one command."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from dopascope.processes import one_thread_each
from dopascope.web import demonstration, worker
from dopascope.web.app import create_app, setup_token
from dopascope.web.database import Database
from dopascope.web.settings import Settings

LOOK_S: Final = 1.0
"""How often the server looks whether its workers live."""
THREADS: Final = 32
"""Requests that are answered at the same time; a page that watches a job holds one."""
SWITCH_S: Final = 0.001
HEAPS: Final = 2
LARGE_BYTES: Final = 1 << 17
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""Parameters of glibc's `mallopt` (malloc.h)."""


def serve(settings: Settings, say: Callable[[str], None], *, demo: Sequence[Path] = ()) -> None:
    """Answer until interrupted; workers end with the server, and their jobs are taken up again at the next start.

    Args:
        settings: of the installation.
        say: takes each line that is to be shown.
        demo: scans of an account `demo`, whose password is said; without any there is no such account.

    Raises:
        UsageError: settings that would open the app to strangers.
        OSError: the port is taken, or the data folder cannot be written.
    """
    import waitress

    app = create_app(settings)
    tempfile.tempdir = str(settings.incoming)  # where the server keeps a large request until it is whole
    server = waitress.create_server(
        app,
        host=settings.host,
        port=settings.port,
        threads=THREADS,
        max_request_body_size=settings.largest_upload + (1 << 20),
        ident="",
        # Behind a proxy the app itself reads what that proxy says of the browser (`app.create_app`).
        clear_untrusted_proxy_headers=not settings.behind_proxy,
    )
    children = start_workers(settings)
    ended = threading.Event()
    threading.Thread(target=_keep_up, args=(settings, children, ended), daemon=True).start()
    base = app.extensions["dopascope_database"]
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        lines = welcome_to_demo(settings, demonstration.fill(app, demo)) if demo else welcome(settings, base)
        for line in lines:
            say(line)
        _settle()
        server.run()
    finally:
        ended.set()
        server.close()
        for child in children:
            child.terminate()
        for child in children:
            child.join(timeout=10)


def _settle() -> None:
    """Before the first answer: what is loaded by now stays, threads share heaps, and large pieces go back at once.

    A short answer waits for a turn of Python several times; beside long ones each turn is a switch interval. Looking
    through all that is loaded for cycles, again and again, takes longer than most answers; and with a heap for each
    thread, which keeps large pieces, the largest answers stay in memory as often as there are threads.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_ARENA_MAX, HEAPS)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def _interrupted(*_: object) -> None:
    """A service manager's order to end is Ctrl-C."""
    raise KeyboardInterrupt


def start_workers(settings: Settings) -> list[BaseProcess]:
    """Workers, each a process that ends with this one."""
    return [_start(settings, number) for number in range(settings.workers)]


def _start(settings: Settings, number: int) -> BaseProcess:
    child = multiprocessing.get_context("spawn").Process(target=worker.main, args=(settings,), name=f"worker-{number}")
    with one_thread_each():
        child.start()
    return child


def _keep_up(settings: Settings, children: list[BaseProcess], ended: threading.Event) -> None:
    """Put a new worker in the place of one that died."""
    while not ended.wait(LOOK_S):
        for number, child in enumerate(children):
            if not child.is_alive() and not ended.is_set():
                children[number] = _start(settings, number)


def welcome_to_demo(settings: Settings, password: str) -> list[str]:
    """What is said when a demonstration answers."""
    return [
        "The scans are being read; they appear one after the other.",
        f"Log in at {address_of(settings)} as {demonstration.NAME} with the password {password}",
        "Ctrl-C ends it.",
    ]


def address_of(settings: Settings) -> str:
    """Where a browser finds the app."""
    if settings.behind_proxy:
        return f"https://{settings.trusted_hosts[0]}"
    return f"http://{'localhost' if settings.host == '127.0.0.1' else settings.host}:{settings.port}"


def welcome(settings: Settings, base: Database) -> list[str]:
    """What is said when the server answers: where, and how to make the first account."""
    address = address_of(settings)
    token = setup_token(settings, base)
    if token is None:
        return [f"dopascope answers at {address}", "Ctrl-C ends it."]
    return [
        f"dopascope answers at {address}",
        "There is no account yet. Make the first one, once, at:",
        f"  {address}/setup?token={token}",
        "Ctrl-C ends it.",
    ]
