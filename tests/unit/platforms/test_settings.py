"""Settings have defaults, and a wrong one is named."""

from decimal import Decimal
from typing import Any

import pytest

from platforms.connections import checked_base_url, checked_credentials, checked_name
from platforms.errors import InvalidAccount
from platforms.settings import AccountSettings, parse_settings, settings_to_json, stored_settings

SHOPIFY, NHANH = ("access_token",), ("app_id", "business_id", "access_token")


def test_nothing_given_means_the_defaults() -> None:
    settings = parse_settings({})
    assert settings == AccountSettings()
    assert settings.max_change_share == 0.5
    assert settings.max_change_floor == 5
    assert settings.conflict_rule == "nhanh_wins"
    assert settings.write.price is True


def test_json_and_back_keeps_decimals_exact() -> None:
    given = {
        "depot_locations": {"12": "gid://shopify/Location/1"},
        "price_rule": {"field": "retail_vat", "vat_percent": "8.5", "rounding": "1000", "currency_factor": "0.1"},
        "write": {"price": False},
        "max_change_share": 1,
        "conflict_rule": "keep_platform",
    }
    settings = parse_settings(given)
    assert settings.price_rule.currency_factor == Decimal("0.1")
    assert settings.write.stock is True
    assert parse_settings(settings_to_json(settings)) == settings


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_chang_share": 0.1}, "settings.max_chang_share"),
        ({"max_change_share": 1.01}, "settings.max_change_share"),
        ({"max_change_floor": -1}, "settings.max_change_floor"),
        ({"conflict_rule": "coin"}, "settings.conflict_rule"),
        ({"write": {"price": "yes"}}, "settings.write.price"),
        ({"write": {"prices": True}}, "settings.write.prices"),
        ({"price_rule": {"field": "cheapest"}}, "settings.price_rule.field"),
        ({"price_rule": {"rounding": 0}}, "settings.price_rule.rounding"),
        ({"price_rule": {"vat_percent": 101}}, "settings.price_rule.vat_percent"),
        ({"price_rule": {"currency_factor": "NaN"}}, "settings.price_rule.currency_factor"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidAccount) as caught:
        parse_settings(given)
    assert caught.value.field == field
    assert caught.value.reason


def test_what_a_newer_version_has_stored_is_passed_over() -> None:
    ours = {"max_change_floor": 3, "write": {"price": False}, "depot_locations": {"12": "gid://shopify/Location/1"}}
    newer = {**ours, "write": {"price": False, "images": True}, "price_rule": {"margin": "1"}, "night": {"from": 22}}
    assert stored_settings(newer) == parse_settings(ours)
    with pytest.raises(InvalidAccount, match=r"^settings\.conflict_rule: "):
        stored_settings({"conflict_rule": "ask"})


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 129, "đ"])
def test_names_form_topic_keys(name: str) -> None:
    with pytest.raises(InvalidAccount, match=r"^tenant: "):
        checked_name("tenant", name)


@pytest.mark.parametrize(
    "url", ["shop.myshopify.com", "ftp://x", "https://", "https://me:pw@x.test", "https://x.test?a=1"]
)
def test_a_base_url_is_a_plain_http_address(url: str) -> None:
    with pytest.raises(InvalidAccount, match=r"^base_url: "):
        checked_base_url(url)


def test_a_base_url_loses_its_final_slash() -> None:
    assert checked_base_url("http://127.0.0.1:1/shopify/demo/") == "http://127.0.0.1:1/shopify/demo"


@pytest.mark.parametrize("token", ["shpat_0a1b\n4e5f", "shpat_0a1b 4e5f", "shpat_tôken", "shpat\u200b0a1b", "shpat\0b"])
def test_a_credential_that_no_header_can_carry_is_named_and_not_shown(token: str) -> None:
    with pytest.raises(InvalidAccount, match=r"^credentials\.access_token: ") as caught:
        checked_credentials("shopify", SHOPIFY, {"access_token": token})
    assert "shpat" not in str(caught.value)
    assert checked_credentials("shopify", SHOPIFY, {"access_token": " shpat_0a1b\n"}) == {"access_token": "shpat_0a1b"}


def test_missing_credentials_are_named() -> None:
    with pytest.raises(InvalidAccount, match=r"^credentials\.business_id: "):
        checked_credentials("nhanh", NHANH, {"app_id": 1, "access_token": "t", "business_id": " "})
    assert checked_credentials("nhanh", NHANH, {"app_id": 1, "access_token": "t", "business_id": 2, "x": None}) == {
        "app_id": "1",
        "access_token": "t",
        "business_id": "2",
    }
