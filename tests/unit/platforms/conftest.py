"""A clock that only waiting moves, and platforms that answer from a script."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from platforms.connections import Connection
from platforms.nhanh.client import NhanhClient
from platforms.results import Exchange
from platforms.shopify.client import ShopifyClient

START = 1_700_000_000.0
Handler = Callable[[httpx.Request], httpx.Response]


class FakeTime:
    """`clock` and `wait` of one imaginary machine."""

    def __init__(self) -> None:
        self.now = START
        self.waits: list[tuple[float, str]] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float, reason: object) -> None:
        self.waits.append((seconds, str(reason)))
        self.now += seconds

    @property
    def waited(self) -> float:
        return self.now - START


class Script:
    """Answers requests one by one; the last answer is repeated. An exception in the script is raised."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def exchanges() -> list[Exchange]:
    return []


@pytest.fixture
def nhanh(fake_time: FakeTime, exchanges: list[Exchange]) -> Callable[..., NhanhClient]:
    """Makes a client on a script: nhanh(script, secret_key=…, retry_timeout=…)."""

    def make(script: Handler, *, secret_key: str | None = None, **options: Any) -> NhanhClient:
        credentials = {"app_id": "7", "business_id": "42", "access_token": "nhanh-token-123456"}
        if secret_key:
            credentials["secret_key"] = secret_key
        connection = Connection("demo", "shop", "nhanh", "https://nhanh.test", credentials)
        return NhanhClient(
            connection,
            wait=fake_time.wait,
            clock=fake_time.clock,
            http=httpx.Client(transport=httpx.MockTransport(script)),
            on_exchange=exchanges.append,
            **options,
        )

    return make


@pytest.fixture
def shopify(fake_time: FakeTime, exchanges: list[Exchange]) -> Callable[..., ShopifyClient]:
    """Makes a client on a script: shopify(script, retry_timeout=…)."""

    def make(script: Handler, **options: Any) -> ShopifyClient:
        connection = Connection("demo", "shop", "shopify", "https://shop.test", {"access_token": "shpat_0123456789"})
        return ShopifyClient(
            connection,
            wait=fake_time.wait,
            clock=fake_time.clock,
            http=httpx.Client(transport=httpx.MockTransport(script)),
            on_exchange=exchanges.append,
            **options,
        )

    return make


@pytest.fixture
def script() -> type[Script]:
    return Script
