"""Checks before and after the log is read: one process, no loss, the same topics."""

from collections.abc import Mapping

from job_tracker.errors import RebuildRefused
from job_tracker.log.broker import Broker
from job_tracker.log.records import TopicPartition
from job_tracker.rebuild.plan import LogRange, Plan
from job_tracker.store.postgres import Connection


def take_lock(connection: Connection, name: str) -> None:
    """Take the lock of this name for the life of the connection.

    Raises:
        RebuildRefused
    """
    if connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name]).fetchone() != (True,):
        raise RebuildRefused("another one is at work; wait for its end")


def look_at_log(broker: Broker, topics: list[str]) -> dict[TopicPartition, LogRange]:
    """What the broker holds of each partition of these topics.

    Raises:
        RebuildRefused: a topic does not exist.
        BrokerAway
    """
    found = broker.topic_ids(topics)
    if missing := set(topics) - found.keys():
        raise RebuildRefused(f"the broker has no topic {', '.join(sorted(missing))}; start the tracker first")
    partitions = [(topic, number) for topic, (_, count) in found.items() for number in range(count)]
    spans = broker.spans(partitions, stable=True)
    return {partition: LogRange(found[partition[0]][0], spans[partition]) for partition in partitions}


def refuse_losses(plan: Plan, *, may_accept: bool) -> None:
    """Refuse if something is in neither the log nor the archive. `may_accept`: the operator may accept the loss.

    Raises:
        RebuildRefused
    """
    if plan.losses:
        choice = ", or go on without them with --accept-loss" if may_accept else ""
        raise RebuildRefused(f"{'; '.join(plan.losses)}. Name the archive's folder with --archive{choice}.")


def check_topics(broker: Broker, topic_ids: Mapping[TopicPartition, str]) -> None:
    """Check that all of it was read from the topics with these ids.

    Raises:
        RebuildRefused
        BrokerAway
    """
    for topic in broker.recreated((topic, topic_id) for (topic, _), topic_id in topic_ids.items()):
        raise RebuildRefused(f"topic {topic} was recreated while it was read; begin again")
