"""How the command becomes a part of the tracker."""

import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that the process would have become."""
    taken: list[list[str]] = []

    def become(_path: str, command: list[str], _environment: dict[str, str]) -> None:
        taken.append(command[2:])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setenv("JOBTRAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere")
    monkeypatch.setenv("DATABASE_URL", "nowhere")
    return taken


@pytest.mark.parametrize("part", ["audit", "rebuild"])
def test_an_archive_that_is_named_must_be_there(
    run: Any, handed_over: list[list[str]], tmp_path: Path, part: str
) -> None:
    ended = run(part, "--archive", str(tmp_path / "mistyped"))
    assert (ended.code, handed_over) == (2, [])
    assert "does not exist" in " ".join(ended.err.replace("│", " ").split())
    assert run(part, "--archive", str(tmp_path)).code == 0
    assert handed_over[-1][:3] == ["job_tracker", part, f"--archive={tmp_path}"]


@pytest.mark.parametrize("part", ["audit", "rebuild"])
def test_the_systems_own_archive_may_be_missing(
    run: Any, handed_over: list[list[str]], tmp_path: Path, part: str
) -> None:
    assert run(part).code == 0
    assert handed_over[-1][2] == f"--archive={tmp_path / 'home' / 'archive'}"


@pytest.mark.parametrize("part", ["audit", "rebuild", "archive"])
def test_without_a_system_nothing_is_said_to_differ(
    run: Any, handed_over: list[list[str]], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
        monkeypatch.delenv(name)
    ended = run(part)
    assert (ended.code, handed_over) == (2, []), ended.err


def test_a_new_archive_is_begun_where_nothing_is(run: Any, handed_over: list[list[str]], tmp_path: Path) -> None:
    assert run("archive", "--to", str(tmp_path / "new")).code == 0
    assert handed_over == [["job_tracker", "archive", f"--archive={tmp_path / 'new'}"]]


@pytest.mark.parametrize("command", [["rebuild", "--items", "--swap"], ["audit", "--all", "--jobs", "5"]])
def test_options_that_exclude_each_other_are_refused_by_the_command_itself(
    run: Any, handed_over: list[list[str]], command: list[str]
) -> None:
    ended = run(*command)
    assert (ended.code, handed_over) == (2, [])
    assert f"jobtrail {command[0]}" in ended.err and "choose one of" in ended.err
