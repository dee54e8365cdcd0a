"""The programs that make a server's data folder, and what is said where one fails."""

from __future__ import annotations

import subprocess

from local_stack.errors import StackError
from local_stack.postgres_user import User

_PATIENCE = 300.0  # seconds; an idle machine needs three, a full one was seen to need more than 120


def run(command: list[str], made: str, user: User | None = None, patience: float = _PATIENCE) -> None:
    """Run a program to its end, as `user`; `made` names in an error what it makes.

    Raises StackError when it fails or has not ended after `patience` seconds.
    """
    try:
        result = subprocess.run(  # noqa: S603 - a command of our own making
            command,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
            cwd="/",
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
    except subprocess.TimeoutExpired:
        raise StackError(
            f"{made} was not ready after {patience:.0f} s: the machine is too busy, or the disk too slow; try again."
        ) from None
    if result.returncode != 0:
        raise StackError(f"{made} could not be made: {(result.stderr or result.stdout).strip()}")
