"""The web app: accounts, uploads, readings and records. It imports nothing that needs torch."""

from __future__ import annotations

from dopascope.web.app import create_app
from dopascope.web.settings import Settings

__all__ = ["Settings", "create_app"]
