"""Shopify's Admin GraphQL API 2026-10: access, cost bucket, execution on the schema beside this file."""

import functools
import hmac
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from sandbox import shopify_reads, shopify_writes
from sandbox.costs import Costs
from sandbox.exchange import Answer, Call, json_answer
from sandbox.faults import Fault
from sandbox.limits import CostBuckets
from sandbox.shopify_reads import Context
from sandbox.shops import Shop, ShopifySettings, Shops
from sandbox.simulator import Route, retry_after
from sandbox.state import State

VERSION = "2026-10"
PLAIN = "text/plain; charset=utf-8"
UNAUTHORISED = b"[API] Invalid API key or access token (unrecognized login or wrong password)"


class GraphqlRequest(msgspec.Struct):
    """The body of a GraphQL request."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None


class Shopify:
    """Answers Admin API calls. Thread-safe."""

    routes = (Route("/shopify/{shop}/admin/api/{version}/graphql.json", "{shop}/{version}", ("POST",)),)

    def __init__(self, state: State, shops: Shops, buckets: CostBuckets, clock: Callable[[], float]) -> None:
        self._state = state
        self._shops = shops
        self._buckets = buckets
        self._clock = clock
        self.schema = load_schema()
        self._checked = functools.lru_cache(256)(self._check)

    def shop_key(self, call: Call) -> str:
        return f"shopify:{call.path.partition('/')[0]}"

    def faulty(self, call: Call, shop: Shop | None, fault: Fault) -> Answer | None:
        if fault.kind == "expired_token":
            return Answer(status=401, body=UNAUTHORISED, content_type=PLAIN)
        if fault.kind == "429":
            text = f"{fault.seconds or 2:.1f}" if fault.retry_after is None else fault.retry_after
            return Answer(status=429, body=b"Too Many Requests", content_type=PLAIN, headers=retry_after(text))
        if shop is None:
            return None
        self._buckets.empty(shop.key, shop.shopify)
        return self.throttled(shop)

    def answer(self, call: Call) -> Answer:
        """`call.path` is '<slug>/<version>'; an unknown version falls forward to the one served."""
        shop = self._shops.by_key(self.shop_key(call))
        if shop is None:
            return Answer(status=404, body=b"Not Found", content_type=PLAIN)
        token = call.headers.get("x-shopify-access-token", "")
        right = hmac.compare_digest(token.encode(), str(shop.access["access_token"]).encode())
        if not right or shop.shopify.token_expired:
            return Answer(status=401, body=UNAUTHORISED, content_type=PLAIN)
        try:
            request = msgspec.json.decode(call.body, type=GraphqlRequest)
        except msgspec.DecodeError as error:
            return json_answer({"errors": f"Bad request: {error}"}, 400)
        answer = self._run(shop, request)
        answer.headers["X-Shopify-API-Version"] = VERSION
        return answer

    def throttled(self, shop: Shop, requested: int | None = None) -> Answer:
        """What a shop without points answers: HTTP 200, no data."""
        error = {
            "message": "Throttled",
            "extensions": {
                "code": "THROTTLED",
                "documentation": "https://shopify.dev/api/usage/rate-limits",
            },
        }
        cost = self._cost(shop, requested, None)
        answer = json_answer({"errors": [error], "extensions": {"cost": cost}})
        answer.headers["X-Shopify-API-Version"] = VERSION
        return answer

    def _check(self, query: str) -> DocumentNode | list[GraphQLError]:
        try:
            document = parse(query, no_location=False)
        except GraphQLError as error:
            return [error]
        return validate(self.schema, document) or document

    def _cost(self, shop: Shop, requested: int | None, actual: int | None) -> dict[str, Any]:
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": self._buckets.status(shop.key, shop.shopify),
        }

    def _run(self, shop: Shop, request: GraphqlRequest) -> Answer:
        settings: ShopifySettings = shop.shopify
        document = self._checked(request.query)
        if isinstance(document, list):
            return self._errors(shop, document)
        variables = request.variables or {}
        costs = Costs(self.schema, document, request.operationName, variables)
        requested = costs.requested()
        if requested > settings.max_query_cost:
            limit = settings.max_query_cost
            message = f"Query cost is {requested}, which exceeds the single query max cost limit ({limit})."
            extensions = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": limit}
            return self._errors(shop, [GraphQLError(message, extensions=extensions)], requested)
        if not self._buckets.take(shop.key, requested, settings):
            return self.throttled(shop, requested)
        result, context = self._execute(shop, document, request, variables, costs.is_mutation)
        actual = min(costs.actual(result.data), requested)
        self._buckets.refund(shop.key, requested - actual, settings)
        if result.errors and _fatal(result.errors):
            return self._errors(shop, result.errors, requested, actual, context)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [error.formatted for error in result.errors]
        extensions: dict[str, Any] = {"cost": self._cost(shop, requested, actual)}
        if context.warnings:
            extensions["search"] = [{"warnings": context.warnings}]
        body["extensions"] = extensions
        return json_answer(body, items=context.items, cost=actual)

    def _execute(
        self, shop: Shop, document: DocumentNode, request: GraphqlRequest, variables: dict[str, Any], writes: bool
    ) -> tuple[ExecutionResult, Context]:
        with self._state.writing() if writes else self._state.reading() as database:
            context = Context(shop=shop, database=database, now=shop.now(self._clock), items=[], warnings=[])
            result = execute_sync(
                self.schema,
                document,
                context_value=context,
                variable_values=variables,
                operation_name=request.operationName,
            )
        return result, context

    def _errors(
        self,
        shop: Shop,
        errors: list[GraphQLError],
        requested: int | None = None,
        actual: int | None = None,
        context: Context | None = None,
    ) -> Answer:
        return json_answer(
            {
                "errors": [error.formatted for error in errors],
                "extensions": {"cost": self._cost(shop, requested, actual)},
            },
            items=context.items if context else [],
            cost=actual,
        )


def _fatal(errors: list[GraphQLError]) -> bool:
    return any((error.extensions or {}).get("code") == "BAD_REQUEST" for error in errors) or any(
        error.path is None for error in errors
    )


def load_schema() -> GraphQLSchema:
    """The served schema with its resolvers."""
    schema = build_schema(files("sandbox").joinpath("shopify_schema.graphql").read_text("utf-8"))
    shopify_reads.attach(schema, {**shopify_reads.RESOLVERS, **shopify_writes.RESOLVERS})
    return schema
