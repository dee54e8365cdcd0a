"""What a peer's process is told: read from the environment, as its own documentation's examples do."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Given:
    """Where to read and where to write."""

    kafka: str
    topic: str
    group: str
    database_url: str

    def environment(self) -> dict[str, str]:
        """The environment that tells it."""
        return os.environ | {
            "BENCH_KAFKA": self.kafka,
            "BENCH_TOPIC": self.topic,
            "BENCH_GROUP": self.group,
            "BENCH_DATABASE_URL": self.database_url,
        }


def given() -> Given:
    """Read it inside the peer's process."""
    return Given(*(os.environ[name] for name in ("BENCH_KAFKA", "BENCH_TOPIC", "BENCH_GROUP", "BENCH_DATABASE_URL")))
