"""Ports, process marks and the locks that dead servers leave."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local_stack import PortTaken, StackError, down, free_port, ports
from local_stack.child_process import drop_stale_lock
from local_stack.ports import asked_or_free
from local_stack.postgres_user import reachable
from local_stack.processes import ProcessMark, end


def test_a_taken_port_is_refused_with_the_port_and_the_remedy() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = int(holder.getsockname()[1])
        with pytest.raises(PortTaken, match=f"Port {port} for Kafka is taken .* choose another Kafka port"):
            asked_or_free("Kafka", port)
    assert asked_or_free("Kafka", port) == port
    assert 20_000 <= free_port() < 30_000


# Reserves a port, the given one if any, and keeps it until it is stopped.
HOLDER = """
import sys
from local_stack import ports
if sys.argv[1:]:
    ports._FIRST = ports._LAST = int(sys.argv[1])
print(ports.free_port(), flush=True)
input()
"""


def test_no_two_processes_are_given_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server takes seconds until it listens, and whoever asks meanwhile finds the port free."""
    argv = [sys.executable, "-c", HOLDER]

    def second(port: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*argv, port], input="\n", capture_output=True, text=True, check=False)

    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        port = holder.stdout.readline().strip()
        assert f"No free port was found between {port} and {port}" in second(port).stderr
    assert second(port).stdout.strip() == port

    ours = free_port()
    assert second(str(ours)).returncode != 0
    monkeypatch.setattr(ports, "_FIRST", ours)
    monkeypatch.setattr(ports, "_LAST", ours)
    with pytest.raises(StackError, match="No free port"):
        free_port()


def test_a_reused_pid_is_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = ProcessMark.of(process.pid)
        assert mark is not None
        assert end([ProcessMark(mark.pid, mark.started - 60)], 1) == []
        assert process.poll() is None
        assert end([mark], 5) == [mark]
        assert mark.process() is None


PARENT_THAT_WAITS_FOR_NOBODY = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE).pid, flush=True)
input()
"""


@pytest.mark.timeout(60)
def test_a_zombie_has_ended() -> None:
    argv = [sys.executable, "-c", PARENT_THAT_WAITS_FOR_NOBODY]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        mark = ProcessMark.of(int(parent.stdout.readline()))
        assert mark is not None
        assert end([mark], 3600) == [mark]
        assert psutil.Process(mark.pid).status() == psutil.STATUS_ZOMBIE
        parent.terminate()


def test_down_on_an_unused_folder_ends_nothing(tmp_path: Path) -> None:
    assert down(tmp_path) == []


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1], ids=["another", "dead"])
def test_a_lock_of_a_dead_or_another_program_is_dropped(tmp_path: Path, pid: int) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{pid}\n{tmp_path}\n")
    drop_stale_lock(lock)
    assert not lock.exists()


def test_a_lock_of_a_living_server_stays(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    argv = [sys.executable, "-c", "print(flush=True); input()", "-D", str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        lock.write_text(f"{server.pid}\n{tmp_path}\n")
        drop_stale_lock(lock)
        assert lock.exists()
        server.kill()


def test_a_folder_below_a_private_folder_is_unreachable_for_others(tmp_path: Path) -> None:
    folder = Path("/usr/lib")
    assert reachable(folder)
    (tmp_path / "private").mkdir(mode=0o700)
    assert not reachable(tmp_path / "private" / "data")
