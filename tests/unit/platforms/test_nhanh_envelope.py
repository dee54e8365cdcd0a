"""Every form in which Nhanh says what happened."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from platforms.errors import (
    InvalidCredentials,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    Unavailable,
    ValidationFailed,
)
from platforms.nhanh.envelope import Failure, Success, as_text, read

NOW = 1_733_387_500.0


def _answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    request = httpx.Request("POST", "https://nhanh.test/v3.0/product/list")
    return httpx.Response(status, text=content, headers=headers, request=request)


def _read(body: Any, status: int = 200, **headers: str) -> Success | Failure:
    return read(_answer(body, status, **headers), NOW, str)


@pytest.mark.parametrize("cursor", [{"id": "92220"}, {"totalRevenue": 1.5, "productId": 3}, [1, "2"], "x", 7])
def test_the_cursor_keeps_its_type(cursor: Any) -> None:
    answer = _read({"code": 1, "data": [], "paginator": {"next": cursor}})
    assert isinstance(answer, Success)
    assert answer.next == cursor
    assert type(answer.next) is type(cursor)


@pytest.mark.parametrize("paginator", [{"next": None}, {}, None, []])
def test_no_next_is_the_end(paginator: Any) -> None:
    answer = _read({"code": 1, "data": [{"id": 1}], "paginator": paginator})
    assert isinstance(answer, Success)
    assert answer.next is None


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"paginator": {"next": None}},
        {"paginator": {"next": "5"}},
        {"warning": "x"},
        {"data": None},
        {"data": None, "paginator": {"next": {"id": "5"}}},
        {"data": None, "paginator": {"next": None}},
    ],
)
def test_success_without_data_is_no_empty_list(more: Any) -> None:
    answer = _read({"code": 1, **more})
    assert isinstance(answer, Failure)
    assert (answer.error.category, answer.error.code) == ("PLATFORM_ERROR", "BAD_ENVELOPE")
    assert answer.passing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("no", "no"),
        (["a", "b"], "a; b"),
        ({"customer.mobile": "customer.mobile is required"}, "customer.mobile is required"),
        ({"name": ["too long", "odd"]}, "name: too long; odd"),
        ([{"a": "1"}, "b"], "a: 1; b"),
        (7, "7"),
    ],
)
def test_messages_come_in_any_form(value: Any, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ERR_INVALID_APP_ID", InvalidCredentials),
        ("ERR_INVALID_BUSINESS_ID", InvalidCredentials),
        ("ERR_INVALID_ACCESS_TOKEN", InvalidCredentials),
        ("ERR_INVALID_VERSION", InvalidCredentials),
        ("ERR_BUSINESS_NOT_ENABLE_API", PermissionDenied),
        ("ERR_403", PermissionDenied),
        ("ERR_INVALID_DEPOT_ID", PermissionDenied),
        ("ERR_INVALID_FORM_FIELDS", ValidationFailed),
        ("ERR_INVALID_DATA", ValidationFailed),
        ("ERR_SOMETHING_NEW", Rejected),
    ],
)
def test_error_codes_under_http_200(code: str, kind: type[Exception]) -> None:
    answer = _read({"code": 0, "errorCode": code, "messages": {"x": "why"}})
    assert isinstance(answer, Failure)
    assert type(answer.error) is kind
    assert answer.error.code == code
    assert answer.error.message == "x: why"
    assert not answer.passing


@pytest.mark.parametrize("code", ["ERR_429", "ERR_EXCEEDED_RATE_LIMIT"])
def test_a_lock_lasts_until_unlocked_at(code: str) -> None:
    body = {"code": 0, "errorCode": code, "message": "slow", "data": {"lockedSeconds": 10, "unlockedAt": NOW + 17}}
    answer = _read(body)
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, RateLimited)
    assert answer.passing
    assert answer.pause == 17
    assert answer.error.until == NOW + 17
    assert answer.error.message == "slow"


@pytest.mark.parametrize("unlocked_at", [NOW - 5, NOW + 90_000, None, "soon"])
def test_clocks_that_disagree_fall_back_to_locked_seconds(unlocked_at: Any) -> None:
    data = {"lockedSeconds": 12, "unlockedAt": unlocked_at}
    answer = _read({"code": 0, "errorCode": "ERR_429", "data": data})
    assert isinstance(answer, Failure)
    assert answer.pause == 12


@pytest.mark.parametrize("seconds", [1e12, 1e300])
def test_no_lock_is_kept_for_good(seconds: float) -> None:
    answer = _read({"code": 0, "errorCode": "ERR_429", "data": {"lockedSeconds": seconds}})
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, RateLimited)
    assert (answer.pause, answer.error.until) == (3600, NOW + 3600)


@pytest.mark.parametrize("paginator", ["5", 5, True, [1], [{"next": "5"}]])
def test_a_paginator_that_cannot_be_read_is_no_end(paginator: Any) -> None:
    answer = _read({"code": 1, "data": [{"id": 1}], "paginator": paginator})
    assert isinstance(answer, Failure)
    assert (answer.error.code, answer.passing) == ("BAD_ENVELOPE", True)


@pytest.mark.parametrize(
    ("data", "pause"),
    [
        ({"lockedSeconds": 0}, 10),
        ({"lockedSeconds": -5}, 10),
        ({"lockedSeconds": "soon"}, 10),
        ({"lockedSeconds": True}, 10),
        ({"lockedSeconds": [5]}, 10),
        ({"lockedSeconds": 0.2}, 1),
        ({"lockedSeconds": "12"}, 12),
        ({"lockedSeconds": 0, "unlockedAt": NOW - 1}, 10),
        ({"lockedSeconds": 0, "unlockedAt": NOW + 0.01}, 1),
        ({"lockedSeconds": 7, "unlockedAt": NOW * 1000}, 7),  # milliseconds
        ({"unlockedAt": str(NOW + 9)}, 9),
        ([], 10),
        ("locked", 10),
    ],
)
def test_a_lock_is_a_second_at_least_and_nonsense_is_not_believed(data: Any, pause: float) -> None:
    for status in (200, 429):
        answer = _read({"code": 0, "errorCode": "ERR_429", "data": data}, status)
        assert isinstance(answer, Failure)
        assert answer.pause == pytest.approx(pause)


def test_a_429_without_its_code_is_a_rate_limit() -> None:
    answer = _read({"code": 0, "messages": "slow"}, 429, **{"Retry-After": "5"})
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, RateLimited)
    assert (answer.passing, answer.pause) == (True, 5)


def test_numbers_lose_no_digit() -> None:
    answer = _read('{"code": 1, "data": [{"price": 129000.10000000001, "stock": 1.5}], "paginator": {}}')
    assert isinstance(answer, Success)
    assert answer.data == [{"price": Decimal("129000.10000000001"), "stock": 1.5}]


def test_a_lock_without_data_lasts_ten_seconds() -> None:
    answer = _read({"code": 0, "errorCode": "ERR_429", "data": None})
    assert isinstance(answer, Failure)
    assert answer.pause == 10


@pytest.mark.parametrize(
    ("status", "kind", "passing"),
    [
        (404, NotFound, False),
        (401, InvalidCredentials, False),
        (403, PermissionDenied, False),
        (400, Rejected, False),
        (302, Rejected, False),
        (200, Unavailable, True),
        (500, Unavailable, True),
        (502, Unavailable, True),
        (429, RateLimited, True),
    ],
)
def test_html_pages(status: int, kind: type[Exception], passing: bool) -> None:
    answer = _read("<html>404</html>", status)
    assert isinstance(answer, Failure)
    assert type(answer.error) is kind
    assert answer.passing is passing


@pytest.mark.parametrize("body", [{"hello": 1}, [], 3, {"code": "1"}, {"code": 2}])
def test_json_without_the_envelope_is_refused(body: Any) -> None:
    answer = _read(body)
    assert isinstance(answer, Failure)
    assert answer.error.code == "BAD_ENVELOPE"


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"code": 1, "data": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"code": 0, "errorCode": "ERR_X", "messages": ' + '{"a": ' * 450 + "1" + "}" * 450 + "}",
    ],
)
def test_what_nests_without_end_is_no_answer(body: str) -> None:
    answer = _read(body)
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, Unavailable)
    assert answer.passing


def test_retry_after_is_read() -> None:
    answer = _read("busy", 503, **{"Retry-After": "33"})
    assert isinstance(answer, Failure)
    assert answer.pause == 33
