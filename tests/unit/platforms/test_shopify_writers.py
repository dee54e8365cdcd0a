"""What a sync sends to a shop: grouped by product and by customer, in calls of a bounded size, one outcome a value."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from platforms.adapter import FieldWrite, Location, RemoteRecord, WriteOutcome
from platforms.buckets import LocalBuckets
from platforms.connections import Connection
from platforms.errors import Conflict, ValidationFailed
from platforms.field_names import EMAIL, NAME, PHONE, PRICE, metafield, stock_at
from platforms.registry import platform
from platforms.results import Exchange, ItemResult, Json
from platforms.shopify import writers

PLACE = "gid://shopify/Location/1"
REFUSED = ValidationFailed("TAKEN", "phone: has already been taken")


class FakeShop:
    """A client that notes its calls; an exchange of 12 ms a call. bad: ids whose writes are refused."""

    requests = rate_limit_hits = 0

    def __init__(self, *_: object, on_exchange: Callable[[Exchange], None], **__: object) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.bad: set[str] = set()
        self._on_exchange = on_exchange

    def shop(self) -> Json:
        return {"currencyCode": "VND"}

    def locations(self) -> list[Json]:
        return [{"id": PLACE, "name": "Hà Nội"}, {"id": "gid://shopify/Location/2", "name": None}]

    def variants_by_ids(self, ids: Sequence[str]) -> list[Json]:
        quantities = [{"name": "on_hand", "quantity": 9}, {"name": "available", "quantity": 4}]
        levels = [
            {"location": {"id": PLACE}, "quantities": quantities},
            {"location": {"id": "gid://shopify/Location/2"}, "quantities": []},
        ]
        item = {"id": "item", "inventoryLevels": {"nodes": levels}}
        return [{"id": one, "price": "120000.00", "product": {"id": "p"}, "inventoryItem": item} for one in ids]

    def customers_by_ids(self, ids: Sequence[str], *, namespace: str) -> list[Json]:
        assert namespace == "nhanh"
        record = {
            "lastName": "Nguyễn",
            "firstName": "Thị Lan",
            "defaultPhoneNumber": None,
            "defaultEmailAddress": {"emailAddress": "lan@example.vn"},
            "metafields": {"nodes": [{"key": "points", "value": "7"}]},
        }
        return [{"id": one, **record} for one in ids]

    def update_variants(self, product_id: str, variants: Sequence[Json]) -> list[ItemResult]:
        return self._many("update_variants", (product_id, list(variants)), [one["id"] for one in variants])

    def set_quantities(self, quantities: Sequence[Json], *, idempotency_key: str) -> list[ItemResult]:
        ids = [one["inventoryItemId"] for one in quantities]
        return self._many("set_quantities", (idempotency_key, list(quantities)), ids)

    def update_customer(self, input: Json) -> ItemResult:
        return self._many("update_customer", input, [input["id"]])[0]

    def set_metafields(self, metafields: Sequence[Json]) -> list[ItemResult]:
        return self._many("set_metafields", list(metafields), [one["ownerId"] for one in metafields])

    def _many(self, name: str, call: Any, ids: list[str]) -> list[ItemResult]:
        self.calls.append((name, call))
        self._on_exchange(Exchange("POST", "https://shop.test", "", 200, "", 12.4))
        return [ItemResult(one, one not in self.bad, REFUSED if one in self.bad else None) for one in ids]


@pytest.fixture
def noted() -> list[Exchange]:
    return []


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, noted: list[Exchange]) -> Callable[[Any], tuple[Any, FakeShop]]:
    """Opens the writer of a kind of record, and the shop behind it."""

    def open_writer(kind: Any) -> tuple[Any, FakeShop]:
        shops: list[FakeShop] = []

        def client(*arguments: object, **options: Any) -> FakeShop:
            shops.append(FakeShop(*arguments, **options))
            return shops[-1]

        monkeypatch.setattr(writers, "ShopifyClient", client)
        connection = Connection("demo", "shop", "shopify", "https://shop.test", {})
        buckets = LocalBuckets(lambda: 0.0)
        return platform("shopify").writers[kind](connection, lambda *_: None, buckets, noted.append), shops[0]

    return open_writer


def _key(content: object) -> str:
    return f"key of {content}"


def test_the_present_values_of_variants(opened: Any) -> None:
    writer, _ = opened("product")
    fields = {PRICE: "120000.00", stock_at(PLACE): "4", stock_at("gid://shopify/Location/2"): None}
    assert writer.read(["v1"]) == {"v1": RemoteRecord(fields, {"product": "p", "inventory_item": "item"})}
    assert writer.currency() == "VND"
    assert list(writer.locations()) == [Location(PLACE, "Hà Nội", "1"), Location("gid://shopify/Location/2", "", "2")]
    assert writer.batch_size == 50


def test_prices_go_by_product_and_stock_by_the_hundred(opened: Any, noted: list[Exchange]) -> None:
    writer, shop = opened("product")
    shop.bad = {"v2", "i150"}
    prices = [FieldWrite(f"v{n}", PRICE, "1", "2", {"product": f"p{n // 2}"}) for n in range(4)]
    stock = [
        FieldWrite(f"s{n}", stock_at(PLACE), None if n == 0 else "5", str(n), {"inventory_item": f"i{n}"})
        for n in range(151)
    ]
    outcomes = list(writer.write([*prices, *stock], _key))
    assert [call[0] for call in shop.calls] == ["update_variants"] * 2 + ["set_quantities"] * 2
    assert shop.calls[0][1] == ("p0", [{"id": "v0", "price": "2"}, {"id": "v1", "price": "2"}])
    assert [len(call[1][1]) for call in shop.calls] == [2, 2, 100, 51]
    first = {"inventoryItemId": "i0", "locationId": PLACE, "quantity": 0, "changeFromQuantity": None}
    assert shop.calls[2][1][1][:2] == [
        first,
        {"inventoryItemId": "i1", "locationId": PLACE, "quantity": 1, "changeFromQuantity": 5},
    ]
    assert {one.remote_id for one in outcomes if one.error is not None} == {"v2", "s150"}
    assert len(outcomes) == len(prices) + len(stock)
    assert outcomes[0] == WriteOutcome("v0", PRICE, None, 12)
    assert len(noted) == len(shop.calls)


def test_an_idempotency_key_is_made_of_items_locations_and_quantities(opened: Any) -> None:
    """Another text would be another key: what an older version began could then be written twice."""
    writer, shop = opened("product")
    values = [
        FieldWrite("v1", stock_at(PLACE), "5", "7", {"inventory_item": "i1"}),
        FieldWrite("v2", stock_at(PLACE), None, "0", {"inventory_item": "i2"}),
    ]
    list(writer.write(values, _key))
    assert shop.calls[0][1][0] == f"key of i1@{PLACE}:5>7,i2@{PLACE}:None>0"


def test_contacts_go_by_customer_and_metafields_by_twenty_five(opened: Any) -> None:
    writer, shop = opened("customer")
    shop.bad = {"c1"}
    values = [
        FieldWrite("c1", NAME, None, "Nguyễn Thị Lan"),
        FieldWrite("c1", PHONE, "+84912345678", ""),
        FieldWrite("c1", metafield("points"), None, "7"),
        FieldWrite("c2", EMAIL, None, "minh@example.vn"),
        *(FieldWrite(f"d{n}", metafield("total_amount"), None, "1.5") for n in range(25)),
    ]
    outcomes = list(writer.write(values, _key))
    assert shop.calls[:2] == [
        ("update_customer", {"id": "c1", "firstName": "Thị Lan", "lastName": "Nguyễn", "phone": None}),
        ("update_customer", {"id": "c2", "email": "minh@example.vn"}),
    ]
    assert [(call[0], len(call[1])) for call in shop.calls[2:]] == [("set_metafields", 25), ("set_metafields", 1)]
    assert shop.calls[2][1][0] == {
        "ownerId": "c1",
        "namespace": "nhanh",
        "key": "points",
        "type": "number_integer",
        "value": "7",
    }
    refused = [(one.remote_id, one.name) for one in outcomes if one.error is not None]
    assert refused == [("c1", NAME), ("c1", PHONE), ("c1", metafield("points"))]
    assert len(outcomes) == len(values)


def test_the_present_values_of_customers(opened: Any) -> None:
    writer, _ = opened("customer")
    fields = {NAME: "Nguyễn Thị Lan", PHONE: None, EMAIL: "lan@example.vn", metafield("points"): "7"}
    assert writer.read(["c1"]) == {"c1": RemoteRecord(fields)}
    assert writer.batch_size == 25


def test_outcomes_that_are_known_come_before_what_breaks_off(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, shop = opened("product")
    breaks = Conflict("AWAY", "the shop is away")

    def refuse(*_: object, **__: object) -> list[ItemResult]:
        raise breaks

    monkeypatch.setattr(shop, "set_quantities", refuse)
    values = [
        FieldWrite("v1", PRICE, "1", "2", {"product": "p"}),
        FieldWrite("v1", stock_at(PLACE), "1", "2", {"inventory_item": "i"}),
    ]
    outcomes = iter(writer.write(values, _key))
    assert next(outcomes).name == PRICE
    with pytest.raises(Conflict):
        next(outcomes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Nguyễn Thị Lan", ("Thị Lan", "Nguyễn")), ("Lan", ("Lan", "")), ("", ("", ""))],
)
def test_a_family_name_stands_first(name: str, expected: tuple[str, str]) -> None:
    assert writers.split_name(name) == expected


@pytest.mark.parametrize("text", ["90100000001", " 90100000001 ", "gid://shopify/Location/90100000001"])
def test_a_location_may_be_named_by_its_number(text: str) -> None:
    assert platform("shopify").location_id(text) == "gid://shopify/Location/90100000001"


@pytest.mark.parametrize("text", ["", "Hà Nội", "gid://shopify/Product/1"])
def test_other_text_is_no_location(text: str) -> None:
    with pytest.raises(ValueError, match="is no location id"):
        platform("shopify").location_id(text)
