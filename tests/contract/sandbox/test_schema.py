"""The served schema agrees with Shopify's own, and serves every document that we send."""

from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    is_required_argument,
    is_required_input_field,
    parse,
    validate,
)

from platforms.shopify import documents
from sandbox.shopify import load_schema

SERVED = load_schema()


def differences(served: GraphQLSchema, real: GraphQLSchema) -> list[str]:
    """Everything in `served` that `real` says otherwise, and everything `real` requires that `served` lacks."""
    found: list[str] = []
    theirs: dict[str, Any] = dict(real.type_map)
    for name, kind in served.type_map.items():
        other: Any = theirs.get(name)
        if name.startswith("__"):
            continue
        if other.__class__ is not kind.__class__:
            found.append(f"{name}: {type(kind).__name__} is not so in the real schema")
            continue
        if isinstance(kind, GraphQLEnumType):
            found += [f"{name}.{value}: unknown" for value in kind.values if value not in other.values]
        elif isinstance(kind, GraphQLInputObjectType):
            found += input_differences(name, kind, other)
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            found += [
                f"{name}: not a {i.name}" for i in kind.interfaces if i.name not in {o.name for o in other.interfaces}
            ]
            found += field_differences(name, kind, other)
    return found


def input_differences(name: str, kind: Any, other: Any) -> list[str]:
    found: list[str] = []
    for field, mine in kind.fields.items():
        theirs = other.fields.get(field)
        if theirs is None or str(theirs.type) != str(mine.type):
            found.append(f"{name}.{field}: {mine.type} is {theirs.type if theirs else 'unknown'}")
    missing = [f for f, theirs in other.fields.items() if is_required_input_field(theirs) and f not in kind.fields]
    return found + [f"{name}.{field}: required but missing" for field in missing]


def field_differences(name: str, kind: Any, other: Any) -> list[str]:
    found: list[str] = []
    for field, mine in kind.fields.items():
        theirs = other.fields.get(field)
        if theirs is None or str(theirs.type) != str(mine.type):
            found.append(f"{name}.{field}: {mine.type} is {theirs.type if theirs else 'unknown'}")
            continue
        if theirs.deprecation_reason:
            found.append(f"{name}.{field}: deprecated")
        for arg, given in mine.args.items():
            wanted = theirs.args.get(arg)
            if wanted is None or str(wanted.type) != str(given.type):
                found.append(f"{name}.{field}({arg}): {given.type} is {wanted.type if wanted else 'unknown'}")
        found += [
            f"{name}.{field}({arg}): required but missing"
            for arg, wanted in theirs.args.items()
            if is_required_argument(wanted) and arg not in mine.args
        ]
    return found


def test_the_served_schema_is_a_part_of_shopifys(shopify_schema: GraphQLSchema) -> None:
    assert differences(SERVED, shopify_schema) == []
    mine = next(d for d in SERVED.directives if d.name == "idempotent")
    theirs = next(d for d in shopify_schema.directives if d.name == "idempotent")
    assert str(mine.args["key"].type) == str(theirs.args["key"].type)
    assert mine.locations == theirs.locations


def test_the_comparison_sees_differences(shopify_schema: GraphQLSchema) -> None:
    changed = load_schema()
    types: dict[str, Any] = dict(changed.type_map)
    fields = types["ProductVariant"].fields
    fields["price"].type, fields["colour"] = fields["sku"].type, fields["sku"]
    del types["InventoryQuantityInput"].fields["quantity"]
    assert {line.split(":")[0] for line in differences(changed, shopify_schema)} == {
        "ProductVariant.price",
        "ProductVariant.colour",
        "InventoryQuantityInput.quantity",
    }


@pytest.mark.parametrize("name", documents.names())
def test_every_document_that_we_send_is_served(name: str) -> None:
    assert validate(SERVED, parse(documents.text(name))) == []
