"""Every `make` target, every `jobtrail` command and every option that the documentation names exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from jobtrail.main import app

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_COMMAND = re.compile(r"(?:^ {4}|`)((?:make|(?:\.venv/bin/)?jobtrail)\b[^`\n]*)", re.MULTILINE)


def named_commands(text: str) -> list[str]:
    """The commands of a page: indented lines and what is in backquotes, without comments."""
    return [found[1].partition(" #")[0].strip() for found in _COMMAND.finditer(text)]


def missing(command: str) -> str | None:
    """Which part of a command does not exist; None if all exist."""
    program, *words = _words(command)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return next((word for word in words if re.fullmatch(r"[a-z-]+", word) and word not in targets), None)
    node: Any = typer.main.get_command(app)
    while hasattr(node, "commands") and words and not words[0].startswith("-"):
        word = words.pop(0)
        if word not in node.commands:
            return word
        node = node.commands[word]
    options = {name for parameter in node.params for name in parameter.opts} | {"--help"}
    return next((word for word in words if re.match(r"--[a-z]", word) and word not in options), None)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a span that ends inside quotation marks
        return command.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_exist(page: Path) -> None:
    commands = named_commands(page.read_text("utf-8"))
    assert [f"{command}: no {part}" for command in commands if (part := missing(command))] == []


def test_commands_are_found_and_judged() -> None:
    text = "    make nothing  # a comment\n\n`jobtrail jobs fly`, `.venv/bin/jobtrail audit --al`, `jobtrail check`\n"
    commands = named_commands(text)
    assert commands == ["make nothing", "jobtrail jobs fly", ".venv/bin/jobtrail audit --al", "jobtrail check"]
    assert [missing(command) for command in commands] == ["nothing", "fly", "--al", None]
    assert sum(len(named_commands(page.read_text("utf-8"))) for page in PAGES) > 60
