"""Stores a message that an agent cannot read as a dead letter; the owner's outbox sends it."""

import psycopg
from psycopg import OperationalError

from job_events.topics import Topics
from service_kit.clock import Clock
from service_kit.database import watched
from worker.dead_letters import DeadLetterSource, put_dead_letter


class DeadLetterWriter:
    """Writes dead letters. They are rare, so each opens a connection of its own."""

    def __init__(self, database_url: str, topics: Topics, clock: Clock) -> None:
        self._database_url = watched(database_url)
        self._topics = topics
        self._clock = clock

    def put(self, place: DeadLetterSource, key: bytes | None, value: bytes | None, reason: str) -> bool:
        """Write one dead letter; False while the database is unreachable."""
        try:
            with psycopg.connect(
                self._database_url,
                options="-c search_path=matcher",
                application_name="matcher-agent",
            ) as conn:
                put_dead_letter(
                    conn,
                    self._topics,
                    place=place,
                    key=key,
                    value=value,
                    consumer="matcher-agent",
                    source="jobtrail/matcher/agent",
                    time=self._clock.now(),
                    reason=reason,
                )
        except OperationalError:
            return False
        return True
