"""No secret leaves through a log, an error or a stored exchange."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.redaction import Redactor

SECRET = "Zx81-very+secret/token=="


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"access_token": SECRET, "a": 1}),
        json.dumps({"data": {"accessToken": SECRET}}),
        json.dumps({"secretKey": SECRET}),
        json.dumps({"secretKey": 1234567890}).replace("1234567890", SECRET.strip("=")),
        json.dumps({"body": json.dumps({"access_token": SECRET})}),
        f"{{'refreshToken': '{SECRET}'}}",
        '{"access_token": "' + SECRET,  # cut off in the middle
        f"https://x.test/oauth?appId=1&access_token={SECRET}&b=2",
        f"secretKey={SECRET}&x=1",
        f"Authorization: {SECRET}",
        f"authorization: Bearer {SECRET}",
        f"x-shopify-access-token: {SECRET}",
    ],
)
def test_masks_what_carries_a_secret_name(text: str) -> None:
    cleaned = Redactor().text(text)
    assert SECRET.strip("=") not in cleaned
    assert "***" in cleaned


def test_keeps_everything_else_as_it_was() -> None:
    text = '{"name": "Áo thun signature", "design": "x", "code": 1, "next": {"id": "92220"}}'
    assert Redactor(["another-secret"]).text(text) == text


def test_stays_valid_json() -> None:
    text = json.dumps({"accessToken": 'quo"ted\\', "expiredAt": 5})
    assert json.loads(Redactor().text(text)) == {"accessToken": "***", "expiredAt": 5}


def test_masks_headers_by_name_and_by_value() -> None:
    headers = {"X-Shopify-Access-Token": "abc", "authorization": "abc", "Via": f"proxy {SECRET}", "Accept": "*/*"}
    assert Redactor([SECRET]).headers(headers) == {
        "X-Shopify-Access-Token": "***",
        "authorization": "***",
        "Via": "proxy ***",
        "Accept": "*/*",
    }


@given(st.text(), st.text())
def test_known_values_never_survive(before: str, after: str) -> None:
    assert SECRET not in Redactor([SECRET]).text(before + SECRET + after)


@pytest.mark.parametrize("secret", ["shpat_0a1b\n4e5f", "tôken'with\"both\\", "slashes/and+more"])
def test_known_values_are_found_in_every_spelling(secret: str) -> None:
    spellings = [
        secret,
        repr(secret),
        repr(secret.encode()),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(secret).replace("/", r"\/"),
        quote(secret, safe=""),
    ]
    masked = {"***!", "'***'!", '"***"!', "b'***'!"}
    assert {Redactor([secret]).text(f"{spelling}!") for spelling in spellings} <= masked | {'b"***"!'}


def test_a_run_of_backslashes_is_read_once() -> None:
    # Read again from each of them, a million would take hours.
    text = "\\" * 1_000_000
    assert Redactor([SECRET]).text(text) == text


def test_redacts_before_it_cuts() -> None:
    bounded = Redactor([SECRET]).bounded("x" * 10 + SECRET, 15)
    assert bounded == "x" * 10 + "***"
    assert Redactor([SECRET]).bounded("y" * 20 + SECRET, 10) == "y" * 9 + "…"
    assert Redactor([SECRET]).bounded(f"{SECRET} " * 100, 15) == "*** *** *** **" + "…"
    assert SECRET[:5] not in Redactor().bounded("secretKey=" + SECRET, 10)
