"""What both clients do with requests that cannot be sent, and with answers that no platform should give."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from structlog.testing import capture_logs

from platforms.connections import Connection
from platforms.errors import InvalidCredentials
from platforms.nhanh import NhanhClient
from platforms.shopify import ShopifyClient


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        raise AssertionError("nothing could be sent")


@pytest.fixture
def listening() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


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
