"""A broker is dead, and nobody has taken over from it yet: whoever asks for what only it can tell has to wait."""

import time
from collections.abc import Callable

import pytest
from tests.chaos.stand_ins import StandIn, dead_peer

from job_tracker.errors import BrokerAway
from job_tracker.log.broker import Broker
from local_stack import free_port


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda broker: broker.ends([("led-by-the-dead", 0)]), id="the leader"),
        pytest.param(lambda broker: broker.topic_ids(["led-by-the-dead"]), id="the controller"),
    ],
)
def test_waiting_does_not_use_up_a_core(ask: Callable[[Broker], object]) -> None:
    port = free_port()
    with StandIn(port, dead_peer(port, dead_port=free_port())) as alive:
        broker = Broker(f"127.0.0.1:{port}", timeout=2.0)
        began, used = time.monotonic(), time.process_time()
        with pytest.raises(BrokerAway):
            ask(broker)
        waited, used = time.monotonic() - began, time.process_time() - used
    assert alive.asked
    assert used < waited / 4
