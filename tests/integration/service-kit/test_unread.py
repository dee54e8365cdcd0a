"""A consumer that missed the assignment of a partition is replaced."""

from typing import Any

import pytest

from service_kit import kafka as clients


@pytest.mark.long
def test_an_unread_partition_stalls_a_consumer_once(*, topics: Any, kafka: str, wait_until: Any) -> None:
    now = [0.0]
    topic, group = topics.events, topics.events + "-group"
    settings = {
        "bootstrap.servers": kafka,
        "group.id": group,
        "group.protocol": "consumer",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "log_level": 0,
    }

    def subscribed() -> clients.MonitoredConsumer:
        consumer = clients.MonitoredConsumer(settings, lambda: now[0])
        consumer.subscribe([topic])

        def assigned() -> bool:
            consumer.consume(100, 0.2)
            return len(consumer.assignment()) == partitions

        wait_until(assigned, "the consumer to get its partitions")
        return consumer

    def stalls_within(consumer: clients.MonitoredConsumer, seconds: int) -> bool:
        for _ in range(seconds):
            now[0] += 1
            if consumer.is_stalled(received=True):
                return True
        return False

    producer = clients.producer(kafka, "test")
    partitions = 6
    consumer = subscribed()
    for partition in range(partitions):
        producer.produce(topic, b"{}", str(partition), headers=[])
    assert producer.flush(60) == 0
    assert not stalls_within(consumer, 300), "messages of assigned partitions do not count"
    consumer.incremental_unassign(consumer.assignment())  # the group is not informed
    assert not stalls_within(consumer, int(clients.UNREAD_SECONDS) - 21)
    assert stalls_within(consumer, 60)
    consumer.leave()
    # A consumer is replaced once for each position.
    again = subscribed()
    again.incremental_unassign(again.assignment())
    tries = sum(stalls_within(again, 150) for _ in range(partitions + 2))
    again.leave()
    assert 0 < tries < partitions
