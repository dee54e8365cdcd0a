"""When a producer is replaced, and when a consumer is stalled."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from service_kit import kafka

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
FATAL = KafkaError(KafkaError._FATAL, "out of order", fatal=True)


class _Producer:
    """Keeps messages until the test reports their delivery."""

    made: list["_Producer"]
    refuses: KafkaError | None = None

    def __init__(self, _settings: dict[str, Any]) -> None:
        self.queue: list[Callable[[KafkaError | None, Any], None]] = []
        self.made.append(self)

    def produce(self, _topic: str, _value: bytes, _key: str, headers: Any, on_delivery: Any) -> None:
        del headers
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        self.queue.append(on_delivery)

    def tell(self, error: KafkaError | None) -> None:
        self.queue.pop(0)(error, None)

    def poll(self, _timeout: float) -> None: ...

    def flush(self, _timeout: float) -> int:
        return len(self.queue)

    def __len__(self) -> int:
        return len(self.queue)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[_Producer]:
    monkeypatch.setattr(kafka, "Producer", _Producer)
    monkeypatch.setattr(_Producer, "made", [], raising=False)
    return _Producer.made


def send(producer: kafka.ReconnectingProducer, reports: list[KafkaError | None] | None = None) -> None:
    report = None if reports is None else lambda error, _: reports.append(error)
    producer.produce("t", b"v", "k", headers=[], on_delivery=report)


def test_a_producer_is_replaced_after_a_message_timed_out(made: list[_Producer]) -> None:
    client, reports = kafka.producer("none", "test"), []
    for _ in range(3):
        send(client, reports)
    made[0].tell(TIMED_OUT)
    send(client, reports)
    assert [len(producer) for producer in made] == [2, 1]
    assert client.flush(0) == 3
    # Later reports of the former producer do not count for the new one.
    made[0].tell(TIMED_OUT)
    made[0].tell(None)
    client.poll(0)
    send(client, reports)
    assert [len(producer) for producer in made] == [0, 2]
    assert reports == [TIMED_OUT, TIMED_OUT, None]
    # The new producer is replaced in the same way.
    made[1].tell(TIMED_OUT)
    send(client, reports)
    assert [len(producer) for producer in made] == [0, 1, 1]


def test_two_producers_are_the_most_while_kafka_is_away(made: list[_Producer]) -> None:
    client = kafka.producer("none", "test")
    for _ in range(3):
        send(client)
        send(client)
        made[-1].tell(TIMED_OUT)
    assert len(made) == 2
    made[0].tell(TIMED_OUT)
    client.flush(0)
    send(client)
    assert len(made) == 3


def test_a_refused_message_does_not_replace_the_producer(made: list[_Producer]) -> None:
    client = kafka.producer("none", "test")
    send(client)
    made[0].tell(TOO_LARGE)
    send(client)
    assert len(made) == 1


def test_a_producer_with_a_fatal_error_is_replaced(made: list[_Producer], monkeypatch: pytest.MonkeyPatch) -> None:
    client = kafka.producer("none", "test")
    with monkeypatch.context() as broken:
        broken.setattr(_Producer, "refuses", FATAL)
        with pytest.raises(KafkaException):
            send(client)
    send(client)
    assert [len(producer) for producer in made] == [0, 1]


def test_a_consumer_is_stalled_if_it_twice_finds_no_broker_although_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now, seen = [0.0], {"it": True, "others": True}

    def sees(client: object) -> bool:
        return seen["it" if isinstance(client, kafka.MonitoredConsumer) else "others"]

    monkeypatch.setattr(kafka, "_sees_brokers", sees)
    consumer = kafka.MonitoredConsumer(
        {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}, lambda: now[0]
    )

    def after(seconds: float, *, received: bool = False) -> bool:
        now[0] += seconds
        return consumer.is_stalled(received=received)

    assert not after(kafka.IDLE_SECONDS)  # a quiet topic
    seen["it"] = False
    assert not after(kafka.IDLE_SECONDS)
    assert not after(kafka.IDLE_SECONDS - 1)
    assert not after(1, received=True)  # it was slow, not stalled
    assert not after(kafka.IDLE_SECONDS)
    seen["others"] = False
    assert not after(kafka.IDLE_SECONDS)  # Kafka is away for every client
    seen["others"] = True
    assert not after(kafka.IDLE_SECONDS)
    assert after(kafka.IDLE_SECONDS)
    consumer.leave()
