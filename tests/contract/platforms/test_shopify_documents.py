"""Every GraphQL document that we send is valid, and undeprecated, in Shopify's own schema."""

import json
from typing import Any

import httpx
import pytest
from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, parse, validate
from graphql.execution import get_variable_values
from graphql.validation import NoDeprecatedCustomRule, specified_rules

from platforms.connections import Connection
from platforms.shopify import documents
from platforms.shopify.client import ShopifyClient
from platforms.shopify.transport import API_VERSION

RULES = [*specified_rules, NoDeprecatedCustomRule]


def _faults(schema: GraphQLSchema, text: str) -> list[str]:
    return [error.message for error in validate(schema, parse(text), RULES)]


def test_the_pinned_version_is_the_one_checked_here() -> None:
    assert API_VERSION == "2026-10"


def test_there_are_documents() -> None:
    assert len(documents.names()) == 15


@pytest.mark.parametrize("name", documents.names())
def test_a_document_is_valid_and_uses_nothing_deprecated(shopify_schema: GraphQLSchema, name: str) -> None:
    assert _faults(shopify_schema, documents.text(name)) == []


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ("vendor", "vendour", "Cannot query field 'vendour'"),
        ("descriptionHtml", "bodyHtml", "is deprecated"),
        ("vendor", "featuredImage { url }", "is deprecated"),
    ],
)
def test_a_broken_document_is_refused(shopify_schema: GraphQLSchema, good: str, bad: str, fault: str) -> None:
    text = documents.text("products").replace("description\n", f"{good}\n" if good != "vendor" else "description\n")
    broken = text.replace(good, bad, 1)
    assert broken != text
    assert any(fault in message for message in _faults(shopify_schema, broken))


def test_the_old_stock_input_is_refused(shopify_schema: GraphQLSchema) -> None:
    content = {"name": "available", "reason": "correction", "ignoreCompareQuantity": True, "quantities": []}
    errors = _variable_errors(shopify_schema, documents.text("set_quantities"), {"input": content, "key": "k"})
    assert any("ignoreCompareQuantity" in error.message for error in errors)


def test_stock_is_never_set_without_an_idempotency_key() -> None:
    """Required since 2026-04, which the schema alone does not say."""
    for name in documents.names():
        text = documents.text(name)
        assert ("inventorySetQuantities" in text) == ("@idempotent(key: $key)" in text)


def test_what_the_client_sends_fits_the_input_types(shopify_schema: GraphQLSchema) -> None:
    sent: list[Any] = []

    def platform(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        sent.append(body)
        counts = {key: {"count": 0} for key in ("productsCount", "customersCount")}
        names = {"shop": _SHOP, "nodes": [], **counts} | dict.fromkeys(_CONNECTIONS, _EMPTY)
        return httpx.Response(200, json={"data": {**names, **{key: {"userErrors": []} for key in _MUTATIONS}}})

    connection = Connection("demo", "shop", "shopify", "https://shop.test", {"access_token": "shpat_0123456789"})
    http = httpx.Client(transport=httpx.MockTransport(platform))
    client = ShopifyClient(connection, wait=lambda _seconds, _reason: None, http=http)
    client.check()
    client.products(query="updated_at:>='2026-11-01T00:00:00Z'")
    client.customers()
    client.count_products("status:active")
    client.count_customers()
    client.locations()
    client.variants_by_ids(["gid://shopify/ProductVariant/1"])
    client.customers_by_ids(["gid://shopify/Customer/1"])
    client.update_variants("gid://shopify/Product/1", [{"id": "gid://shopify/ProductVariant/1", "price": "1000"}])
    quantity = {"inventoryItemId": "gid://shopify/InventoryItem/1", "locationId": "gid://shopify/Location/1"}
    client.set_quantities([{**quantity, "quantity": 5, "changeFromQuantity": 3}], idempotency_key="k")
    client.update_customer({"id": "gid://shopify/Customer/1", "phone": "+84912345678", "note": "x"})
    metafield = {"namespace": "nhanh", "key": "points", "type": "number_integer", "value": "5"}
    client.set_metafields([{"ownerId": "gid://shopify/Customer/1", **metafield}])
    assert len(sent) == 12
    for body in sent:
        assert _variable_errors(shopify_schema, body["query"], body["variables"]) == []


_EMPTY = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
_SHOP = {"id": "1", "name": "Demo", "myshopifyDomain": "demo", "currencyCode": "VND"}
_CONNECTIONS = ("products", "customers", "locations")
_MUTATIONS = ("productVariantsBulkUpdate", "inventorySetQuantities", "customerUpdate", "metafieldsSet")


def _variable_errors(schema: GraphQLSchema, text: str, variables: dict[str, Any]) -> list[GraphQLError]:
    (operation,) = [d for d in parse(text).definitions if isinstance(d, OperationDefinitionNode)]
    coerced = get_variable_values(schema, operation.variable_definitions or (), variables)
    return coerced if isinstance(coerced, list) else []
