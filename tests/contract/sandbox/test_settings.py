"""Switches of the shops: the currency, lists that end early, how many depots and locations there are."""

from typing import Any

import httpx
import pytest

CLEAR = """mutation ($input: CustomerInput!) {
  customerUpdate(input: $input) {
    customer { id defaultPhoneNumber { phoneNumber } defaultEmailAddress { emailAddress } }
    userErrors { field message }
  }
}"""
COUNTED = """{
  products(first: 10) { nodes { id } pageInfo { hasNextPage } }
  productsCount(limit: null) { count }
  customers(first: 10) { nodes { id } pageInfo { hasNextPage } }
  customersCount(limit: null) { count }
}"""


def test_a_shops_currency_is_vnd_until_it_is_set(account: Any) -> None:
    query = "{ shop { currencyCode } customers(first: 1) { nodes { amountSpent { currencyCode } } } }"

    def currencies() -> set[str]:
        data = account.graphql(query)["data"]
        return {data["shop"]["currencyCode"], data["customers"]["nodes"][0]["amountSpent"]["currencyCode"]}

    assert currencies() == {"VND"}
    account.switch("shopify", currency="USD")
    assert currencies() == {"USD"}
    refused = account.server.http.patch(f"/_sandbox/shops/{account.name}/shopify", json={"currency": "usd"})
    assert refused.status_code == 422


@pytest.mark.parametrize("nothing", [None, "", "  "])
@pytest.mark.parametrize(
    ("field", "shown"),
    [("phone", "defaultPhoneNumber"), ("email", "defaultEmailAddress")],
)
def test_null_and_blank_clear_a_phone_or_an_email_and_leave_the_rest(
    account: Any, field: str, shown: str, nothing: str | None
) -> None:
    doc = next(
        doc
        for doc in account.records("shopify", "customer")
        if doc["defaultPhoneNumber"] and doc["defaultEmailAddress"] and doc["firstName"]
    )
    answer = account.graphql(CLEAR, input={"id": doc["id"], field: nothing})["data"]["customerUpdate"]
    assert answer["userErrors"] == []
    other = {"defaultPhoneNumber": "defaultEmailAddress", "defaultEmailAddress": "defaultPhoneNumber"}[shown]
    assert answer["customer"][shown] is None
    assert answer["customer"][other] == doc[other]
    untouched = account.graphql(CLEAR, input={"id": doc["id"], "note": "x"})["data"]["customerUpdate"]
    assert untouched["customer"][other] == doc[other]


def test_lists_end_early_and_counts_tell_all(account: Any) -> None:
    account.switch("shopify", lists_end_after=4)
    data = account.graphql(COUNTED)["data"]
    for kind in ("products", "customers"):
        assert len(data[kind]["nodes"]) == 4
        assert data[kind]["pageInfo"]["hasNextPage"] is False
        assert data[f"{kind}Count"]["count"] == account.facts("shopify")["records"][kind]
    account.switch("nhanh", lists_end_after=4)
    for action in ("product/list", "customer/list"):
        answer = account.nhanh(action)
        assert (len(answer["data"]), answer["paginator"]["next"]) == (4, None)
    account.switch("nhanh", lists_end_after=None)
    assert len(account.nhanh("customer/list")["data"]) == 30


def test_a_shop_may_have_one_place(new_account: Any) -> None:
    small = {"products": 10, "customers": 5, "places": 1}
    account = new_account(small, small)
    assert account.made["depot_locations"] == {"120001": "90100000001"}
    assert [depot["id"] for depot in account.nhanh("business/depot")["data"]] == [120001]
    products = account.nhanh("product/list")["data"]
    assert {len(item["inventory"]["depots"]) for item in products if item["parentId"] != -2} == {1}
    levels = "{ locations(first: 5) { nodes { id } } productVariants(first: 5) { nodes { inventoryItem { %s } } } }"
    data = account.graphql(levels % "inventoryLevels(first: 5) { nodes { id } }")["data"]
    assert len(data["locations"]["nodes"]) == 1
    for variant in data["productVariants"]["nodes"]:
        assert len(variant["inventoryItem"]["inventoryLevels"]["nodes"]) == 1


@pytest.mark.parametrize("text", ["0", "-5", "nan", "Thu, 01 Jan 1970 00:00:00 GMT", "soon"])
def test_retry_after_has_the_text_of_the_fault(account: Any, text: str) -> None:
    account.fault("shopify", "429", count=1, retry_after=text)
    account.fault("nhanh", "5xx", count=1, retry_after=text)
    limited: httpx.Response = account.post("{ shop { name } }")
    broken: httpx.Response = account.call("customer/list")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, text)
    assert (broken.status_code, broken.headers["Retry-After"]) == (503, text)


def test_a_refusal_may_come_without_the_header(account: Any) -> None:
    account.fault("shopify", "429", count=1, retry_after="")
    assert "Retry-After" not in account.post("{ shop { name } }").headers
