"""A production image does not have the package local-stack: only the commands that start local servers need it."""

import subprocess
import sys
from typing import Any

import pytest

BLOCK = """
import sys
sys.modules["local_stack"] = None
from jobtrail import check, main, maintenance
assert not [name for name in sys.modules if name.startswith("local_stack.")]
"""


def test_the_command_is_imported_without_it() -> None:
    subprocess.run([sys.executable, "-c", BLOCK], check=True)


@pytest.mark.parametrize("command", [("up",), ("down",), ("demo",), ("kafka", "topics", "--list"), ("kafka", "--help")])
def test_commands_that_need_it_say_what_to_install(
    run: Any, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "local_stack"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("up", "kafka_tool", "system", "stack_view", "demo.command"):
        monkeypatch.delitem(sys.modules, f"jobtrail.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "local_stack", None)
    ended = run(*command)
    assert ended.code == 1
    assert ended.err.startswith(f"`jobtrail {command[0]}` needs the package local-stack, which is not installed: ")
