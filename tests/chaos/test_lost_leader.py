"""The leader of a partition is dead, and no other is chosen yet: whoever asks for offsets waits."""

import time

import pytest
from tests.chaos.stand_ins import BereftBroker

from job_tracker.projector.broker import Broker, BrokerAway
from local_stack import free_port


def test_waiting_for_a_leader_does_not_use_up_a_core() -> None:
    with BereftBroker(free_port(), dead_port=free_port()) as alive:
        broker = Broker(f"127.0.0.1:{alive.port}", timeout=2.0)
        began, used = time.monotonic(), time.process_time()
        with pytest.raises(BrokerAway):
            broker.ends([("led-by-the-dead", 0)])
        waited, used = time.monotonic() - began, time.process_time() - used
    assert alive.told
    assert used < waited / 4
