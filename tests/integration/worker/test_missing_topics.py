"""A service logs a missing topic once, reads its other topics, and reads the topic when it appears."""

from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from service_kit import kafka as clients
from service_kit.kafka_admin import create_topics


@pytest.mark.parametrize("before", [True, False])
def test_a_missing_request_topic_is_logged_once_and_read_when_it_appears(
    *, bench: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    monkeypatch.setattr(clients, "_UNREAD_INTERVAL", 0.5)
    topic = bench.topics.requests("puller")
    admin = AdminClient({"bootstrap.servers": bench.kafka})

    def delete() -> None:
        for future in admin.delete_topics([topic]).values():
            future.result(120)
        wait_until(lambda: topic not in admin.list_topics(timeout=120).topics, "not deleted")

    if before:
        delete()
    with capture_logs() as logs, bench.running({"PULL_NHANH_PRODUCTS": lambda _job: None}):
        if not before:
            first = bench.request()
            wait_until(lambda: bench.end_of(first), "the job does not run")
            delete()
        told = [("topic missing", topic)]

        def said() -> list[Any]:
            return [(one["event"], one["topic"]) for one in logs if one["event"].startswith("topic ")]

        wait_until(lambda: said() == told, "it is not named")
        create_topics(bench.kafka, bench.topics)
        job = bench.request()
        wait_until(lambda: bench.end_of(job), "what came when the topic was there again is not read")
        wait_until(lambda: said() == [*told, ("topic found", topic)], "it is not said that it is there")
        unknown = [one for one in logs if "nknown topic" in str(one)]
    assert unknown == []
