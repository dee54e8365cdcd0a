"""What a GraphQL query costs: an object 1, a scalar 0, a connection 2 and `first` times its node, an interface the
dearest of its selections, a mutation 10. Shopify publishes the parts but not the exact sum for connections.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
)
from graphql.utilities import value_from_ast_untyped

MUTATION = 10
CONNECTION = 2


class Costs:
    """Costs of one document under one set of variables: `requested` before it runs, `actual` from its data."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: str | None, variables: dict[str, Any]
    ) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        named = [d for d in operations if operation and d.name and d.name.value == operation]
        self._operation = (named or operations)[0]
        for definition in self._operation.variable_definitions or ():
            if definition.default_value is not None:
                name = definition.variable.name.value
                self._variables = {name: value_from_ast_untyped(definition.default_value), **self._variables}

    @property
    def is_mutation(self) -> bool:
        """Whether the operation writes."""
        return self._operation.operation == OperationType.MUTATION

    def requested(self) -> int:
        """The most that the operation may cost: every page full."""
        return self._operation_cost(None)

    def actual(self, data: Mapping[str, Any] | None) -> int:
        """What it cost: pages as full as they were."""
        return self._operation_cost(data or {})

    def _operation_cost(self, data: Mapping[str, Any] | None) -> int:
        root = self._schema.get_root_type(self._operation.operation)
        if root is None:
            return 0
        if self.is_mutation:
            return MUTATION * sum(1 for _ in self._fields(root, self._operation.selection_set))
        return self._selection(root, self._operation.selection_set, data)

    def _fields(
        self, parent: GraphQLNamedType, selections: SelectionSetNode
    ) -> Iterator[tuple[FieldNode, GraphQLNamedType]]:
        """Fields that count whatever the object is: those of `parent` and of fragments on `parent` itself."""
        for node in selections.selections:
            if self._left_out(node):
                continue
            if isinstance(node, FieldNode):
                yield node, parent
            elif isinstance(node, InlineFragmentNode | FragmentSpreadNode):
                condition, inner = self._fragment(parent, node)
                if condition is parent or isinstance(condition, GraphQLInterfaceType):
                    yield from self._fields(condition, inner)

    def _fragment(
        self, parent: GraphQLNamedType, node: InlineFragmentNode | FragmentSpreadNode
    ) -> tuple[GraphQLNamedType, SelectionSetNode]:
        if isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else parent.name
            return self._schema.type_map[name], node.selection_set
        fragment = self._fragments[node.name.value]
        return self._schema.type_map[fragment.type_condition.name.value], fragment.selection_set

    def _selection(self, parent: GraphQLNamedType, selections: SelectionSetNode, data: Mapping[str, Any] | None) -> int:
        always = sum(self._field(owner, node, data) for node, owner in self._fields(parent, selections))
        return always + self._dearest(parent, selections, data)

    def _dearest(self, parent: GraphQLNamedType, selections: SelectionSetNode, data: Mapping[str, Any] | None) -> int:
        """The dearest selection on one of an interface's or a union's types."""
        if not isinstance(parent, GraphQLInterfaceType | GraphQLUnionType):
            return 0
        costs: dict[str, int] = {}
        for node in selections.selections:
            if isinstance(node, InlineFragmentNode | FragmentSpreadNode) and not self._left_out(node):
                condition, inner = self._fragment(parent, node)
                if isinstance(condition, GraphQLObjectType):
                    cost = self._selection(condition, inner, data)
                    costs[condition.name] = costs.get(condition.name, 0) + cost
        return max(costs.values(), default=0)

    def _field(self, parent: GraphQLNamedType, node: FieldNode, data: Mapping[str, Any] | None) -> int:
        fields = parent.fields if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) else {}
        definition = fields.get(node.name.value)
        if definition is None or node.selection_set is None:  # a scalar, or __typename
            return 0
        kind = get_named_type(definition.type)
        value = data.get(node.alias.value if node.alias else node.name.value) if data is not None else None
        if data is not None and value is None:
            return 0
        if kind.name.endswith("Connection"):
            return CONNECTION + self._nodes(kind, node, value)
        if isinstance(value, list):
            return sum(1 + self._selection(kind, node.selection_set, item) for item in value if item is not None)
        ids = self._argument(node, "ids")
        times = len(ids) if isinstance(ids, list) else 1
        return times * (1 + self._selection(kind, node.selection_set, value))

    def _nodes(self, connection: GraphQLNamedType, node: FieldNode, value: Mapping[str, Any] | None) -> int:
        """The nodes of a connection, asked for through `nodes`, `edges { node }`, or both."""
        if node.selection_set is None:
            return 0
        wanted = self._argument(node, "first") or self._argument(node, "last") or 0
        total = 0
        for child, owner in self._fields(connection, node.selection_set):
            if child.name.value not in {"nodes", "edges"} or child.selection_set is None:
                continue
            found = (value or {}).get(child.alias.value if child.alias else child.name.value) or []
            kind = get_named_type(owner.fields[child.name.value].type)  # pyright: ignore[reportAttributeAccessIssue]
            if value is None:
                total += int(wanted) * self._one(kind, child, None)
            else:
                total += sum(self._one(kind, child, item) for item in found)
        return total

    def _one(self, kind: GraphQLNamedType, node: FieldNode, value: Mapping[str, Any] | None) -> int:
        if node.selection_set is None:
            return 0
        cost = self._selection(kind, node.selection_set, value)
        return cost if kind.name.endswith("Edge") else 1 + cost

    def _left_out(self, node: SelectionNode) -> bool:
        """Whether @include or @skip takes the selection away."""
        for directive in node.directives or ():
            if directive.name.value in {"include", "skip"} and directive.arguments:
                wanted = value_from_ast_untyped(directive.arguments[0].value, self._variables)
                if bool(wanted) is (directive.name.value == "skip"):
                    return True
        return False

    def _argument(self, node: FieldNode, name: str) -> Any:
        for argument in node.arguments or ():
            if argument.name.value == name:
                return value_from_ast_untyped(argument.value, self._variables)
        return None
