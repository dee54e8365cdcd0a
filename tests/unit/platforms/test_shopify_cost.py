"""Our cost arithmetic against a count over the documents themselves."""

from typing import Any

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    parse,
)

from platforms.shopify import cost, documents
from platforms.shopify.cost import Nested, PageQuery

KINDS: tuple[PageQuery, ...] = ("products", "customers", "variants_by_ids", "customers_by_ids")


def _count(name: str, variables: dict[str, Any]) -> int:
    """Object 1, connection 2 + first x node, pageInfo 1; a list of ids counts its node once for each."""
    document = parse(documents.text(name))
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(field: FieldNode, argument: str) -> int | None:
        for given in field.arguments or ():
            if given.name.value == argument:
                if isinstance(given.value, IntValueNode):
                    return int(given.value.value)
                assert isinstance(given.value, VariableNode)
                value = variables[given.value.name.value]
                return len(value) if isinstance(value, list) else value
        return None

    def selections(inner: SelectionSetNode) -> int:
        return sum(field(node) for node in inner.selections)

    def field(node: Any) -> int:
        if isinstance(node, FragmentSpreadNode):
            return selections(fragments[node.name.value].selection_set)
        if isinstance(node, InlineFragmentNode):
            return selections(node.selection_set)
        if node.selection_set is None:
            return 0
        first = size(node, "first")
        if first is None:
            return (size(node, "ids") or 1) * (1 + selections(node.selection_set))
        return 2 + connection(node.selection_set, first)

    def connection(inner: SelectionSetNode, first: int) -> int:
        total = 0
        for node in inner.selections:
            if isinstance(node, FragmentSpreadNode):
                total += connection(fragments[node.name.value].selection_set, first)
            elif isinstance(node, FieldNode) and node.name.value == "nodes":
                assert node.selection_set
                total += first * (1 + selections(node.selection_set))
            else:
                total += field(node)
        return total

    (operation,) = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return selections(operation.selection_set)


def _variables(first: int, nested: Nested) -> dict[str, Any]:
    return {
        "first": first,
        "ids": ["gid"] * first,
        "variants": nested.variants,
        "levels": nested.levels,
        "addresses": nested.addresses,
        "metafields": cost.METAFIELDS_FIRST,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nested", [Nested(), Nested(12, 8, 5), Nested(1, 1, 1)])
def test_pages_fit_and_the_estimate_is_never_too_low(kind: PageQuery, nested: Nested) -> None:
    first = cost.fitting_first(kind, nested, 250)
    counted = _count(kind, _variables(first, nested))
    estimate = cost.page(kind, first, nested)
    assert counted <= estimate <= counted + 4
    assert estimate <= 1000
    assert first == 250 or cost.page(kind, first + 1, nested) > 1000


def test_the_usual_pages() -> None:
    assert cost.fitting_first("products", Nested(), 25) == 25
    assert cost.fitting_first("customers", Nested(), 100) == 100
    assert cost.fitting_first("variants_by_ids", Nested(), 250) >= 75


def test_widening_is_bounded_so_that_pages_still_hold_records() -> None:
    nested = Nested()
    for _ in range(10):
        nested = cost.widened(nested, variants=True, levels=True)
    assert cost.fitting_first("products", nested, 25) >= 2


def test_narrowing_ends() -> None:
    nested: Nested | None = Nested(12, 8, 5)
    for _ in range(5):
        assert nested is not None
        if (nested := cost.narrowed(nested)) is None:
            return
    raise AssertionError("narrowing does not end")
