"""What both clients do with requests that cannot be sent, and with answers that no platform should give."""

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.http_server import running_server

from platforms.connections import Connection
from platforms.errors import InvalidCredentials, RateLimited, Unavailable
from platforms.nhanh.client import NhanhClient
from platforms.shopify.client import ShopifyClient

NO_NODES = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        raise AssertionError("nothing could be sent")


@pytest.fixture
def listening() -> Iterator[str]:
    with running_server(_Answering) as address:
        yield address


@pytest.mark.parametrize("kind", [NhanhClient, ShopifyClient])
@pytest.mark.parametrize("token", ["shpat_0a1b2c3d\n4e5f6071", "shpat_tôken12345"])
def test_a_token_that_no_header_can_carry_is_refused_at_once_and_not_shown(
    listening: str, fake_time: Any, exchanges: Any, kind: Any, token: str
) -> None:
    credentials = {"app_id": "7", "business_id": "42", "access_token": token}
    connection = Connection("demo", "shop", "any", listening, credentials)
    client = kind(connection, wait=fake_time.wait, clock=fake_time.clock, on_exchange=exchanges.append)
    with capture_logs() as logs, pytest.raises(InvalidCredentials) as caught:
        client.products()
    result = client.check()
    client.close()
    assert not result.ok
    assert fake_time.waits == []
    for part in ("0a1b2c3d", "4e5f6071", "ken12345"):
        assert part not in f"{caught.value} {result} {logs} {exchanges}"


UNTOLD = ["inf", "nan", "1e999", "soon", "-inf", "0, 5", "5 s", ",", "Mon,", "99 99 99"]
AT_ONCE = ["0", "0.0", "-5", "0.001", "-1e300", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 -0000"]
TOO_LONG = ["1000000000", "Fri, 31 Dec 9999 23:59:59 -0000", "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.mark.parametrize("platform", ["nhanh", "shopify"])
@pytest.mark.parametrize("status", [429, 503])
def test_only_a_limit_is_waited_for_beyond_the_retry_timeout_and_for_an_hour_at_most(
    request: pytest.FixtureRequest, script: Any, fake_time: Any, platform: str, status: int
) -> None:
    make = request.getfixturevalue(platform)
    for value in UNTOLD + TOO_LONG:
        before = len(fake_time.waits)
        with pytest.raises((Unavailable, RateLimited)):
            make(script(httpx.Response(status, headers={"Retry-After": value}))).products()
        waits = [seconds for seconds, _ in fake_time.waits[before:]]
        told = value in TOO_LONG
        assert (waits == []) == (told and status == 503), value
        assert sum(waits) < 1800 + 60 + (3600 if told else 0), value


@pytest.mark.parametrize("platform", ["nhanh", "shopify"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", [*AT_ONCE, *UNTOLD])
def test_who_is_refused_calls_once_a_second_at_most(
    request: pytest.FixtureRequest, script: Any, fake_time: Any, platform: str, status: int, value: str
) -> None:
    refusing = script(httpx.Response(status, headers={"Retry-After": value}))
    with pytest.raises((Unavailable, RateLimited)):
        request.getfixturevalue(platform)(refusing, retry_timeout=60.0).products()
    assert len(refusing.requests) <= fake_time.waited + 2
    if value in AT_ONCE:
        assert {seconds for seconds, reason in fake_time.waits if not reason.startswith("rate limit")} == {1.0}


def test_a_retry_after_date_is_waited_for(shopify: Any, script: Any, fake_time: Any) -> None:
    date = format_datetime(datetime.fromtimestamp(fake_time.now + 30, UTC), usegmt=True)
    busy = httpx.Response(503, headers={"Retry-After": date})
    assert shopify(script(busy, httpx.Response(200, json={"data": {"locations": NO_NODES}}))).locations() == []
    assert fake_time.waited == 30


def _parts(fake_time: Any, part: bytes, count: int, seconds: float) -> Iterator[bytes]:
    for _ in range(count):
        fake_time.now += seconds
        yield part
    yield b'{"code": 1, "data": []}'


def test_an_answer_that_trickles_is_given_up(nhanh: Any, fake_time: Any, exchanges: Any) -> None:
    client = nhanh(lambda _: httpx.Response(200, content=_parts(fake_time, b" ", 1000, 3.0)), retry_timeout=60.0)
    with pytest.raises(Unavailable) as caught:
        client.products()
    assert caught.value.category == "TIMEOUT"
    assert client.requests == 2
    assert "120 s" in exchanges[0].error
    quick = nhanh(lambda _: httpx.Response(200, content=_parts(fake_time, b" ", 30, 3.0)))
    assert quick.products().items == []


def test_an_answer_without_end_is_given_up(nhanh: Any, fake_time: Any) -> None:
    mebibyte = b" " * 1024 * 1024
    with pytest.raises(Unavailable) as caught:
        nhanh(
            lambda _: httpx.Response(200, content=_parts(fake_time, mebibyte, 40, 0.0)), retry_timeout=10.0
        ).products()
    assert "32 MiB" in caught.value.message
    packed = zlib.compress(mebibyte * 64, wbits=31)
    headers = {"Content-Encoding": "gzip"}
    with pytest.raises(Unavailable) as caught:
        nhanh(lambda _: httpx.Response(200, headers=headers, content=iter([packed])), retry_timeout=10.0).products()
    assert "32 MiB" in caught.value.message


def test_a_packed_answer_is_read(nhanh: Any) -> None:
    packed = zlib.compress(b'{"code": 1, "data": [{"id": 1}]}', wbits=31)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    client = nhanh(lambda _: httpx.Response(200, headers=headers, content=iter([packed[:9], packed[9:]])))
    assert client.products().items == [{"id": 1}]
