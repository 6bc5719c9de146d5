"""What every importer keeps to, whatever its layout: sources untouched, reasons given, errors exact, names gone."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from canaries import CANARY, leaks, leaks_below
from cohort_trees import TREES, Tree
from dopascope.cli.app import app
from dopascope.cohort import read_cohort
from dopascope.cohort.importers import IMPORTERS

KINDS = sorted(IMPORTERS)
OF_TABLES = [kind for kind in KINDS if {"delimiter", "encoding"} & IMPORTERS[kind].takes]
pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_kind_has_a_made_up_source() -> None:
    assert sorted(TREES) == KINDS


def tree_of(kind: str, root: Path, word: str = "x") -> Tree:
    root.mkdir()
    return TREES[kind](root, word)


def run(kind: str, tree: Tree, *words: object, source: Path | None = None) -> Result:
    arguments = ["cohort", "import", kind, source or tree.source, *tree.words, *words]
    return CliRunner().invoke(app, [str(one) for one in arguments])


def state(root: Path) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_the_written_table_is_a_cohort_of_files_that_exist(kind: str, tmp_path: Path) -> None:
    tree = tree_of(kind, tmp_path / "source")
    before = state(tmp_path / "source")
    tables = []
    for name in ("one", "two"):
        out = tmp_path / name / "cohort.tsv"
        ended = run(kind, tree, "--out", out)
        assert ended.exit_code == 0, ended.output
        scans = read_cohort(out)
        assert len(scans) == tree.rows
        assert all(scan.path.exists() and scan.label and scan.person for scan in scans if kind != "challenge")
        assert len({scan.name for scan in scans}) == tree.rows
        record = json.loads(out.with_name("cohort.import.json").read_text())
        assert (record["form"], record["kind"], record["taken"]) == ("dopascope.import/1", kind, tree.rows)
        tables.append(out.read_bytes())
    assert tables[0] == tables[1]
    assert state(tmp_path / "source") == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_writes_nothing_and_says_the_same(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tree_of(kind, tmp_path / "source")
    monkeypatch.chdir(tmp_path)
    before = state(tmp_path)
    ended = run(kind, tree, "--dry-run", "--out", tmp_path / "cohort.tsv", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["taken"]) == (0, tree.rows)
    assert state(tmp_path) == before


@pytest.mark.parametrize("kind", KINDS)
def test_empty_absent_and_wrong_sources_are_refused(kind: str, tmp_path: Path) -> None:
    tree = tree_of(kind, tmp_path / "source")
    wrong = tmp_path / "wrong"
    (wrong / "letters").mkdir(parents=True)
    (wrong / "letters" / "dear.txt").write_text("Dear colleague\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    for source in (empty, wrong, tmp_path / "absent", wrong / "letters" / "dear.txt"):
        ended = run(kind, tree, "--out", tmp_path / "out" / "cohort.tsv", source=source)
        assert ended.exit_code in (2, 4), ended.output
        assert "Error: " in ended.stderr
        assert str(source) in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_half_copied_source_gives_what_is_there_and_why_not_the_rest(kind: str, tmp_path: Path) -> None:
    tree = tree_of(kind, tmp_path / "source")
    cut, gone = tree.scans[0], tree.scans[-1]
    cut.write_bytes(b"")
    gone.unlink()
    gone.symlink_to(tmp_path / "not" / "fetched")
    ended = run(kind, tree, "--out", tmp_path / "cohort.tsv", "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["taken"] == tree.rows - 2 == len(read_cohort(tmp_path / "cohort.tsv"))
    text = " ".join(one["why"] + one["where"] + one["detail"] for one in told["left_out"])
    assert "empty" in text
    assert "link" in text
    assert cut.name in text


@pytest.mark.parametrize("kind", OF_TABLES)
def test_a_table_in_another_form_is_refused_with_its_place(kind: str, tmp_path: Path) -> None:
    tree = tree_of(kind, tmp_path / "source")
    assert tree.table is not None
    text = tree.table.read_text()
    mark = "\t" if tree.table.suffix == ".tsv" else ","
    head, first, *rest = text.splitlines()
    broken = {
        "other delimiter": (text.replace(mark, ";").encode(), "line 1"),
        "other encoding": (text.replace("x0", "xé0").encode("cp1252"), "line 2"),
        "utf-16": (text.encode("utf-16"), "line 1"),
        "named twice": (
            "\n".join([f"{head}{mark}{tree.key}", *(f"{r}{mark}1" for r in (first, *rest))]).encode(),
            tree.key,
        ),
        "too short a line": ("\n".join([head, first, rest[0].rpartition(mark)[0], *rest[1:]]).encode(), "line 3"),
        "no row": (head.encode(), "line 1"),
        "nothing": (b"", "line 1"),
    }
    for what, (content, place) in broken.items():
        tree.table.write_bytes(content)
        ended = run(kind, tree, "--out", tmp_path / "cohort.tsv")
        assert ended.exit_code in (2, 4), what
        assert str(tree.table) in ended.stderr, what
        assert place in ended.stderr, (what, ended.stderr)
    assert not (tmp_path / "cohort.tsv").exists()


@pytest.mark.promise(
    "After `--deidentify` no name is left in outputs, file names, caches or what is printed",
    asvs="14.2.8",
    threats="T22",
)
@pytest.mark.parametrize("kind", KINDS)
def test_no_canary_leaves_with_deidentify(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tree = tree_of(kind, tmp_path / "source", CANARY)
    caplog.clear()  # what the writer of the source says of its odd texts
    caplog.set_level(logging.DEBUG)
    said = ""
    for words in (("--dry-run",), ("--dry-run", "--json"), ("--out", tmp_path / "clean", "--key", tmp_path / "key")):
        ended = run(kind, tree, "--deidentify", *words)
        assert ended.exit_code == 0, ended.output
        said += ended.stdout + ended.stderr
    assert leaks((said + caplog.text).encode(), CANARY) == []
    assert leaks_below(tmp_path / "clean", CANARY) == []
    scans = read_cohort(tmp_path / "clean" / "cohort.tsv")
    assert len(scans) == tree.rows
    assert all(scan.path.exists() for scan in scans)
    assert {scan.label for scan in scans} & {"PD", "normal", "non-PD"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_that_cannot_be_cleaned_is_exit_code_3(kind: str, tmp_path: Path) -> None:
    tree = tree_of(kind, tmp_path / "source", CANARY)
    whole = tree.scans[0].read_bytes()
    tree.scans[0].write_bytes(whole[: len(whole) // 2])
    ended = run(kind, tree, "--deidentify", "--out", tmp_path / "clean")
    assert (ended.exit_code, "Some scans are not in the clean cohort" in ended.stderr) == (3, True), ended.output
    assert len(read_cohort(tmp_path / "clean" / "cohort.tsv")) == tree.rows - 1
    assert leaks((ended.stdout + ended.stderr).encode(), CANARY) == []
