"""Kafka clients with the settings that correctness and speed need, in one place."""

from confluent_kafka import Consumer, Producer


def producer(bootstrap_servers: str, client_id: str, delivery_timeout_ms: int = 10_000) -> Producer:
    """An idempotent producer. A message unacknowledged after `delivery_timeout_ms` is reported as failed.

    The partitioner is the Java clients' own, so that every tool agrees on a key's partition.
    """
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "client.id": client_id,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.timeout.ms": delivery_timeout_ms,
            "message.max.bytes": 2_097_152,
            "log_level": 3,
        }
    )


def consumer(bootstrap_servers: str, group: str, client_id: str) -> Consumer:
    """A consumer of the KIP-848 protocol that commits nothing by itself.

    The two fetch settings keep librdkafka from idling between fetches at high rates.
    """
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "client.id": client_id,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 65_536,
            "log_level": 3,
        }
    )
