"""The files, functions and classes that the documentation names exist, and its relative links lead somewhere.

In the pages of PAGES a file is named by its path from the root, in backquotes. Names in parentheses directly behind it,
in backquotes too, are in that file: functions, classes, `Class.method`, constants, or the named statements of SQL.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("ARCHITECTURE.md", "walkthrough.md", "glossary.md")
LINKED = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAX_STOPS = 8
MAX_TERMS = 30

_FILE = re.compile(r"`(?P<path>[\w.-]+/[\w./-]*|[\w-]+\.(?:yml|toml))`(?:\s+\((?P<names>`[^)]+`)\))?")


def named_files(text: str) -> list[tuple[str, list[str]]]:
    """The paths that a page names, each with the names behind it."""
    return [(found["path"], re.findall(r"`([\w.]+)`", found["names"] or "")) for found in _FILE.finditer(text)]


def names_of(file: Path) -> set[str]:
    """What a Python file or a file of SQL statements defines."""
    text = file.read_text("utf-8")
    if file.suffix == ".sql":
        return set(re.findall(r"^-- name: (\w+)", text, re.MULTILINE))
    names: set[str] = set()
    for node in ast.parse(text).body:
        names |= _defined(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member}" for part in node.body for member in _defined(part)}
    return names


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def missing(text: str) -> list[str]:
    """The files that do not exist, and the names that their files do not define."""
    found: list[str] = []
    for path, names in named_files(text):
        if not (ROOT / path).exists():
            found.append(path)
        elif names:
            defined = names_of(ROOT / path)
            found += [f"{path}: {name}" for name in names if name not in defined]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_files_and_names_of_a_page_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert any(names for _, names in named_files(text)), "the page names no code"
    assert missing(text) == [], f"docs/{page} names what does not exist"


def test_missing_files_and_names_are_found() -> None:
    this = "tests/unit/docs/test_named_code.py"
    text = f"`libs/nowhere/file.py` (`thing`), `{this}` (`MAX_STOPS`, `names_of`,\n`not_there`, `Class.method`)"
    assert missing(text) == ["libs/nowhere/file.py", f"{this}: not_there", f"{this}: Class.method"]


def test_layout_of_the_architecture_exists() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    (layout,) = re.findall(r"^## Layout\n\n```\n(.+?)^```", text, re.DOTALL | re.MULTILINE)
    top, inside = "", list[str]()
    for line in layout.splitlines():
        path = line.split()[0]
        if not line.startswith(" "):
            top, inside = path, [*inside, path]
        else:
            package = top.rstrip("/").rpartition("/")[2]
            inside.append(f"{top}src/{package.replace('-', '_')}/{path}")
    assert [path for path in inside if not (ROOT / path).is_dir()] == []
    # Each package and library has a line.
    folders = [folder for parent in ("libs", "services") for folder in (ROOT / parent).iterdir()]
    assert {f"{folder.parent.name}/{folder.name}/" for folder in folders if (folder / "src").is_dir()} <= set(inside)


def test_a_path_of_the_walkthrough_has_few_stops() -> None:
    text = (ROOT / "docs" / "walkthrough.md").read_text("utf-8")
    paths = text.split("\n## ")[1:]
    assert len(paths) == 2
    for path in paths:
        stops = re.findall(r"^(\d)\. (.+?)(?=^\d\. |\Z)", path, re.DOTALL | re.MULTILINE)
        assert [int(number) for number, _ in stops] == list(range(1, len(stops) + 1))
        assert len(stops) <= MAX_STOPS
        assert [number for number, stop in stops if not named_files(stop)] == [], "a stop without a file"


def test_the_glossary_is_sorted_and_short() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    terms = re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)[1:]
    assert terms == sorted(terms)
    assert len(set(terms)) == len(terms) <= MAX_TERMS


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    inside = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in inside if not (page.parent / target).exists()] == []
