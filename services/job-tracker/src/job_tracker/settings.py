"""The settings from the environment."""

from typing import Annotated

from pydantic import Field

from service_kit.settings import ServiceSettings

Days = Annotated[int, Field(ge=1, le=36_500)]  # so many before today there is still a date


class Settings(ServiceSettings):
    """The tracker's own settings besides those of every service."""

    jobtrail_api_host: str = Field(default="127.0.0.1", description="address the API listens on")
    jobtrail_api_names: str = Field(
        default="", description="names that the API answers to besides addresses and names without a dot; with commas"
    )
    jobtrail_api_port: int = Field(default=8400, ge=0, le=65535, description="port of the API; 0 picks a free one")
    jobtrail_batch_events: int = Field(default=40_000, ge=1, le=100_000, description="most events in one transaction")
    jobtrail_history_days: Days = Field(default=90, description="days that events of the history are kept")
    jobtrail_job_days: Days = Field(
        default=400, description="days that finished and deleted jobs are kept after their end"
    )
    jobtrail_items_days: Days = Field(default=90, description="days that items and dead letters are kept")
    jobtrail_keys_days: Days = Field(default=30, description="days that idempotency keys of the API are kept")
