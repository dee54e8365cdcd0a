"""A client of Kafka's that has failed once is not trusted with the next question."""

from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException

from job_tracker.errors import BrokerAway
from job_tracker.log import broker
from job_tracker.log.broker import Broker


class _Offset:
    offset = 7


class _Client:
    """Fails for ever if it is the first, and answers if it is not."""

    made = 0

    def __init__(self, _settings: dict[str, Any]) -> None:
        type(self).made += 1
        self._lost = type(self).made == 1

    def poll(self, _timeout: float) -> None: ...

    def list_offsets(self, wanted: dict[Any, Any], **more: Any) -> dict[Any, Future[_Offset]]:
        del more
        futures: dict[Any, Future[_Offset]] = {partition: Future() for partition in wanted}
        for future in futures.values():
            if self._lost:
                future.set_exception(KafkaException(KafkaError(KafkaError._NOENT, "No leaders found")))
            else:
                future.set_result(_Offset())
        return futures


def test_the_question_after_a_failure_goes_through_a_new_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "AdminClient", _Client)
    monkeypatch.setattr(_Client, "made", 0)
    asked = Broker("127.0.0.1:9092")
    with pytest.raises(BrokerAway, match="No leaders found"):
        asked.ends([("t", 0)])
    assert asked.ends([("t", 0)]) == {("t", 0): 7}
    assert asked.ends([("t", 0)]) == {("t", 0): 7}
    assert _Client.made == 2


def test_no_offset_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a leader is chosen the client gives OFFSET_INVALID, and no error: never a position to begin at."""
    monkeypatch.setattr(broker, "AdminClient", _Client)
    monkeypatch.setattr(_Client, "made", 1)
    monkeypatch.setattr(_Offset, "offset", OFFSET_INVALID)
    asked = Broker("127.0.0.1:9092")
    for ask in (asked.ends, asked.spans):
        with pytest.raises(BrokerAway, match="gave no offset"):
            ask([("t", 0)])
    assert asked.offsets_at([("t", 0)], datetime(2026, 11, 24, tzinfo=UTC)) == {("t", 0): None}
