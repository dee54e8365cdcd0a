"""The Faust app: one agent on one topic. Its settings were tested under kills and rebalances.

With Faust's defaults, processing stops for minutes when members join or leave; docs/adr explains each setting.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import faust
from faust import streams

from job_events.errors import InvalidEvent
from job_events.topics import Topics
from matcher.agent.dead_letters import DeadLetterWriter
from matcher.agent.pool import ScoringPool
from matcher.agent.watchdog import Watchdog
from matcher.messages import decode_chunk
from matcher.settings import MatcherSettings
from service_kit.kafka_security import KafkaSecurity
from worker.dead_letters import DeadLetterSource

_DATABASE_PAUSE = 1.0  # seconds


class ChunkHandler:
    """Handles one message. It raises nothing, whatever the message holds.

    An exception out of an agent's body would leave a gap in the acknowledged offsets.
    """

    def __init__(self, pool: ScoringPool, dead_letters: DeadLetterWriter, watchdog: Watchdog) -> None:
        self._pool = pool
        self._dead_letters = dead_letters
        self._watchdog = watchdog

    async def handle(self, place: DeadLetterSource, key: bytes | None, value: bytes | None) -> None:
        """Score the chunk, or store the message as a dead letter; waits while the database is unreachable."""
        self._watchdog.began()
        while not await self._try(place, key, value):
            await asyncio.sleep(_DATABASE_PAUSE)
            self._watchdog.began()
        self._watchdog.done()

    async def _try(self, place: DeadLetterSource, key: bytes | None, value: bytes | None) -> bool:
        try:
            message = decode_chunk(value)
        except InvalidEvent as error:
            return await asyncio.to_thread(self._dead_letters.put, place, key, value, error.reason)
        return await self._pool.score(message.job_id, message.data.chunk) != "database away"


def refuse_slow_streams() -> None:
    """Exit where Faust's compiled stream is missing: the pure Python one acknowledges messages that it skips."""
    if streams.NO_CYTHON or getattr(streams, "_CStreamIterator", None) is None:
        raise SystemExit(
            "matcher agent: faust-streaming came without its compiled parts (or NO_CYTHON is set), and without them "
            "it loses messages: install the wheel that is made for this platform and Python"
        )


def credentials(security: KafkaSecurity) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """The same settings as Faust takes them."""
    context = security.ssl_context() if security.tls else None
    if security.sasl:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


def build(settings: MatcherSettings, topics: Topics, handler: ChunkHandler, watchdog: Watchdog) -> faust.App:
    """The app with its agent, not yet running."""
    group = f"{settings.jobtrail_topic_prefix}matcher-agent"
    app = faust.App(
        group,
        broker=";".join(f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")),
        broker_credentials=credentials(settings.kafka.security),
        # Faust always creates it. Without tables nothing is stored there, so all agents of a user share one.
        datadir=Path(tempfile.gettempdir(), f"matcher-agent-{os.getuid()}"),
        consumer_group_instance_id=settings.jobtrail_agent_slot or None,
        consumer_auto_offset_reset="earliest",
        processing_guarantee="at_least_once",
        broker_session_timeout=10,
        broker_heartbeat_interval=2,
        broker_rebalance_timeout=60,
        broker_request_timeout=40,
        broker_commit_every=1,
        broker_commit_interval=1,
        broker_max_poll_records=10,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    topic = app.topic(topics.chunks, key_serializer="raw", value_serializer="raw", internal=False)

    async def score_chunks(stream: Any) -> None:
        # Acknowledged here after the write: Faust's own acknowledgement includes a message that SIGTERM interrupts.
        async for event in stream.noack().events():
            message = event.message
            await handler.handle(
                DeadLetterSource(message.topic, message.partition, message.offset), message.key, message.value
            )
            event.ack()

    app.agent(topic, name="score_chunks")(score_chunks)

    def partitions() -> list[int]:
        return [place.partition for place in app.consumer.assignment() if place.topic == topics.chunks]

    async def watch() -> None:
        watchdog.start(group, partitions)

    app.task(watch)
    return app
