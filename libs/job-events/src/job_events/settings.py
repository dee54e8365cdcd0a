"""What every service reads from its environment."""

from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Addresses and sizes. A missing required variable ends the start with a message that names it."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(description="host:port of a Kafka broker")
    database_url: str = Field(description="postgresql://user:password@host:port/database")
    jobtrail_secret_key: str = Field(default="", description="Fernet key that seals the platforms' credentials")
    jobtrail_workers: int = Field(default=4, ge=1, le=64, description="jobs that one process runs at once")
    jobtrail_jobs_per_account: int = Field(default=4, ge=1, description="jobs that one account may run at once")
    jobtrail_replication: int = Field(default=1, ge=1, description="replicas of the topics that are created")
    jobtrail_topic_prefix: str = Field(default="", description="put before every topic name and consumer group")


Settings = TypeVar("Settings", bound=ServiceSettings)


def read_settings(kind: type[Settings], service: str) -> Settings:
    """The settings from the environment; the process ends with one sentence where something is missing or wrong."""
    try:
        return kind.model_validate({})
    except ValidationError as error:
        wrong = "; ".join(f"{str(part['loc'][0]).upper()}: {part['msg']}" for part in error.errors())
        raise SystemExit(f"{service}: the environment needs mending: {wrong}") from None
