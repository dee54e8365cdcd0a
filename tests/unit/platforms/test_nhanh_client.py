"""The Nhanh client on a scripted platform."""

import json
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from platforms.buckets import LocalBuckets
from platforms.errors import InvalidCredentials, RateLimited, Rejected, Unavailable

TOKEN = "nhanh-token-123456"


def _ok(data: Any, next: Any = None, **extra: Any) -> httpx.Response:
    return httpx.Response(200, json={"code": 1, "data": data, "paginator": {"next": next}, **extra})


def _failed(code: str, **extra: Any) -> httpx.Response:
    return httpx.Response(200, json={"code": 0, "errorCode": code, **extra})


def _sent(request: httpx.Request) -> Any:
    return json.loads(request.content)


def test_a_call_is_a_post_with_a_bare_token(nhanh: Any, script: Any) -> None:
    platform = script(_ok([{"id": 1}]))
    page = nhanh(platform).products(filters={"updatedAtFrom": 5}, size=50)
    (request,) = platform.requests
    assert request.method == "POST"
    assert str(request.url) == "https://nhanh.test/v3.0/product/list?appId=7&businessId=42"
    assert request.headers["Authorization"] == TOKEN
    assert request.headers["Content-Type"] == "application/json"
    assert _sent(request) == {
        "filters": {"updatedAtFrom": 5},
        "paginator": {"size": 50, "sort": {"id": "asc"}},
    }
    assert page.items == [{"id": 1}]
    assert page.next is None
    assert page.total is None


def test_the_cursor_is_echoed_verbatim_and_short_pages_go_on(nhanh: Any, script: Any) -> None:
    platform = script(_ok([], {"id": "92220"}), _ok([{"id": 3}], [4, "x"]), _ok([]))
    client = nhanh(platform)
    first = client.customers()
    assert first.items == []
    second = client.customers(first.next)
    third = client.customers(second.next)
    assert third.next is None
    assert [_sent(request)["paginator"].get("next") for request in platform.requests] == [
        None,
        {"id": "92220"},
        [4, "x"],
    ]


def test_a_cursor_that_leads_back_is_refused(nhanh: Any, script: Any) -> None:
    client = nhanh(script(_ok([], {"id": "1"}), _ok([], {"id": "2"}), _ok([], {"id": "1"})))
    client.products()
    client.products({"id": "1"})
    with pytest.raises(Rejected) as caught:
        client.products({"id": "2"})
    assert caught.value.code == "REPEATED_NEXT"


def test_a_cursor_that_does_not_move_is_refused(nhanh: Any, script: Any) -> None:
    with pytest.raises(Rejected):
        nhanh(script(_ok([], "same"))).products("same")


def test_asking_the_same_page_again_is_no_repetition(nhanh: Any, script: Any) -> None:
    client = nhanh(script(_ok([], "b")))
    for _ in range(3):
        assert client.products("a").next == "b"
    for _ in range(2):
        assert client.products(None).next == "b"


def test_an_empty_result_may_be_an_object(nhanh: Any, script: Any) -> None:
    assert nhanh(script(_ok({}))).products().items == []


@pytest.mark.parametrize("following", [None, {"id": "5"}])
def test_data_that_is_null_is_asked_again(nhanh: Any, script: Any, following: Any) -> None:
    client = nhanh(script(_ok(None, following), _ok(None, following), _ok([{"id": 1}])))
    assert client.products().items == [{"id": 1}]
    assert client.requests == 3
    with pytest.raises(Unavailable) as caught:
        nhanh(script(_ok(None, following)), retry_timeout=60.0).products()
    assert (caught.value.category, caught.value.code) == ("PLATFORM_ERROR", "BAD_ENVELOPE")


@pytest.mark.parametrize("data", ["", "x", 0, 1, False, True, {"5": {"id": 5}}, 1.5])
def test_data_of_another_type_is_an_error(nhanh: Any, script: Any, data: Any) -> None:
    with pytest.raises(Rejected) as caught:
        nhanh(script(_ok(data))).products()
    assert caught.value.code == "BAD_ENVELOPE"


def test_a_cursor_keeps_digits_that_no_float_has(nhanh: Any, script: Any) -> None:
    cursor = '{"totalRevenue":12345678901234567.89,"productId":3}'
    first = httpx.Response(200, text=f'{{"code":1,"data":[],"paginator":{{"next":{cursor}}}}}')
    platform = script(first, _ok([]))
    client = nhanh(platform)
    stored = json.loads(json.dumps(client.products().next))
    client.products(stored)
    assert cursor in platform.requests[1].content.decode()


def test_wrong_credentials_are_raised_at_once(nhanh: Any, script: Any, fake_time: Any) -> None:
    platform = script(_failed("ERR_INVALID_ACCESS_TOKEN", messages=[f"bad token {TOKEN}"]))
    with pytest.raises(InvalidCredentials) as caught:
        nhanh(platform).products()
    assert len(platform.requests) == 1
    assert fake_time.waits == []
    assert TOKEN not in str(caught.value)
    assert TOKEN not in caught.value.message


def test_a_lock_is_waited_out_exactly(nhanh: Any, script: Any, fake_time: Any) -> None:
    until = fake_time.now + 13
    data = {"lockedSeconds": 10, "unlockedAt": until}
    client = nhanh(script(_failed("ERR_429", message="slow down", data=data), _ok([{"id": 1}])))
    assert client.products().items == [{"id": 1}]
    assert fake_time.now == until
    assert client.rate_limit_hits == 1
    assert client.requests == 2


def test_150_calls_in_half_a_minute_and_no_more(nhanh: Any, script: Any, fake_time: Any) -> None:
    times: list[float] = []

    def platform(_: httpx.Request) -> httpx.Response:
        times.append(fake_time.now)
        fake_time.now += 0.01
        return _ok([{"id": 1}])

    client = nhanh(platform)
    for _ in range(400):
        client.products()
    assert max(sum(1 for t in times if start <= t < start + 30) for start in times) == 150
    assert 60 < fake_time.waited < 66
    assert client.rate_limit_hits == 0


def test_each_path_has_its_own_limit(nhanh: Any, script: Any, fake_time: Any) -> None:
    client = nhanh(script(_ok([])))
    for _ in range(150):
        client.products()
        client.customers()
    assert fake_time.waits == []


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(502, text="<html>"),
        httpx.Response(200, text="<html>maintenance"),
        httpx.DecodingError("broken gzip"),
        httpx.Response(200, text="[" * 100_000),
    ],
)
def test_an_outage_of_two_minutes_only_delays(nhanh: Any, fake_time: Any, failure: Any) -> None:
    back = fake_time.now + 120

    def platform(_: httpx.Request) -> httpx.Response:
        if fake_time.now >= back:
            return _ok([{"id": 1}])
        if isinstance(failure, Exception):
            raise failure
        return failure

    assert nhanh(platform).products().items == [{"id": 1}]
    assert 120 <= fake_time.waited <= 155


@pytest.mark.parametrize(
    ("failure", "category"), [(httpx.ConnectError("refused"), "NETWORK_ERROR"), (httpx.ReadTimeout("slow"), "TIMEOUT")]
)
def test_the_retry_timeout_ends_the_retries(
    nhanh: Any, script: Any, fake_time: Any, failure: Exception, category: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        nhanh(script(failure), retry_timeout=300.0).products()
    assert caught.value.category == category
    assert 300 <= fake_time.waited < 331


def test_a_lock_that_never_ends_surfaces(nhanh: Any, script: Any) -> None:
    with pytest.raises(RateLimited) as caught:
        nhanh(script(_failed("ERR_429", data={"lockedSeconds": 10})), retry_timeout=60.0).products()
    assert caught.value.category == "RATE_LIMITED"


def test_a_lock_beyond_the_retry_timeout_is_kept_by_every_client_for_an_hour_at_most(
    nhanh: Any, script: Any, fake_time: Any
) -> None:
    buckets = LocalBuckets(fake_time.clock)
    platform = script(_failed("ERR_429", data={"lockedSeconds": 1e12}), _ok([]), _ok([]))
    nhanh(platform, buckets=buckets).products()
    assert fake_time.waited == 3600
    nhanh(platform, buckets=buckets).products()
    assert fake_time.waited == 3600
    # A person who checks a connection does not wait for it.
    refusing = script(_failed("ERR_429", data={"lockedSeconds": 1e12}))
    with pytest.raises(RateLimited):
        nhanh(refusing, buckets=LocalBuckets(fake_time.clock), retry_timeout=10.0).products()
    assert fake_time.waited == 3600


def test_what_wait_raises_passes_through(nhanh: Any, script: Any) -> None:
    class Stop(Exception):
        pass

    def refuse(_seconds: float, _reason: str) -> None:
        raise Stop

    client = nhanh(script(httpx.Response(500)))
    client._wait = refuse
    with pytest.raises(Stop):
        client.products()


def test_a_badly_encoded_name_is_read_and_said(nhanh: Any, script: Any) -> None:
    names = b'[{"id": 1, "name": "\xc1o \xff"}, {"id": 2, "name": "\xe9"}]'
    with capture_logs() as logs:
        page = nhanh(script(httpx.Response(200, content=b'{"code": 1, "data": ' + names + b"}"))).products()
    wrong = "\N{REPLACEMENT CHARACTER}"
    assert [item["name"] for item in page.items] == [f"{wrong}o {wrong}", wrong]
    (entry,) = [log for log in logs if log["log_level"] == "warning"]
    assert entry["path"] == "/v3.0/product/list"


def test_warnings_are_surfaced_without_secrets(nhanh: Any, script: Any) -> None:
    with capture_logs() as logs:
        nhanh(script(_ok([], warning={"token": f"{TOKEN} expires"}))).products()
    (entry,) = [log for log in logs if log["log_level"] == "warning"]
    assert entry["warning"] == "token: *** expires"


def test_errors_carry_no_control_characters(nhanh: Any, script: Any) -> None:
    with pytest.raises(Rejected) as caught:
        nhanh(script(_failed("ERR_\0\x1b[2J", messages="bad \0 thing\x9b\x07"))).products()
    assert (caught.value.code, caught.value.message) == ("ERR_ [2J", "bad thing")


def test_exchanges_carry_no_secret_and_are_bounded(nhanh: Any, script: Any, exchanges: Any) -> None:
    big = [{"accessToken": TOKEN, "x": "y" * 100_000}]
    nhanh(script(httpx.ConnectError(f"no {TOKEN}"), _ok(big))).products()
    failed, done = exchanges
    assert (failed.status, failed.error) == (None, "ConnectError: no ***")
    assert (done.method, done.status, done.error) == ("POST", 200, None)
    assert done.url == "https://nhanh.test/v3.0/product/list?appId=7&businessId=42"
    assert '"paginator"' in done.request_body
    assert len(done.response_body) == 64 * 1024
    assert TOKEN not in repr(exchanges)


def test_all_depots(nhanh: Any, script: Any) -> None:
    platform = script(_ok([{"id": 1}], {"id": 1}), _ok([{"id": 2}]))
    assert nhanh(platform).depots() == [{"id": 1}, {"id": 2}]
    assert platform.requests[0].url.path == "/v3.0/business/depot"


def test_products_by_ids_go_on_behind_short_pages(nhanh: Any, script: Any) -> None:
    platform = script(_ok([], {"id": "1"}), _ok([{"id": 1}], {"id": "2"}), _ok([{"id": 2}]))
    client = nhanh(platform)
    assert client.products_by_ids(["1", "2", "SKU-3", "gid://shopify/Product/4", "٥"]) == [{"id": 1}, {"id": 2}]
    assert [_sent(request)["filters"] for request in platform.requests] == [{"ids": [1, 2]}] * 3
    assert [_sent(request)["paginator"].get("next") for request in platform.requests] == [
        None,
        {"id": "1"},
        {"id": "2"},
    ]


def test_ids_that_no_product_has_cost_no_request(nhanh: Any, script: Any) -> None:
    platform = script(_ok([{"id": 1}]))
    assert nhanh(platform).products_by_ids(["SKU-3", "-1"]) == []
    assert platform.requests == []


def test_check_without_the_secret_key_reads_one_product(nhanh: Any, script: Any) -> None:
    platform = script(_ok([]))
    assert nhanh(platform).check().ok
    assert _sent(platform.requests[0])["paginator"] == {"size": 1}


def test_check_with_the_secret_key_tells_what_the_token_may(nhanh: Any, script: Any, exchanges: Any) -> None:
    rights = {"expiredAt": 1_798_761_600, "depotIds": [3, 5], "permissions": ["product"]}
    platform = script(_ok(rights))
    result = nhanh(platform, secret_key="top-secret-key").check()
    assert result.ok
    assert "2027-01-01" in result.detail
    assert "only depots 3, 5" in result.detail
    assert _sent(platform.requests[0]) == {"secretKey": "top-secret-key"}
    assert "top-secret-key" not in repr(exchanges)


def test_check_tells_what_is_wrong(nhanh: Any, script: Any, fake_time: Any) -> None:
    result = nhanh(script(_failed("ERR_INVALID_VERSION", messages="v2 token"))).check()
    assert not result.ok
    assert isinstance(result.error, InvalidCredentials)
    assert result.detail == "v2 token"
    assert not nhanh(script(httpx.ConnectError("refused"))).check().ok
    assert fake_time.waited < 30
