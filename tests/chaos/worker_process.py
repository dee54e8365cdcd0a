"""The puller as people start it, killed once between its two steps for a request: the row and the offset.

CHAOS_CONTROL names a file that asks for the kill; CHAOS_MUTANT=offset_first takes the steps in the wrong order.
"""

import os
import signal
import threading
from pathlib import Path

from confluent_kafka import Message

from job_events.worker.intake import Intake
from puller.bootstrap import run


def cut_in_two(control: Path, *, offset_first: bool) -> None:
    """Let every batch pass the kill point between its two steps."""
    take, commit = Intake.take, Intake._commit

    def between(self: Intake, messages: list[Message]) -> None:
        if control.exists():
            control.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # nothing runs on from here
        if not offset_first:
            commit(self, messages)

    def take_in_wrong_order(self: Intake, messages: list[Message]) -> None:
        commit(self, messages)
        between(self, messages)
        take(self, messages)

    if offset_first:
        Intake.take = take_in_wrong_order
        Intake._commit = lambda _self, _messages: None
    else:
        Intake._commit = between


if __name__ == "__main__":
    cut_in_two(Path(os.environ["CHAOS_CONTROL"]), offset_first=os.environ.get("CHAOS_MUTANT") == "offset_first")
    run()
