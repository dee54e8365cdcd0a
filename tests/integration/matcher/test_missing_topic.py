"""An agent whose topic is missing says so once, and begins anew when the topic is there again."""

from typing import Any

from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from matcher.agent.watchdog import Watchdog
from service_kit.kafka_admin import create_topics


def test_a_missing_topic_is_named_once_and_ends_the_agent_when_it_appears(
    *, kafka: str, topics: Any, wait_until: Any
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_topics([topics.chunks]).values():
        future.result(120)
    left: list[int] = []
    watchdog = Watchdog(kafka, topics.chunks, idle_seconds=600, chunk_seconds=600, leave=left.append)
    with capture_logs() as logs:
        watchdog.start("agents", list[int])

        def said() -> list[Any]:
            return [(one["event"], one["topic"]) for one in logs if one["event"].startswith("topic ")]

        told = [("topic missing", topics.chunks)]
        wait_until(lambda: said() == told, "it is not named")
        create_topics(kafka, topics)
        wait_until(lambda: len(left) == 1, "it does not begin anew")
        assert said() == [*told, ("topic found", topics.chunks)]
