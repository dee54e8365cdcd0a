"""The cost arithmetic: object 1, connection 2 + first times its node, the dearest of an interface, mutation 10."""

from typing import Any

import pytest
from graphql import parse

from sandbox.costs import Costs
from sandbox.shopify import load_schema

SCHEMA = load_schema()


def costs(query: str, **variables: Any) -> Costs:
    return Costs(SCHEMA, parse(query), None, variables)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ shop { name } }", 1),
        ("{ shop { name primaryDomain { url } } }", 2),
        ("{ products(first: 10) { nodes { id } } }", 12),
        ("{ products(first: 10) { edges { node { id } cursor } pageInfo { endCursor } } }", 12),
        ("{ products(last: 10) { nodes { id } } }", 12),
        ("{ products(first: 10) { nodes { id variants(first: 5) { nodes { price } } } } }", 82),
        ("{ products(first: 10) { ...Page } } fragment Page on ProductConnection { nodes { id } }", 12),
        ('{ nodes(ids: ["a", "b"]) { id ... on Product { variantsCount { count } } ... on Customer { note } } }', 4),
        ('{ node(id: "a") { ... on Shop { plan { shopifyPlus } primaryDomain { url } } } }', 3),
        ("{ __typename }", 0),
    ],
)
def test_requested(query: str, cost: int) -> None:
    assert costs(query).requested() == cost


def test_variables_and_their_defaults_count() -> None:
    query = """query ($n: Int = 7, $with: Boolean!) {
      products(first: $n) { nodes { variantsCount @include(if: $with) { count } } }
    }"""
    assert costs(query, **{"with": True}).requested() == 2 + 7 * 2
    assert costs(query, n=3, **{"with": True}).requested() == 2 + 3 * 2
    assert costs(query, **{"with": False}).requested() == 2 + 7


def test_mutations_cost_ten_each() -> None:
    one = "customerUpdate(input: {id: $id}) { customer { defaultAddress { city } } }"
    twice = f"mutation ($id: ID!) {{ a: {one} b: {one} }}"
    assert costs(twice, id="x").requested() == costs(twice, id="x").actual({"a": None}) == 20


def test_actual_counts_what_came() -> None:
    query = "{ products(first: 10) { nodes { id variants(first: 5) { nodes { price } } } } shop { name } }"
    data = {
        "products": {"nodes": [{"id": "1", "variants": {"nodes": [{"price": "1"}, {"price": "2"}]}}]},
        "shop": {"name": "a"},
    }
    assert costs(query).requested() == 83
    assert costs(query).actual(data) == 2 + (1 + 2 + 2) + 1
    assert costs(query).actual(None) == 0
