"""What both clients do with requests that cannot be sent, and with answers that no platform should give."""

import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.served import served

from platforms.connections import Connection
from platforms.errors import InvalidCredentials, RateLimited, Unavailable
from platforms.nhanh import NhanhClient
from platforms.shopify import ShopifyClient


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        raise AssertionError("nothing could be sent")


@pytest.fixture
def listening() -> Iterator[str]:
    with served(_Answering) as address:
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


UNTOLD = ["inf", "nan", "1e999", "soon"]
TOO_LONG = ["1000000000", "Fri, 31 Dec 9999 23:59:59 -0000", "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.mark.parametrize("platform", ["nhanh", "shopify"])
@pytest.mark.parametrize("status", [429, 503])
def test_no_retry_after_outlasts_the_patience(
    request: pytest.FixtureRequest, script: Any, fake_time: Any, platform: str, status: int
) -> None:
    make = request.getfixturevalue(platform)
    for value in UNTOLD + TOO_LONG:
        before = len(fake_time.waits)
        with pytest.raises((Unavailable, RateLimited)):
            make(script(httpx.Response(status, headers={"Retry-After": value}))).products()
        waits = [seconds for seconds, _ in fake_time.waits[before:]]
        assert (waits == []) == (value in TOO_LONG), value
        assert sum(waits) < 1800 + 60, value


def _parts(fake_time: Any, part: bytes, count: int, seconds: float) -> Iterator[bytes]:
    for _ in range(count):
        fake_time.now += seconds
        yield part
    yield b'{"code": 1, "data": []}'


def test_an_answer_that_trickles_is_given_up(nhanh: Any, fake_time: Any, exchanges: Any) -> None:
    client = nhanh(lambda _: httpx.Response(200, content=_parts(fake_time, b" ", 1000, 3.0)), patience=60.0)
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
        nhanh(lambda _: httpx.Response(200, content=_parts(fake_time, mebibyte, 40, 0.0)), patience=10.0).products()
    assert "32 MiB" in caught.value.message
    packed = zlib.compress(mebibyte * 64, wbits=31)
    headers = {"Content-Encoding": "gzip"}
    with pytest.raises(Unavailable) as caught:
        nhanh(lambda _: httpx.Response(200, headers=headers, content=iter([packed])), patience=10.0).products()
    assert "32 MiB" in caught.value.message


def test_a_packed_answer_is_read(nhanh: Any) -> None:
    packed = zlib.compress(b'{"code": 1, "data": [{"id": 1}]}', wbits=31)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    client = nhanh(lambda _: httpx.Response(200, headers=headers, content=iter([packed[:9], packed[9:]])))
    assert client.products().items == [{"id": 1}]
