"""Counts a client's HTTP requests into the job's metadata, checkpoint by checkpoint."""

from platforms.shopify.client import ShopifyClient
from worker.job_result import JobCounters


class CallCounter:
    """Adds what was sent since the last count. A page that is rolled back ends the attempt, and its counts with it."""

    def __init__(self, client: ShopifyClient) -> None:
        self._client = client
        self._requests = 0
        self._hits = 0

    def count(self, counters: JobCounters) -> None:
        """Add `requests` and `rateLimitHits`."""
        requests, hits = self._client.requests, self._client.rate_limit_hits
        counters.count(requests=requests - self._requests, rateLimitHits=hits - self._hits)
        self._requests, self._hits = requests, hits
