"""The script itself, before a command is chosen."""

import os
import signal
import subprocess
import sys
from pathlib import Path

INTERRUPTS = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
raise AssertionError("still there")
"""


def test_an_interrupt_while_it_loads_leaves_no_traceback(tmp_path: Path) -> None:
    """The first library that it needs is one that interrupts it."""
    (tmp_path / "typer.py").write_text(INTERRUPTS)
    done = subprocess.run(
        [Path(sys.executable).with_name("jobtrail"), "--help"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
