"""The import-floor test: a line of code lives on the lowest floor that knows enough, and looks only down."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dopascope

ROOT = Path(dopascope.__file__).parent

FLOORS = {
    "errors": 0,
    "geometry": 1,
    "provenance": 1,
    "processes": 1,
    "volume": 2,
    "formats": 3,
    "atlas": 3,
    "score": 3,
    "space": 4,
    "claims": 4,
    "passport": 5,
    "quant": 5,
    "bundle": 5,
    "cohort": 5,
    "phantom": 5,
    "reading": 6,
    "batch": 6,
    "report": 7,
    "physics": 8,
    "augment": 8,
    "nets": 8,
    "learn": 9,
    "simulate": 9,
    "tasks": 10,
    "study": 11,
    "explain": 11,
    "generate": 11,
    "convert": 12,
    "web": 12,
    "pacs": 12,
    "cli": 13,
}
TORCH_LINE = 8  # torch, MONAI and timm only on this floor and above it
TORCH_PACKAGES = {
    *("torch", "torchvision", "monai", "timm", "lightning", "lightning_fabric"),
    *("segmentation_models_pytorch", "onnx", "captum"),
}

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(importing module, imported package) -> the reason."""


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Every module imported in `path`, at any depth, as (line, absolute dotted name)."""
    package = ["dopascope", *path.relative_to(ROOT).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == "dopascope":
                found += [(node.lineno, f"dopascope.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, module))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            found += [(node.lineno, a.value) for a in node.args if isinstance(a, ast.Constant)]
    return found


def complaints(path: Path) -> list[str]:
    """The imports of `path` that go up, sideways, or bring torch below its line."""
    parts = path.relative_to(ROOT).parts
    own = parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):  # the public names, loaded lazily, and the program
        return []
    wrong = []
    for line, name in imports_of(path):
        top, _, rest = name.partition(".")
        where = f"{path.relative_to(ROOT)}:{line} imports {name}"
        if top in TORCH_PACKAGES and FLOORS[own] < TORCH_LINE:
            wrong.append(f"{where}: no torch below floor {TORCH_LINE}")
        if top != "dopascope" or not rest:
            continue
        target = rest.split(".")[0]
        if target == own or target == "__version__" or (own, target) in EXCEPTIONS:
            continue
        if target not in FLOORS:
            wrong.append(f"{where}: {target} has no floor")
        elif FLOORS[target] >= FLOORS[own]:
            wrong.append(f"{where}: floor {FLOORS[own]} may not look at floor {FLOORS[target]}")
        elif own == "web" and FLOORS[target] >= TORCH_LINE:
            wrong.append(f"{where}: the web app imports nothing from floors 8 to 11")
    return wrong


MODULES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_look_down(path: Path) -> None:
    assert complaints(path) == []


def test_every_module_has_a_floor_and_a_telling_name() -> None:
    tops = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in MODULES} - {"__init__", "__main__"}
    assert tops <= set(FLOORS)
    banned = {"utils", "util", "helpers", "common", "base", "manager"}
    assert not [p for p in MODULES if banned & {part.removesuffix(".py") for part in p.relative_to(ROOT).parts}]


def test_the_walker_sees_relative_and_nested_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "space").mkdir()
    bad = tmp_path / "space" / "view.py"
    bad.write_text("def f():\n    from ..reading import x\n    import torch\n    from dopascope import report\n")
    assert len(complaints(bad)) == 3
