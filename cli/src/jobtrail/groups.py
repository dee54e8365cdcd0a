"""The consumer groups of a whole system, and whether anybody is in them."""

from confluent_kafka.admin import AdminClient

GROUPS = ("tracker-jobs", "tracker-items", "puller", "matcher", "syncer", "matcher-agent")


def members(admin: AdminClient, group: str, timeout: float) -> int:
    """How many members the broker counts; 0 for a group it does not know.

    Raises:
        KafkaException: no answer within `timeout` seconds, or an error instead of one.
    """
    return len(admin.describe_consumer_groups([group], request_timeout=timeout)[group].result().members)
