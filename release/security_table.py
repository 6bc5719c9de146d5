"""The tables of SECURITY.md, made from the tests that carry the promises.

    python release/security_table.py          # write them
    python release/security_table.py --check  # say whether they are current

A test, or a whole module by its `pytestmark`, says what it proves:

    @pytest.mark.promise("A session is dead after log-out", asvs="7.4.1", threats="T17")

Tests are read, never imported.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "SECURITY.md"
BEGIN, END = "<!-- promises:begin -->", "<!-- promises:end -->"
WEB: Final = "tests/web/"
"""What only tests below this folder prove is a promise of the web app; the others are of parsers and toolkit."""
THREATS: Final = {
    "T1": "uploads that are too large",
    "T2": "gzip bombs",
    "T3": "headers that claim more than the file holds",
    "T4": "deflated DICOM bombs",
    "T5": "zip bombs",
    "T6": "names and links inside a zip that lead outside",
    "T7": "pictures of a thousand million pixels",
    "T8": "malformed and deeply nested DICOM",
    "T9": "memory faults in parsers",
    "T10": "files that are DICOM and a program",
    "T11": "paths in a DICOMDIR",
    "T12": "code in checkpoints",
    "T13": "paths in ids and names",
    "T14": "scripts in tags, names and comments",
    "T15": "formulas in exported tables",
    "T16": "forged requests of other sites",
    "T17": "sessions that are fixed, copied or never end",
    "T18": "guessing of passwords and of who has an account",
    "T19": "other people's scans by their address",
    "T20": "fields that no form has",
    "T22": "names of patients in logs, addresses, exports and temporary files",
    "T23": "a database under load",
    "T24": "readings that are lost or done twice",
    "T25": "changes of the audit trail",
    "T26": "unsafe settings and debugging",
    "T27": "forged host and proxy headers",
    "T28": "lines forged in the log",
    "T30": "images that are no DaT scan",
    "T31": "dependencies with known weaknesses",
    "T32": "backups that cannot be restored",
}
"""What is defended against, by the number in the threat model. T21 and T29 come with the connection to a PACS."""


class MarkError(Exception):
    """A marker that this script cannot read, with its place."""


@dataclass(frozen=True)
class Mark:
    """One marker: what is promised, and the test or module that carries it."""

    promise: str
    asvs: tuple[str, ...]
    threats: tuple[str, ...]
    test: str


@dataclass(frozen=True)
class Promise:
    """A sentence with everything that proves it."""

    sentence: str
    asvs: tuple[str, ...]
    threats: tuple[str, ...]
    tests: tuple[str, ...]


def marks(root: Path = ROOT) -> list[Mark]:
    """All markers below `tests`.

    Raises:
        MarkError: one stands where it marks no test, or is not written out.
    """
    return [one for path in sorted((root / "tests").rglob("test_*.py")) for one in _marks_of(path, root)]


def promises(found: list[Mark]) -> list[Promise]:
    """Grouped by their sentence, in the order of threats."""
    grouped: dict[str, list[Mark]] = {}
    for one in found:
        grouped.setdefault(one.promise, []).append(one)
    made = [
        Promise(
            sentence,
            tuple(sorted({number for one in some for number in one.asvs}, key=_numbers)),
            tuple(sorted({number for one in some for number in one.threats}, key=_numbers)),
            tuple(sorted({one.test for one in some})),
        )
        for sentence, some in grouped.items()
    ]
    return sorted(made, key=lambda one: (_numbers(one.threats[0]) if one.threats else (99,), one.sentence))


def alike(found: list[Promise]) -> list[tuple[str, str]]:
    """Pairs of sentences that differ only in punctuation, capitals or spaces: one of them was mistyped."""
    seen: dict[str, str] = {}
    pairs = []
    for one in found:
        words = " ".join(re.findall(r"\w+", one.sentence.lower()))
        if words in seen:
            pairs.append((seen[words], one.sentence))
        seen[words] = one.sentence
    return pairs


def unproved(found: list[Mark]) -> list[str]:
    """Threats of the list that no test names."""
    return [number for number in THREATS if not _against(number, found)]


def tables(found: list[Mark]) -> str:
    """What stands between the two lines of SECURITY.md."""
    grouped = promises(found)
    web = [one for one in grouped if all(test.startswith(WEB) for test in one.tests)]
    parts = [
        "Parsers and toolkit:",
        *_table([one for one in grouped if one not in web]),
        "",
        "The web app (`dopascope serve`):",
        *_table(web),
        "",
        "By the threat that each test stands against:",
        "",
        "| threat | | tests |",
        "|---|---|---|",
        *(f"| {number} | {told} | {_listed(_against(number, found))} |" for number, told in THREATS.items()),
    ]
    return "\n".join(parts)


def page(text: str, found: list[Mark]) -> str:
    """SECURITY.md with today's tables."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkError(f"SECURITY.md has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{tables(found)}\n{END}{after}"


def _table(some: list[Promise]) -> list[str]:
    cells = [(one.sentence, ", ".join(one.asvs), ", ".join(one.threats), _listed(one.tests)) for one in some]
    head = ["", "| promise | ASVS 5.0 | threats | tests |", "|---|---|---|---|"]
    return head + [f"| {' | '.join(one)} |" for one in cells]


def _against(threat: str, found: list[Mark]) -> tuple[str, ...]:
    return tuple(sorted({one.test for one in found if threat in one.threats}))


def _listed(tests: tuple[str, ...]) -> str:
    whole = {test for test in tests if "::" not in test}
    return ", ".join(f"`{test}`" for test in tests if test in whole or test.partition("::")[0] not in whole)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.removeprefix("T").split("."))


def _marks_of(path: Path, root: Path) -> Iterator[Mark]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = path.relative_to(root).as_posix()
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    seen = 0
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "pytestmark" for one in node.targets):
            for call in _calls(node.value):
                seen += 1
                if not tests:
                    raise MarkError(f"{name}:{call.lineno} marks a module without tests")
                yield _mark(call, name, name)
    for test in tests:
        calls = [call for decorator in test.decorator_list for call in _calls(decorator)]
        seen += len(calls)
        yield from (_mark(call, name, f"{name}::{test.name}") for call in calls)
    if seen != len(_calls(tree)):
        raise MarkError(f"{name}: a promise stands on something that is no test function of the module")


def _calls(tree: ast.AST) -> list[ast.Call]:
    """Every `pytest.mark.promise(...)` within."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise"
    ]


def _mark(call: ast.Call, name: str, test: str) -> Mark:
    try:
        (sentence,) = [ast.literal_eval(one) for one in call.args]
        given = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except ValueError:
        raise MarkError(f"{name}:{call.lineno} is not written out") from None
    asvs, threats = (_split(given.pop(kind, "")) for kind in ("asvs", "threats"))
    wrong = [one for one in asvs if not re.fullmatch(r"\d+\.\d+\.\d+", one)] + [
        one for one in threats if one not in THREATS
    ]
    if given or wrong or not isinstance(sentence, str) or not sentence.strip() or "|" in sentence:
        raise MarkError(f"{name}:{call.lineno} cannot be meant: {', '.join([*given, *wrong]) or sentence}")
    return Mark(sentence, asvs, threats, test)


def _split(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text, marks())
    if "--check" in arguments:
        return int(text != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
