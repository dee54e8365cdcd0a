"""What the matcher's two kinds of processes read from the environment."""

from pydantic import Field

from service_kit.settings import ServiceSettings


class MatcherSettings(ServiceSettings):
    """Sizes of chunks are in records of the hub, times in seconds."""

    jobtrail_product_chunk: int = Field(default=200, ge=1, description="products that an agent scores at a time")
    jobtrail_customer_chunk: int = Field(default=2000, ge=1, description="customers that an agent scores at a time")
    jobtrail_chunk_overdue: float = Field(default=30, gt=0, description="silence after which a chunk is sent again")
    jobtrail_agent_slot: str = Field(
        default="", description="a name that no other running agent has: it takes its partitions back after a restart"
    )
    jobtrail_agent_idle: float = Field(default=60, gt=0, description="silence with work waiting that ends an agent")
    jobtrail_chunk_limit: float = Field(default=600, gt=0, description="time for one chunk after which its agent ends")
