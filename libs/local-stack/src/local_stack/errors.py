"""Every error of the local stack. The message is one sentence for a person: what is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path

from job_events.errors import JobtrailError


class StackError(JobtrailError):
    """Base of every error of the local stack: something that it needs is missing, taken or broken."""


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
    """The downloaded jars are not those of the checked-in list."""


class StartFailed(StackError):
    """A server or a service did not become ready; the message ends with the last lines of its log."""


class UnknownTool(StackError):
    """No Kafka tool has this name."""


class StartAborted(StackError):
    """The start of a server was given up because another server failed to start."""
