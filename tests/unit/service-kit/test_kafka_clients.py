"""When a producer is replaced, and when a consumer is taken for deaf."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from service_kit import kafka

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
FATAL = KafkaError(KafkaError._FATAL, "out of order", fatal=True)


class _Producer:
    """Keeps messages until the test says what became of them."""

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


def send(sender: kafka.ReconnectingProducer, fates: list[KafkaError | None] | None = None) -> None:
    report = None if fates is None else lambda error, _: fates.append(error)
    sender.produce("t", b"v", "k", headers=[], on_delivery=report)


def test_after_a_message_that_waited_in_vain_comes_a_new_producer(made: list[_Producer]) -> None:
    sender, fates = kafka.producer("none", "test"), []
    for _ in range(3):
        send(sender, fates)
    made[0].tell(TIMED_OUT)
    send(sender, fates)
    assert [len(producer) for producer in made] == [2, 1]
    assert sender.flush(0) == 3
    # What the former one tells later says nothing of the new one.
    made[0].tell(TIMED_OUT)
    made[0].tell(None)
    sender.poll(0)
    send(sender, fates)
    assert [len(producer) for producer in made] == [0, 2]
    assert fates == [TIMED_OUT, TIMED_OUT, None]
    # And the new one is replaced in its turn.
    made[1].tell(TIMED_OUT)
    send(sender, fates)
    assert [len(producer) for producer in made] == [0, 1, 1]


def test_two_producers_are_the_most_while_kafka_is_away(made: list[_Producer]) -> None:
    sender = kafka.producer("none", "test")
    for _ in range(3):
        send(sender)
        send(sender)
        made[-1].tell(TIMED_OUT)
    assert len(made) == 2
    made[0].tell(TIMED_OUT)
    sender.flush(0)
    send(sender)
    assert len(made) == 3


def test_a_message_that_is_refused_for_itself_replaces_nothing(made: list[_Producer]) -> None:
    sender = kafka.producer("none", "test")
    send(sender)
    made[0].tell(TOO_LARGE)
    send(sender)
    assert len(made) == 1


def test_a_producer_with_a_fatal_error_is_replaced(made: list[_Producer], monkeypatch: pytest.MonkeyPatch) -> None:
    sender = kafka.producer("none", "test")
    with monkeypatch.context() as broken:
        broken.setattr(_Producer, "refuses", FATAL)
        with pytest.raises(KafkaException):
            send(sender)
    send(sender)
    assert [len(producer) for producer in made] == [0, 1]


def test_only_a_consumer_that_twice_finds_nobody_where_others_do_is_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    now, seen = [0.0], {"it": True, "others": True}

    def sees(client: object) -> bool:
        return seen["it" if isinstance(client, kafka.MonitoredConsumer) else "others"]

    monkeypatch.setattr(kafka, "_sees_brokers", sees)
    listener = kafka.MonitoredConsumer(
        {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}, lambda: now[0]
    )

    def after(seconds: float, *, heard: bool = False) -> bool:
        now[0] += seconds
        return listener.is_stalled(heard=heard)

    assert not after(kafka.QUIET)  # a quiet topic
    seen["it"] = False
    assert not after(kafka.QUIET)
    assert not after(kafka.QUIET - 1)
    assert not after(1, heard=True)  # it was slow, not deaf
    assert not after(kafka.QUIET)
    seen["others"] = False
    assert not after(kafka.QUIET)  # Kafka is away for everybody
    seen["others"] = True
    assert not after(kafka.QUIET)
    assert after(kafka.QUIET)
    listener.leave()
