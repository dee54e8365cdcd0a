"""A death has a cause: a fault's signal, or a action at a named point. Any other is a violation."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.chaos.members import KILLS_ITSELF, Fleet, Member

WaitUntil = Callable[..., None]


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """One member, which does nothing."""

    def start(self: Member) -> None:
        self.starts += 1
        self.log.touch()
        self.process = subprocess.Popen(["sleep", "3600"])

    monkeypatch.setattr(Member, "start", start)
    fleet = Fleet(tmp_path, {})
    fleet.start({"projector": 1})
    yield fleet
    fleet.kill_all()


def pid(member: Member) -> int:
    assert member.process is not None
    return member.process.pid


def test_a_kill_by_a_fault_counts_once_it_was_seen(fleet: Fleet, wait_until: WaitUntil) -> None:
    (member,) = fleet.members
    killed = member.kill()
    assert killed is not None
    wait_until(lambda: fleet.death_of(killed) is not None)
    assert [death.point for death in fleet.deaths] == [None]
    assert fleet.problems == []
    assert pid(member) != killed


def test_a_process_that_killed_itself_tells_where(fleet: Fleet, wait_until: WaitUntil) -> None:
    (member,) = fleet.members
    member.log.write_text(json.dumps({"event": KILLS_ITSELF, "point": "after_copy"}) + "\n")
    os.kill(pid(member), signal.SIGKILL)
    wait_until(lambda: bool(fleet.deaths))
    assert [death.point for death in fleet.deaths] == ["after_copy"]
    assert fleet.problems == []


def test_a_death_that_no_fault_explains_is_a_violation(fleet: Fleet, wait_until: WaitUntil) -> None:
    os.kill(pid(fleet.members[0]), signal.SIGKILL)
    wait_until(lambda: bool(fleet.problems))
    assert "not by a fault" in fleet.problems[0]
    assert fleet.deaths == []


def test_who_is_dead_is_not_killed_again(tmp_path: Path) -> None:
    member = Member("projector-1", "projector", tmp_path, {})
    member.process = subprocess.Popen(["true"])
    member.process.wait()
    assert member.kill() is None


def test_only_what_a_process_said_since_it_went_on_counts_as_refused(tmp_path: Path) -> None:
    def refuse(number: int) -> None:
        line = {"event": "fenced: another owner has moved the positions", "partitions": [["jobs.events", number]]}
        with member.log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    member = Member("projector-1", "projector", tmp_path, {})
    member.process = subprocess.Popen(["true"])
    refuse(0)
    continued = member.resume()
    assert continued.refused({("jobs.events", 0)}) == 0
    refuse(1)
    assert continued.refused({("jobs.events", 0)}) == 0
    refuse(0)
    assert continued.refused({("jobs.events", 0)}) == 1


def test_a_deed_is_taken_by_one_alone(tmp_path: Path) -> None:
    member = Member("projector-1", "projector", tmp_path, {})
    member.arm("kill", "after_copy")
    assert member.disarm()
    assert not member.disarm()
