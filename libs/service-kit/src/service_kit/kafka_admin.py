"""Administration of a Kafka cluster: create the topics of the contract, count the members of a consumer group."""

from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from job_events.topics import Topics
from service_kit.kafka import TO_ALL_BROKERS
from service_kit.kafka_diagnosis import reach
from service_kit.kafka_security import Kafka


def create_topics(kafka: Kafka, topics: Topics, replication: int = 1, timeout: float = 30) -> None:
    """Create the missing topics; existing topics stay as they are. `timeout` in seconds.

    Raises:
        KafkaUnreachable: no broker could be used in time; the text gives the reason, where that is known.
        KafkaException: the broker refused.
    """
    admin = reach(kafka, timeout, TO_ALL_BROKERS)
    wanted = [NewTopic(spec.name, spec.partitions, replication, config=spec.config()) for spec in topics.specs()]
    created: dict[str, Future[None]] = admin.create_topics(wanted, operation_timeout=timeout, request_timeout=timeout)
    for future in created.values():
        try:
            future.result(timeout)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def group_members(admin: AdminClient, group: str, timeout: float) -> int:
    """How many members a consumer group has; 0 for an unknown group. `timeout` in seconds.

    Raises:
        KafkaException: no answer in time, or an error instead of one.
    """
    return len(admin.describe_consumer_groups([group], request_timeout=timeout)[group].result().members)
