"""A partition that the group has given to a consumer which does not know of it is read by another one."""

from typing import Any

from service_kit import kafka as clients


def test_what_nobody_reads_is_noticed_once(*, topics: Any, kafka: str, wait_until: Any) -> None:
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

    def listening() -> clients.MonitoredConsumer:
        listener = clients.MonitoredConsumer(settings, lambda: now[0])
        listener.subscribe([topic])

        def assigned() -> bool:
            listener.consume(100, 0.2)
            return len(listener.assignment()) == partitions

        wait_until(assigned, "it is given nothing")
        return listener

    def deaf_within(listener: clients.MonitoredConsumer, seconds: int) -> bool:
        for _ in range(seconds):
            now[0] += 1
            if listener.is_stalled(heard=True):
                return True
        return False

    sender = clients.producer(kafka, "test")
    partitions = 6
    listener = listening()
    for partition in range(partitions):
        sender.produce(topic, b"{}", str(partition), headers=[])
    assert sender.flush(60) == 0
    assert not deaf_within(listener, 300), "what waits in its own partitions is its own affair"
    listener.incremental_unassign(listener.assignment())  # the group hears nothing of that
    assert not deaf_within(listener, int(clients.UNREAD) - 21)
    assert deaf_within(listener, 60)
    listener.leave()
    # Where that has been tried it is not tried again, but where others wait.
    again = listening()
    again.incremental_unassign(again.assignment())
    tries = sum(deaf_within(again, 150) for _ in range(partitions + 2))
    again.leave()
    assert 0 < tries < partitions
