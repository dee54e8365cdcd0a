"""The puller, killed once between its two steps for a request: the row and the offset.

CHAOS_CONTROL names a file that asks for the kill; CHAOS_MUTANT=offset_first takes the steps in the wrong order.
"""

import os
import signal
import threading
from pathlib import Path

from confluent_kafka import Message

from puller.bootstrap import run
from service_kit.kafka import MonitoredConsumer
from worker.request_consumer import RequestConsumer


def cut_in_two(control: Path, *, offset_first: bool) -> None:
    """Let every batch pass the kill point between its two steps."""

    def pass_by() -> None:
        if control.exists():
            control.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # nothing runs on from here

    def row_first(self: RequestConsumer, consumer: MonitoredConsumer, messages: list[Message]) -> None:
        self._store(messages)
        pass_by()
        self._commit(consumer, messages)

    def row_last(self: RequestConsumer, consumer: MonitoredConsumer, messages: list[Message]) -> None:
        for message in messages:
            consumer.store_offsets(message=message)
        consumer.commit(asynchronous=False)
        pass_by()
        self._store(messages)

    RequestConsumer._process = row_last if offset_first else row_first


if __name__ == "__main__":
    cut_in_two(Path(os.environ["CHAOS_CONTROL"]), offset_first=os.environ.get("CHAOS_MUTANT") == "offset_first")
    run()
