"""Every error of the local stack. Each message is one sentence for a person: what is wrong and how to mend it."""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """Something that the local stack needs is missing, taken or broken."""


class PortTaken(StackError):
    """A port that was asked for is in use."""

    def __init__(self, server: str, port: int) -> None:
        super().__init__(
            f"Port {port} for {server} is taken by another program: end that program, "
            f"choose another {server} port, or give none and a free one is taken."
        )
        self.port = port


class DataDirInUse(StackError):
    """Another local stack runs on the same data folder."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"The data folder {data_dir} is in use by {holder}: end it (make down) or choose another folder."
        )
        self.pid = pid


class BadJar(StackError):
    """A downloaded jar isn't the one that was checked in, or one is missing or too many."""


class StartFailed(StackError):
    """A server or a service did not become ready; the message ends with the last lines of its log."""


class UnknownTool(StackError):
    """No Kafka tool has this name."""
