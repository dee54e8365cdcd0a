"""Writes: one outcome for each item, whatever Shopify does with the batch."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from platforms.errors import Conflict, NotFound, PermissionDenied, Unavailable, ValidationFailed

ITEM = "gid://shopify/InventoryItem/{}"
PLACE = "gid://shopify/Location/1"


class Store:
    """A shop whose quantities can be set; atomic like Shopify's: any error and nothing is written."""

    def __init__(self, available: dict[str, int], *, named: bool = True) -> None:
        self.available = dict(available)
        self.named = named
        self.keys: list[str] = []
        self.sizes: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        variables = json.loads(request.content)["variables"]
        quantities = variables["input"]["quantities"]
        self.keys.append(variables["key"])
        self.sizes.append(len(quantities))
        errors: list[Any] = []
        for index, quantity in enumerate(quantities):
            path = ["input", "quantities", str(index)] if self.named else None
            held = self.available.get(quantity["inventoryItemId"])
            if held is None:
                errors.append({"field": path, "message": "gone", "code": "INVALID_INVENTORY_ITEM"})
            elif quantity["changeFromQuantity"] not in {None, held}:
                errors.append({"field": path, "message": "stale", "code": "CHANGE_FROM_QUANTITY_STALE"})
        if not errors:
            self.available |= {q["inventoryItemId"]: q["quantity"] for q in quantities}
        return _payload("inventorySetQuantities", errors, inventoryAdjustmentGroup=None)


def _payload(field: str, errors: list[Any], **rest: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": {field: {"userErrors": errors, **rest}}})


def _quantity(n: int, quantity: int, **extra: Any) -> dict[str, Any]:
    return {"inventoryItemId": ITEM.format(n), "locationId": PLACE, "quantity": quantity, **extra}


@pytest.mark.parametrize("named", [True, False])
def test_bad_quantities_never_fail_their_neighbours(shopify: Any, named: bool) -> None:
    store = Store({ITEM.format(n): 5 for n in range(20)}, named=named)
    wanted = [_quantity(n, n, changeFromQuantity=4 if n == 3 else 5) for n in range(21)]
    results = shopify(store).set_quantities(wanted, reason="correction", idempotency_key="run-1")
    assert [result.key for result in results] == [f"{ITEM.format(n)}@{PLACE}" for n in range(21)]
    assert [n for n, result in enumerate(results) if not result.ok] == [3, 20]
    assert isinstance(results[3].error, Conflict)
    assert isinstance(results[20].error, NotFound)
    assert store.available == {ITEM.format(n): 5 if n == 3 else n for n in range(20)}
    assert store.keys[0] == "run-1"
    assert len(set(store.keys)) == len(store.keys)


def test_derived_keys_are_the_same_in_a_repeat(shopify: Any) -> None:
    keys: list[list[str]] = []
    for _ in range(2):
        store = Store({ITEM.format(n): 5 for n in range(3)})
        shopify(store).set_quantities([_quantity(n, 1) for n in range(4)], idempotency_key="run-1")
        keys.append(store.keys)
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_a_lost_answer_is_repeated_with_the_same_key(shopify: Any, script: Any) -> None:
    store = Store({ITEM.format(1): 5})
    platform = script(httpx.ReadError("cut"), store)
    results = shopify(platform).set_quantities([_quantity(1, 2, changeFromQuantity=5)], idempotency_key="run-1")
    assert results[0].ok
    sent = [json.loads(request.content)["variables"] for request in platform.requests]
    assert sent[0] == sent[1]
    assert sent[0]["key"] == "run-1"


def test_no_check_is_said_with_null(shopify: Any, script: Any) -> None:
    platform = script(Store({ITEM.format(1): 5}))
    shopify(platform).set_quantities([_quantity(1, 2)], idempotency_key="k")
    content = json.loads(platform.requests[0].content)["variables"]["input"]
    assert content["quantities"][0]["changeFromQuantity"] is None
    assert (content["name"], content["reason"]) == ("available", "correction")


def _refused(code: str) -> httpx.Response:
    return _payload("inventorySetQuantities", [{"field": None, "message": "key", "code": code}])


def test_a_twin_in_flight_is_waited_for_with_the_same_key(shopify: Any, script: Any, fake_time: Any) -> None:
    busy = _refused("IDEMPOTENCY_CONCURRENT_REQUEST")
    platform = script(busy, busy, Store({ITEM.format(1): 5}))
    assert shopify(platform).set_quantities([_quantity(1, 2)], idempotency_key="k")[0].ok
    assert {json.loads(request.content)["variables"]["key"] for request in platform.requests} == {"k"}
    assert fake_time.waited > 1
    with pytest.raises(Unavailable):
        shopify(script(busy), retry_timeout=60.0).set_quantities([_quantity(1, 2)], idempotency_key="k")


def test_a_burnt_key_is_replaced(shopify: Any, script: Any) -> None:
    store = Store({ITEM.format(1): 5})
    platform = script(_refused("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"), store)
    assert shopify(platform).set_quantities([_quantity(1, 2)], idempotency_key="k")[0].ok
    assert store.keys != ["k"]


def test_an_error_of_the_whole_call_is_not_bisected(shopify: Any, script: Any) -> None:
    error = {"field": ["input", "reason"], "message": "unknown reason", "code": "INVALID_REASON"}
    platform = script(_payload("inventorySetQuantities", [error]))
    results = shopify(platform).set_quantities([_quantity(n, 1) for n in range(9)], reason="x", idempotency_key="k")
    assert len(platform.requests) == 1
    assert [type(result.error) for result in results] == [ValidationFailed] * 9


def _variants(count: int) -> list[dict[str, Any]]:
    return [{"id": f"gid://shopify/ProductVariant/{n}", "price": "1000"} for n in range(count)]


def test_variants_partly_updated_are_not_sent_again(shopify: Any, script: Any) -> None:
    error = {"field": ["variants", "1", "price"], "message": "negative", "code": "NEGATIVE_PRICE_VALUE"}
    written = [{"id": "gid://shopify/ProductVariant/0"}, {"id": "gid://shopify/ProductVariant/2"}]
    platform = script(_payload("productVariantsBulkUpdate", [error], productVariants=written))
    results = shopify(platform).update_variants("gid://shopify/Product/1", _variants(3))
    assert [result.ok for result in results] == [True, False, True]
    assert results[1].key == "gid://shopify/ProductVariant/1"
    assert results[1].error is not None
    assert results[1].error.code == "NEGATIVE_PRICE_VALUE"
    assert len(platform.requests) == 1


def test_a_batch_stopped_by_one_variant_goes_on_without_it(shopify: Any, script: Any) -> None:
    error = {"field": ["variants", "1"], "message": "gone", "code": "PRODUCT_VARIANT_DOES_NOT_EXIST"}
    platform = script(
        _payload("productVariantsBulkUpdate", [error], productVariants=None),
        _payload("productVariantsBulkUpdate", [], productVariants=[{"id": "a"}, {"id": "b"}]),
    )
    results = shopify(platform).update_variants("gid://shopify/Product/1", _variants(3))
    assert [result.ok for result in results] == [True, False, True]
    resent = json.loads(platform.requests[1].content)["variables"]["variants"]
    assert [variant["id"][-1] for variant in resent] == ["0", "2"]


def test_a_missing_product_fails_all_its_variants(shopify: Any, script: Any) -> None:
    error = {"field": ["productId"], "message": "Product does not exist", "code": "PRODUCT_DOES_NOT_EXIST"}
    platform = script(_payload("productVariantsBulkUpdate", [error], productVariants=None))
    results = shopify(platform).update_variants("gid://shopify/Product/1", _variants(3))
    assert [type(result.error) for result in results] == [NotFound] * 3
    assert len(platform.requests) == 1


def test_money_travels_as_text_and_never_as_a_float(shopify: Any, script: Any) -> None:
    platform = script(_payload("productVariantsBulkUpdate", [], productVariants=[{"id": "a"}]))
    client = shopify(platform)
    client.update_variants("gid://shopify/Product/1", [{"id": "a", "price": Decimal("120000.50")}])
    assert json.loads(platform.requests[0].content)["variables"]["variants"][0]["price"] == "120000.50"
    with pytest.raises(ValidationFailed):
        client.update_variants("gid://shopify/Product/1", [{"id": "a", "price": 0.1}])


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"field": ["phone"], "message": "Phone has already been taken"}, ValidationFailed, "TAKEN"),
        ({"field": ["id"], "message": "Customer does not exist"}, NotFound, "DOES_NOT_EXIST"),
        ({"field": None, "message": "odd"}, ValidationFailed, "USER_ERROR"),
    ],
)
def test_customer_errors_have_no_code_of_their_own(
    shopify: Any, script: Any, error: Any, kind: type[Exception], code: str
) -> None:
    result = shopify(script(_payload("customerUpdate", [error]))).update_customer({"id": "c", "phone": "+84"})
    assert (result.key, result.ok, type(result.error)) == ("c", False, kind)
    assert result.error.code == code
    assert shopify(script(_payload("customerUpdate", []))).update_customer({"id": "c"}).ok


def _metafields(count: int) -> list[dict[str, Any]]:
    common = {"namespace": "nhanh", "type": "single_line_text_field", "value": "1"}
    return [{"ownerId": f"gid://shopify/Customer/{n}", "key": "points", **common} for n in range(count)]


def test_metafields_name_their_element_and_the_rest_is_sent_again(shopify: Any, script: Any) -> None:
    error = {"field": ["metafields"], "message": "no", "code": "APP_NOT_AUTHORIZED", "elementIndex": 2}
    platform = script(_payload("metafieldsSet", [error]), _payload("metafieldsSet", []))
    results = shopify(platform).set_metafields(_metafields(4))
    assert [result.ok for result in results] == [True, True, False, True]
    assert isinstance(results[2].error, PermissionDenied)
    assert results[0].key == "gid://shopify/Customer/0#nhanh.points"
    assert len(platform.requests) == 2


def test_calls_larger_than_the_platform_takes_are_refused(shopify: Any, script: Any) -> None:
    client = shopify(script(httpx.Response(500)))
    with pytest.raises(ValueError, match="at most 25 metafields"):
        client.set_metafields(_metafields(26))
    with pytest.raises(ValueError, match="at most 250 quantities"):
        client.set_quantities([_quantity(n, 1) for n in range(251)], idempotency_key="k")
    with pytest.raises(ValueError, match="at most 250 variants"):
        client.update_variants("p", _variants(251))
    with pytest.raises(ValueError, match="blank"):
        client.set_quantities([_quantity(1, 1)], idempotency_key=" ")


def test_nothing_to_write_sends_nothing(shopify: Any, script: Any) -> None:
    platform = script(httpx.Response(500))
    client = shopify(platform)
    assert client.set_quantities([], idempotency_key="k") == []
    assert client.update_variants("p", []) == []
    assert client.set_metafields([]) == []
    assert platform.requests == []
