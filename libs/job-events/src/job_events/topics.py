"""The topics: names, partitions, retention. The services create them; brokers do not (`auto.create.topics.enable`)."""

from dataclasses import dataclass

from job_events.job_types import JOB_TYPES

DAY_MS = 24 * 60 * 60 * 1000
SERVICES = tuple(dict.fromkeys(job_type.service for job_type in JOB_TYPES.values()))
"""The services that run jobs. Each has a request topic of its own."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """The settings of one topic. `retention_days` bounds how far back a replay reaches."""

    name: str
    partitions: int
    retention_days: int

    def config(self) -> dict[str, str]:
        """Broker settings. The tracker stores the append time, so the broker must set it (LogAppendTime)."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_days * DAY_MS),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": "2097152",
        }


@dataclass(frozen=True, slots=True)
class Topics:
    """All topic names under a prefix (empty in production, unique in tests)."""

    prefix: str = ""

    def requests(self, service: str) -> str:
        """The topic on which `service` takes job requests and control messages."""
        return f"{self.prefix}jobs.requests.{service}"

    @property
    def events(self) -> str:
        return f"{self.prefix}jobs.events"

    @property
    def items(self) -> str:
        return f"{self.prefix}jobs.items"

    @property
    def chunks(self) -> str:
        return f"{self.prefix}matcher.chunks"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}jobs.dead-letters"

    def lifecycle(self) -> list[str]:
        """The topics from which the job table is folded."""
        return [*(self.requests(service) for service in SERVICES), self.events]

    def specs(self) -> list[TopicSpec]:
        """Every topic of the contract."""
        return [
            *(TopicSpec(self.requests(service), 3, 30) for service in SERVICES),
            TopicSpec(self.events, 6, 30),
            TopicSpec(self.items, 6, 30),
            TopicSpec(self.chunks, 6, 2),
            TopicSpec(self.dead_letters, 3, 90),
        ]


def request_key(tenant: str, account: str) -> bytes:
    """Key of a request: one account's requests and their control messages keep their order."""
    return f"{tenant}/{account}".encode()
