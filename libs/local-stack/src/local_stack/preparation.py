"""Runs the programs that create a server's data folder."""

from __future__ import annotations

import subprocess

from local_stack.errors import StackError
from local_stack.postgres_user import User

_TIMEOUT = 300.0  # seconds; an idle machine needs 3, a busy one needed more than 120


def run(command: list[str], what: str, user: User | None = None, timeout: float = _TIMEOUT) -> None:
    """Run a program to its end, as `user`; `what` names its result in errors.

    Raises StackError when it fails or has not ended after `timeout` seconds.
    """
    try:
        result = subprocess.run(  # noqa: S603 - the command is a constant
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd="/",
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
    except subprocess.TimeoutExpired:
        raise StackError(
            f"{what} was not ready after {timeout:.0f} s: the machine is too busy, or the disk too slow; try again."
        ) from None
    if result.returncode != 0:
        raise StackError(f"{what} could not be created: {(result.stderr or result.stdout).strip()}")
