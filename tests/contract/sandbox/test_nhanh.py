"""The Nhanh side speaks the v3 protocol, traps included."""

import time
from typing import Any

import pytest


def walk(account: Any, action: str, size: int = 100, **filters: Any) -> list[list[Any]]:
    """All pages of a list, following `next` verbatim."""
    pages: list[list[Any]] = []
    following: Any = None
    for _ in range(500):
        paginator = {"size": size, **({"next": following} if following else {})}
        answer = account.nhanh(action, {"filters": filters, "paginator": paginator})
        assert answer["code"] == 1, answer
        pages.append(answer["data"])
        following = answer["paginator"]["next"]
        if following is None:
            return pages
        assert isinstance(following, dict)
        assert all(isinstance(value, str) for value in following.values())
    raise AssertionError("the walk does not end")


def test_pages_are_complete_though_some_are_short_or_empty(new_account: Any) -> None:
    account = new_account(nhanh={"products": 240, "customers": 60, "seed": 7})
    account.switch("nhanh", calls=10_000)
    pages = walk(account, "product/list", size=10)
    numbers = [item["id"] for page in pages for item in page]
    assert len(numbers) == len(set(numbers)) == account.facts("nhanh")["records"]["rows"]
    assert len(pages[0]) == 9
    assert any(page == [] for page in pages[:-1])
    customers = [item["id"] for page in walk(account, "customer/list", size=7) for item in page]
    assert sorted(customers) == sorted({doc["id"] for doc in account.records("nhanh", "customer")})


def test_next_must_be_echoed_as_it_came(account: Any) -> None:
    following = account.nhanh("product/list", {"paginator": {"size": 5}})["paginator"]["next"]
    assert set(following) == {"id"}
    for wrong in (following["id"], {"id": int(following["id"])}):
        answer = account.nhanh("product/list", {"paginator": {"size": 5, "next": wrong}})
        assert (answer["code"], answer["errorCode"]) == (0, "ERR_INVALID_FORM_FIELDS")


def test_items_have_the_documented_shape(account: Any) -> None:
    items = [item for page in walk(account, "product/list") for item in page]
    assert {"depots", "transfering", "available", "remain"} <= set(items[0]["inventory"])
    assert {depot["id"] for item in items for depot in item["inventory"]["depots"]} == {120001, 120002}
    parents = {item["id"] for item in items if item["parentId"] == -2}
    children = {item["parentId"] for item in items if item["parentId"] > 0}
    assert parents == children != set()
    assert any(item["barcode"] is None for item in items)
    assert not any(key.startswith("_") for item in items for key in item)
    stock = account.nhanh("product/inventory", {"filters": {"ids": [items[0]["id"]]}})["data"][0]
    assert "code" not in stock
    assert stock["productId"] == items[0]["id"]
    detail = account.nhanh("product/detail", {"filters": {"id": items[0]["id"]}})["data"]
    assert detail["description"]
    assert detail["inventory"]["warrantyHolding"] == 0


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"appId": "1"}, "ERR_INVALID_APP_ID"),
        ({"businessId": "1"}, "ERR_INVALID_BUSINESS_ID"),
        ({"token": "wrong"}, "ERR_INVALID_ACCESS_TOKEN"),
        ({"token": "v2.old"}, "ERR_INVALID_VERSION"),
    ],
)
def test_wrong_credentials_are_named_under_http_200(account: Any, overrides: Any, code: str) -> None:
    answer = account.call("product/list", **overrides)
    assert answer.status_code == 200
    assert answer.json()["errorCode"] == code
    bearer = f"Bearer {account.made['nhanh']['credentials']['access_token']}"
    assert account.call("product/list", token=bearer).json()["errorCode"] == "ERR_INVALID_ACCESS_TOKEN"


def test_unknown_paths_are_html_and_reads_are_posts(account: Any) -> None:
    answer = account.call("customer/detail")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    url = f"{account.made['nhanh']['base_url']}/v3.0/product/list"
    assert account.server.http.get(url).status_code == 405


def test_messages_take_several_forms(account: Any) -> None:
    too_large = account.nhanh("product/list", {"paginator": {"size": 101}})
    assert isinstance(too_large["messages"], dict)
    not_an_object = account.nhanh("product/list", {"filters": "all"})
    assert isinstance(not_an_object["messages"], list)
    assert isinstance(account.call("product/list", appId="1").json()["messages"], str)
    assert account.nhanh("product/list", {"filters": {"colour": "red"}})["warning"]


def test_the_limit_locks_and_calling_while_locked_lengthens_the_lock(account: Any, wait_until: Any) -> None:
    account.switch("nhanh", calls=3, window_seconds=60, lock_seconds=1, lock_growth_seconds=1)
    for _ in range(3):
        assert account.nhanh("business/depot")["code"] == 1
    first = account.nhanh("business/depot")
    assert first["errorCode"] == "ERR_429"
    assert "messages" not in first
    assert first["message"]
    second = account.nhanh("business/depot")
    assert second["data"]["unlockedAt"] > first["data"]["unlockedAt"]
    assert account.nhanh("customer/list")["code"] == 1  # another URL has a bucket of its own
    wait_until(lambda: time.time() >= second["data"]["unlockedAt"])
    assert account.nhanh("business/depot")["code"] == 1


def test_customers_are_messy(new_account: Any) -> None:
    account = new_account(nhanh={"products": 1, "customers": 300, "seed": 7})
    people = [item for page in walk(account, "customer/list") for item in page]
    mobiles = [person["mobile"] for person in people]
    assert None in mobiles
    assert any(person["email"] is None for person in people)
    for mess in ("+84", "(zalo)", "/", ".0", "tel:", "'", "O"):
        assert any(mobile and mess in mobile for mobile in mobiles), mess
    assert any("ễ" in person["name"] for person in people)


def test_add_refuses_a_known_mobile_unless_the_switch_says_update(account: Any) -> None:
    new = {"name": "Lê Thị Mới", "mobile": "0987 000 111", "type": 1}
    number = account.nhanh("customer/add", [new])["data"][0]["id"]
    again = account.nhanh("customer/add", [{**new, "mobile": "+84987000111", "name": "Khác"}])
    assert again["errorCode"] == "ERR_INVALID_FORM_FIELDS"
    assert "customer.mobile" in again["messages"]
    missing = account.nhanh("customer/add", [{"name": "Không số"}])
    assert missing["messages"] == {"customer.mobile": "customer.mobile is required"}
    account.switch("nhanh", upsert_customers=True)
    updated = account.nhanh("customer/add", [{**new, "name": "Khác"}])
    assert updated["data"][0]["id"] == number
    found = account.nhanh("customer/list", {"filters": {"mobile": "0987000111"}})["data"]
    assert [person["name"] for person in found] == ["Khác"]
    assert account.facts("nhanh")["writes"] == {"customer/add": 2}


def test_a_depot_limited_token_under_reports_stock(account: Any) -> None:
    item = next(i for i in account.nhanh("product/list")["data"] if i["parentId"] == -1)
    account.switch("nhanh", depot_ids=[120001])
    limited = account.nhanh("product/list", {"filters": {"ids": [item["id"]]}})["data"][0]
    assert limited["inventory"]["available"] < item["inventory"]["available"]
    assert len(account.nhanh("business/depot")["data"]) == 1
    assert account.nhanh("app/checkaccesstoken", {"secretKey": "s"})["data"]["depotIds"] == [120001]
    refused = account.nhanh("product/inventory", {"filters": {"depotIds": [120002]}})
    assert refused["errorCode"] == "ERR_INVALID_DEPOT_ID"


def test_a_stock_change_does_not_move_updated_at(account: Any) -> None:
    item = next(i for i in account.nhanh("product/list")["data"] if i["parentId"] == -1)
    at = int(time.time())
    edit = {"id": item["id"], "stock": {"120001": 999}, "at": at}
    account.server.control("POST", f"records/{account.name}/nhanh/product", edit)
    by_change = {"filters": {"updatedAtFrom": at}}
    assert account.nhanh("product/list", by_change)["data"] == []
    assert [i["productId"] for i in account.nhanh("product/inventory", by_change)["data"]] == [item["id"]]


def test_an_expired_token_is_refused(account: Any) -> None:
    account.switch("nhanh", token_expired=True)
    assert account.nhanh("product/list")["errorCode"] == "ERR_INVALID_ACCESS_TOKEN"
