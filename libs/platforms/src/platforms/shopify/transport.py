"""One GraphQL call to a shop: cost bucket, throttling, retries, errors, and the alarm on the served version."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import httpx
import msgspec
import structlog

from platforms.buckets import Buckets, LocalBuckets, PointsStatus
from platforms.connections import Connection
from platforms.errors import (
    InvalidCredentials,
    NotFound,
    NotJson,
    PermissionDenied,
    PlatformError,
    RateLimited,
    Rejected,
    Unavailable,
    ValidationFailed,
)
from platforms.http import HttpCaller, finite_number, json_body, retry_after
from platforms.results import Json, OnExchange, Wait
from platforms.retry import DEFAULT_RETRY_TIMEOUT, MIN_RETRY_AFTER, Retrying
from platforms.shopify import documents, shapes

API_VERSION: Final = "2026-10"

_STATUSES: Final[dict[int, type[PlatformError]]] = {
    400: ValidationFailed,
    401: InvalidCredentials,
    402: PermissionDenied,  # the shop is frozen for lack of payment
    403: PermissionDenied,
    404: NotFound,
    423: PermissionDenied,  # the shop is locked
}
_CODES: Final[dict[str, type[PlatformError]]] = {
    "ACCESS_DENIED": PermissionDenied,
    "SHOP_INACTIVE": PermissionDenied,
    "UNAUTHORIZED": InvalidCredentials,
}
_SLOWEST_RATE: Final = 1.0  # points a second; the slowest plan has 100
_MOST_POINTS: Final = 1e9  # the largest bucket of any plan has some 10,000
_PASSING: Final = {"INTERNAL_SERVER_ERROR", "TIMEOUT"}

_log = structlog.get_logger(__name__)


class QueryTooDear(ValidationFailed):
    """MAX_COST_EXCEEDED: refused for good at this page size."""


class GraphqlTransport:
    """Sends the documents of this package to one shop. Not thread-safe.

    Everything sent here may be repeated after a network error: queries, and mutations that set absolute values.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        wait: Wait,
        buckets: Buckets | None = None,
        clock: Callable[[], float] = time.time,
        http: httpx.Client | None = None,
        on_exchange: OnExchange | None = None,
        retry_timeout: float = DEFAULT_RETRY_TIMEOUT,
    ) -> None:
        self._url = f"{connection.base_url}/admin/api/{API_VERSION}/graphql.json"
        self._headers = {
            "X-Shopify-Access-Token": connection.credentials["access_token"],
            "Content-Type": "application/json",
        }
        self._key = f"shopify {connection.base_url}"
        self._wait = wait
        self._clock = clock
        self._buckets = buckets or LocalBuckets(clock)
        self._caller = HttpCaller(connection, clock=clock, http=http, on_exchange=on_exchange)
        self._retry_timeout = retry_timeout
        self._version_checked = False
        self._ratios: dict[str, float] = {}
        self.rate_limit_hits = 0

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._caller.requests

    @property
    def clock(self) -> datetime | None:
        """What the shop's clock showed, at the most, when the first request was sent; None = it did not say."""
        return self._caller.served_from

    def retrying(self, retry_timeout: float | None = None) -> Retrying:
        """A fresh series of retries, for refusals that only the caller can tell to be passing."""
        return Retrying(self._wait, self._clock, self._retry_timeout if retry_timeout is None else retry_timeout)

    def execute(
        self, name: str, variables: Mapping[str, Any], *, cost: int, retry_timeout: float | None = None
    ) -> Json:
        """The `data` of document `name`. cost: our estimate of its points, corrected by what the shop tells.

        Raises InvalidCredentials, PermissionDenied, NotFound, ValidationFailed (QueryTooDear: ask for less),
        Rejected at once; RateLimited and Unavailable after `retry_timeout` seconds of trying.
        """
        content = msgspec.json.encode({"query": documents.text(name), "variables": dict(variables)})
        retrying = self.retrying(retry_timeout)
        charged = 0.0
        while True:
            if not charged:
                charged = cost * self._ratios.get(name, 1.0)
                self._buckets.take_points(self._key, charged, self._wait)
            try:
                response = self._caller.post(self._url, content, headers=self._headers)
            except Unavailable as error:
                if error.sent:
                    charged = 0.0  # it may have run; what never left is sent again with the points it has
                retrying.wait_or_raise(error)
                continue
            self._check_version(response)
            body = _graphql_body(response)
            if body is None:
                error = self._http_error(response)
                learned = False
            else:
                learned = self._learn(name, cost, charged, body)
                error = self._graphql_error(name, body)
                if response.status_code == 429 and not isinstance(error, RateLimited | QueryTooDear):
                    error, learned = self._http_error(response), False
                if error is None:
                    return body["data"]
            charged = 0.0
            self._retry_or_raise(error, retrying, retry_after(response, self._clock()), learned)

    def close(self) -> None:
        """Close the network connections."""
        self._caller.close()

    def error(self, kind: type[PlatformError], code: str, message: str) -> PlatformError:
        """An error of `kind` whose code and message, both the shop's, are fit for an event."""
        return kind(self._caller.message(code), self._caller.message(message))

    def _retry_or_raise(self, error: PlatformError, retrying: Retrying, pause: float | None, learned: bool) -> None:
        """Wait if the error may pass, raise it if not."""
        if isinstance(error, RateLimited):
            self.rate_limit_hits += 1
            if pause is not None:
                self._buckets.lock(self._key, self._clock() + pause)
                retrying.wait_or_raise(error, pause=pause)
            else:
                # An answer that reports what is left lets the bucket work out the wait; should that not
                # have been enough, pauses of our own are added.
                retrying.wait_or_raise(error, pause=0.0 if learned and retrying.failures == 0 else None)
        elif isinstance(error, Unavailable):
            retrying.wait_or_raise(error, pause=pause)
        else:
            raise error

    def _learn(self, name: str, estimate: int, charged: float, body: Json) -> bool:
        """Correct the bucket and the estimates; False if the answer reports nothing."""
        cost = _dict(_dict(body.get("extensions")).get("cost"))
        status = _dict(cost.get("throttleStatus"))
        maximum, available = (
            finite_number(status.get("maximumAvailable")),
            finite_number(status.get("currentlyAvailable")),
        )
        restore_rate = finite_number(status.get("restoreRate"))
        if maximum is None or available is None or restore_rate is None:
            return False
        if not 0 < maximum < _MOST_POINTS or not _SLOWEST_RATE <= restore_rate < _MOST_POINTS or available < -maximum:
            return False  # a bucket that would be waited for without end, or one without bounds
        requested, actual = finite_number(cost.get("requestedQueryCost")), finite_number(cost.get("actualQueryCost"))
        if requested is not None and 0 < requested <= maximum:
            self._ratios[name] = requested / estimate
        used = min(max(actual or 0.0, 0.0), maximum)
        points = PointsStatus(maximum, min(available, maximum), restore_rate)
        self._buckets.settle_points(self._key, refund=charged - used, status=points)
        return True

    def _graphql_error(self, name: str, body: Json) -> PlatformError | None:
        errors = [_dict(error) for error in body.get("errors") or ()]
        if not errors:
            fault = shapes.fault(name, body.get("data"))
            if fault is None:
                return None
            return Unavailable("BAD_ENVELOPE", f"Shopify's data cannot be read: {fault}", category="PLATFORM_ERROR")
        codes = [str(_dict(error.get("extensions")).get("code") or "") for error in errors]
        text = self._caller.message("; ".join(str(error.get("message", "")) for error in errors))
        code = self._caller.message(next(filter(None, codes), "GRAPHQL_ERROR"))
        if "THROTTLED" in codes:
            return RateLimited("THROTTLED", text, until=self._clock())
        if "MAX_COST_EXCEEDED" in codes:
            return QueryTooDear("MAX_COST_EXCEEDED", text)
        if _PASSING.intersection(codes):
            return Unavailable(code, text)
        # What remains of the codes says that the document or its variables are wrong.
        return _CODES.get(code, ValidationFailed)(code, text)

    def _http_error(self, response: httpx.Response) -> PlatformError:
        status = response.status_code
        text = f"Shopify answered HTTP {status}"
        if status == 429:
            pause = retry_after(response, self._clock()) or MIN_RETRY_AFTER
            return RateLimited("429", text, until=self._clock() + pause)
        if status in _STATUSES:
            return _STATUSES[status](str(status), text)
        if status >= 500 or status == 200:
            return Unavailable(str(status), text if status >= 500 else f"{text} without JSON")
        return Rejected(str(status), text)

    def _check_version(self, response: httpx.Response) -> None:
        served = response.headers.get("X-Shopify-API-Version")
        if served and served != API_VERSION and not self._version_checked:
            self._version_checked = True
            _log.warning(
                "shopify serves another API version than asked: ours was retired",
                asked=API_VERSION,
                served=served,
            )


def _graphql_body(response: httpx.Response) -> Json | None:
    """The GraphQL answer, None if this is none (429 may carry one too, other statuses never do)."""
    if response.status_code not in {200, 429}:
        return None
    try:
        body = json_body(response)
    except NotJson:
        return None
    if not isinstance(body, dict) or not ({"data", "errors"} & body.keys()):
        return None
    # `{"errors": "text"}` is how the gateway in front of GraphQL speaks.
    return body if isinstance(body.get("errors", []), list) else None


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
