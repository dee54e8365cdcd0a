"""The settings of a peer's process, passed in environment variables."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The topic to read, the consumer group and the database to write."""

    kafka: str
    topic: str
    group: str
    database_url: str

    def environment(self) -> dict[str, str]:
        """This environment with the settings added."""
        return os.environ | {
            "BENCH_KAFKA": self.kafka,
            "BENCH_TOPIC": self.topic,
            "BENCH_GROUP": self.group,
            "BENCH_DATABASE_URL": self.database_url,
        }


def peer_settings() -> PeerSettings:
    """Read the settings in the peer's process."""
    return PeerSettings(
        *(os.environ[name] for name in ("BENCH_KAFKA", "BENCH_TOPIC", "BENCH_GROUP", "BENCH_DATABASE_URL"))
    )
