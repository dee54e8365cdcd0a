"""Throttling, cost, versions and errors of Shopify's GraphQL endpoint."""

import json
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from platforms.errors import (
    InvalidCredentials,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
    ValidationFailed,
)
from platforms.shopify import documents
from platforms.shopify.shapes import SHAPES

TOKEN = "shpat_0123456789"
SHOP = {"shop": {"id": "gid://shopify/Shop/1", "name": "Demo", "myshopifyDomain": "demo", "currencyCode": "VND"}}
EMPTY = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
NO_PRODUCTS = {"products": EMPTY, "productsCount": {"count": 0}}


def _cost(requested: float, actual: float | None, available: float, maximum: float = 2000, rate: float = 100) -> Any:
    status = {"maximumAvailable": maximum, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


def _ok(data: Any, extensions: Any = None, **headers: str) -> httpx.Response:
    body = {"data": data, **({"extensions": extensions} if extensions else {})}
    return httpx.Response(200, json=body, headers=headers)


def _errors(code: str | None, message: str = "no", *, extensions: Any = None, status: int = 200) -> httpx.Response:
    error: dict[str, Any] = {"message": message}
    if code:
        error["extensions"] = {"code": code}
    return httpx.Response(status, json={"errors": [error], **({"extensions": extensions} if extensions else {})})


def _sent(request: httpx.Request) -> Any:
    return json.loads(request.content)


def test_a_call_goes_to_the_pinned_version_with_the_token(shopify: Any, script: Any) -> None:
    platform = script(_ok(SHOP))
    result = shopify(platform).check()
    assert result.ok
    assert "Demo" in result.detail
    (request,) = platform.requests
    assert str(request.url) == "https://shop.test/admin/api/2026-10/graphql.json"
    assert request.headers["X-Shopify-Access-Token"] == TOKEN
    assert set(_sent(request)) == {"query", "variables"}


@pytest.mark.parametrize("status", [200, 429])
def test_throttled_waits_until_the_query_fits(shopify: Any, script: Any, fake_time: Any, status: int) -> None:
    throttled = _errors("THROTTLED", "Throttled", extensions=_cost(900, None, 400), status=status)
    platform = script(throttled, _ok(NO_PRODUCTS, _cost(900, 4, 1996)))
    client = shopify(platform)
    client.products()
    assert fake_time.waited == pytest.approx(5.0, abs=0.1)  # (900 - 400) points at 100 a second
    assert client.rate_limit_hits == 1


def test_throttled_without_a_status_is_not_hammered(shopify: Any, script: Any, fake_time: Any) -> None:
    platform = script(*[_errors("THROTTLED", "Throttled")] * 6, _ok(NO_PRODUCTS))
    shopify(platform).products()
    assert len(platform.requests) == 7
    assert fake_time.waited > 15


def test_a_shop_that_throttles_against_its_own_numbers_is_not_hammered(
    shopify: Any, script: Any, fake_time: Any
) -> None:
    throttled = _errors("THROTTLED", "Throttled", extensions=_cost(900, None, 2000))
    shopify(script(*[throttled] * 6, _ok(NO_PRODUCTS))).products()
    assert fake_time.waited > 10


NONSENSE = [
    _cost(900, None, 0, rate=0),
    _cost(900, None, 0, rate=-100),
    _cost(900, None, 1e300, maximum=1e300),
    _cost(900, None, 2000, rate=1e300),
    _cost(1e300, 1e300, 1e300),
    _cost(900, -1e300, 2000),
    _cost("nan", "nan", "nan"),
    _cost([], {}, None),
    {"cost": "none"},
    {"cost": {"throttleStatus": []}},
]


@pytest.mark.parametrize("extensions", NONSENSE)
@pytest.mark.parametrize("status", [200, 429])
def test_no_reported_cost_makes_a_refused_client_call_more_than_once_a_second(
    shopify: Any, script: Any, fake_time: Any, status: int, extensions: Any
) -> None:
    platform = script(*[_errors("THROTTLED", extensions=extensions, status=status)] * 5, _ok(NO_PRODUCTS))
    shopify(platform).products()
    assert len(platform.requests) == 6
    assert 5 <= fake_time.waited < 300


@pytest.mark.parametrize("body", ['{"errors": [{"message": "slow"}]}', '{"data": null}', '{"errors": "slow"}', "slow"])
def test_a_429_is_a_rate_limit_whatever_its_body(shopify: Any, script: Any, fake_time: Any, body: str) -> None:
    client = shopify(script(httpx.Response(429, text=body, headers={"Retry-After": "0"}), _ok(SHOP)))
    assert client.check().ok
    assert (fake_time.waited, client.rate_limit_hits) == (1.0, 1)


def test_the_bucket_prevents_throttling(shopify: Any, fake_time: Any) -> None:
    """A shop with the real arithmetic never has to say THROTTLED to a client alone."""
    state = {"available": 2000.0, "at": fake_time.now}

    def platform(request: httpx.Request) -> httpx.Response:
        requested = 900.0
        state["available"] = min(2000.0, state["available"] + 100 * (fake_time.now - state["at"]))
        state["at"] = fake_time.now
        if state["available"] < requested:
            return _errors("THROTTLED", extensions=_cost(requested, None, state["available"]))
        state["available"] -= 500
        return _ok(NO_PRODUCTS, _cost(requested, 500, state["available"]))

    client = shopify(platform)
    for _ in range(20):
        client.products()
    assert client.rate_limit_hits == 0
    assert 70 < fake_time.waited < 95  # 20 x 500 points, 2000 of them there from the start


def test_retry_after_is_kept_exactly(shopify: Any, script: Any, fake_time: Any) -> None:
    client = shopify(script(httpx.Response(429, headers={"Retry-After": "4.5"}), _ok(SHOP)))
    assert client.check().ok
    assert fake_time.waited == 4.5
    assert client.rate_limit_hits == 1


def test_a_bucket_that_never_fills_is_not_believed(shopify: Any, script: Any, fake_time: Any) -> None:
    for odd in (_cost(900, None, 0, rate=1e-9), _cost(900, None, -1e12)):
        throttled = _errors("THROTTLED", extensions=odd)
        with pytest.raises(RateLimited):
            shopify(script(throttled), retry_timeout=60.0).products()
    assert fake_time.waited < 300


@pytest.mark.parametrize(
    ("failure", "pays_again"),
    [(httpx.ConnectError("refused"), False), (httpx.ConnectTimeout("slow"), False), (httpx.ReadError("cut"), True)],
)
def test_only_what_may_have_run_pays_again(
    shopify: Any, script: Any, fake_time: Any, failure: Exception, pays_again: bool
) -> None:
    shopify(script(failure, failure, failure, _ok(NO_PRODUCTS))).products()
    assert any(reason.startswith("rate limit") for _, reason in fake_time.waits) == pays_again
    assert (fake_time.waited < 8) == (not pays_again)


def test_too_dear_a_query_is_asked_again_at_half_the_size(shopify: Any) -> None:
    sizes: list[int] = []

    def platform(request: httpx.Request) -> httpx.Response:
        sizes.append(_sent(request)["variables"]["first"])
        if sizes[-1] > 7:
            return _errors("MAX_COST_EXCEEDED", "Query cost is 2003, which exceeds the single query max cost")
        return _ok(NO_PRODUCTS)

    client = shopify(platform)
    client.products()
    client.products()
    assert sizes == [25, 12, 6, 6]


def test_too_dear_even_for_one_record_narrows_then_fails(shopify: Any, script: Any) -> None:
    platform = script(_errors("MAX_COST_EXCEEDED"))
    with pytest.raises(ValidationFailed):
        shopify(platform).products()
    last = _sent(platform.requests[-1])["variables"]
    assert (last["first"], last["variants"], last["levels"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationFailed),
        (401, InvalidCredentials),
        (402, PermissionDenied),
        (403, PermissionDenied),
        (404, NotFound),
        (423, PermissionDenied),
        (301, Rejected),
    ],
)
def test_statuses_that_do_not_pass_are_raised_at_once(
    shopify: Any, script: Any, fake_time: Any, status: int, kind: type[Exception]
) -> None:
    platform = script(httpx.Response(status, text=f"<html>{TOKEN}"))
    with pytest.raises(kind) as caught:
        shopify(platform).locations()
    assert len(platform.requests) == 1
    assert fake_time.waits == []
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ACCESS_DENIED", PermissionDenied),
        ("SHOP_INACTIVE", PermissionDenied),
        ("undefinedField", ValidationFailed),
        (None, ValidationFailed),
    ],
)
def test_error_codes(shopify: Any, script: Any, code: str | None, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        shopify(script(_errors(code))).locations()


def test_errors_carry_no_control_characters(shopify: Any, script: Any) -> None:
    with pytest.raises(ValidationFailed) as caught:
        shopify(script(_errors("ODD\0\x1b[2J", "bad \0 thing\x9b\x07"))).locations()
    assert (caught.value.code, caught.value.message) == ("ODD [2J", "bad thing")
    user_error = {"field": ["input", "id"], "message": "no \0 such\x7f thing", "code": "GONE\0"}
    refused = _ok({"customerUpdate": {"customer": None, "userErrors": [user_error]}})
    result = shopify(script(refused)).update_customer({"id": "gid://shopify/Customer/1"})
    assert (result.error.code, result.error.message) == ("GONE", "input.id: no such thing")


def test_the_gateways_own_json_is_read_by_its_status(shopify: Any, script: Any) -> None:
    with pytest.raises(InvalidCredentials):
        shopify(script(httpx.Response(401, json={"errors": "[API] Invalid API key"}))).locations()


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.DecodingError("broken gzip"),
        httpx.Response(200, text='{"data": ' + "[" * 100_000),
        httpx.Response(200, json={"data": None}),
        httpx.Response(200, json={"data": {}}),
        httpx.Response(200, json={"data": {"locations": None}}),
        httpx.Response(200, json={"data": {"locations": {"nodes": [None], "pageInfo": {}}}}),
        _ok({"locations": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}}),
        _ok({"locations": {"nodes": [{"id": "1"}], "pageInfo": {"hasNextPage": True, "endCursor": None}}}),
        _ok({"locations": {"nodes": [{"id": "1"}], "pageInfo": {"hasNextPage": True, "endCursor": ""}}}),
        _ok({"locations": {"nodes": {}, "pageInfo": {"hasNextPage": False, "endCursor": None}}}),
        _ok({"locations": {"nodes": [], "pageInfo": {"hasNextPage": None, "endCursor": None}}}),
        _ok([]),
        _errors("INTERNAL_SERVER_ERROR"),
    ],
)
def test_outages_are_outlived(shopify: Any, script: Any, fake_time: Any, failure: Any) -> None:
    assert shopify(script(failure, failure, failure, _ok({"locations": EMPTY}))).locations() == []
    assert fake_time.waited > 3


def test_data_that_cannot_be_read_is_the_platforms_error(shopify: Any, script: Any) -> None:
    variant = {"id": "gid://shopify/ProductVariant/1", "inventoryItem": None}
    product = {"id": "gid://shopify/Product/1", "variants": {**EMPTY, "nodes": [variant]}}
    for data, field in (
        ({"products": None}, "products"),
        ({"products": {**EMPTY, "nodes": [product]}}, "products.nodes[0].variants.nodes[0].inventoryItem"),
    ):
        with pytest.raises(Unavailable) as caught:
            shopify(script(_ok(data)), retry_timeout=10.0).products()
        assert (caught.value.category, caught.value.code) == ("PLATFORM_ERROR", "BAD_ENVELOPE")
        assert caught.value.message.endswith(f"at `$.{field}`")
    result = shopify(script(_ok({"shop": None}))).check()
    assert (result.ok, result.error.code) == (False, "BAD_ENVELOPE")


def test_a_write_without_an_outcome_is_not_taken_for_done(shopify: Any, script: Any) -> None:
    with pytest.raises(Unavailable):
        shopify(script(_ok({"customerUpdate": None})), retry_timeout=10.0).update_customer({"id": "x"})


def test_every_document_says_what_its_answer_must_hold() -> None:
    assert sorted(SHAPES) == documents.names()


def test_a_badly_encoded_name_is_read_and_said(shopify: Any, script: Any) -> None:
    content = b'{"data": {"shop": {"name": "\xe1o", "myshopifyDomain": "demo"}}}'
    with capture_logs() as logs:
        result = shopify(script(httpx.Response(200, content=content))).check()
    assert result.detail == "Shopify knows \N{REPLACEMENT CHARACTER}o (demo)"
    assert [log["path"] for log in logs if log["log_level"] == "warning"] == ["/admin/api/2026-10/graphql.json"]


def test_the_retry_timeout_ends_the_retries(shopify: Any, script: Any) -> None:
    with pytest.raises(Unavailable):
        shopify(script(httpx.Response(503)), retry_timeout=100.0).locations()
    with pytest.raises(RateLimited):
        shopify(script(httpx.Response(429)), retry_timeout=100.0).locations()


def test_check_reports_instead_of_raising(shopify: Any, script: Any, fake_time: Any) -> None:
    refused = shopify(script(httpx.Response(401))).check()
    assert (refused.ok, type(refused.error)) == (False, InvalidCredentials)
    assert not shopify(script(httpx.ConnectError("refused"))).check().ok
    assert fake_time.waited < 30


def test_another_version_raises_the_alarm_once(shopify: Any, script: Any) -> None:
    client = shopify(script(_ok(SHOP, **{"X-Shopify-API-Version": "2027-01"})))
    with capture_logs() as logs:
        client.check()
        client.check()
    (alarm,) = [log for log in logs if log["log_level"] == "warning"]
    assert (alarm["asked"], alarm["served"]) == ("2026-10", "2027-01")
    with capture_logs() as logs:
        shopify(script(_ok(SHOP, **{"X-Shopify-API-Version": "2026-10"}))).check()
    assert logs == []


def test_exchanges_carry_no_secret(shopify: Any, script: Any, exchanges: Any) -> None:
    shopify(script(_ok({**SHOP, "echo": {"accessToken": "other", "text": TOKEN}}))).check()
    (exchange,) = exchanges
    assert exchange.status == 200
    assert TOKEN not in repr(exchange)
    assert "other" not in exchange.response_body
    assert exchange.duration_ms >= 0
