"""The client of Nhanh.vn's Open API v3 (the only version: v2 ends on 2026-11-30)."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
import structlog

from platforms.buckets import Buckets, LocalBuckets, WindowRule
from platforms.connections import Connection
from platforms.cursors import CursorGuard, original, portable
from platforms.errors import PlatformError, RateLimited, Rejected, Unavailable
from platforms.http import HttpCaller
from platforms.nhanh.envelope import Success, as_text, read
from platforms.results import CheckResult, Json, OnExchange, Page, Wait
from platforms.retry import DEFAULT_RETRY_TIMEOUT, Retrying

RULE: Final = WindowRule(limit=150, seconds=30.0)
"""Per app, business and URL, as Nhanh documents it."""
MAX_SIZE: Final = 100
_CHECK_TIMEOUT: Final = 10.0  # seconds; a person is waiting for the answer
_MAX_PAGES: Final = 1000  # of a list that is read as a whole

_log = structlog.get_logger(__name__)


class NhanhClient:
    """Reads one merchant's products, customers and depots. Not thread-safe: one instance a job.

    Every call may raise InvalidCredentials, PermissionDenied, ValidationFailed, NotFound, Rejected at once,
    and RateLimited or Unavailable after `retry_timeout` seconds of trying. Prices and quantities come as JSON
    numbers (Nhanh's doubles): take them through `Decimal(str(value))`.
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
        self._connection = connection
        self._wait = wait
        self._clock = clock
        self._buckets = buckets or LocalBuckets(clock)
        self._caller = HttpCaller(connection, clock=clock, http=http, on_exchange=on_exchange)
        self._retry_timeout = retry_timeout
        self._guards: dict[str, CursorGuard] = {}
        self.rate_limit_hits = 0

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._caller.requests

    @property
    def clock(self) -> datetime | None:
        """What Nhanh's clock showed, at the most, when the first request was sent; None = it did not say."""
        return self._caller.served_from

    def products(self, next: Any | None = None, *, filters: Json | None = None, size: int = MAX_SIZE) -> Page:
        """A page of `/product/list`, oldest id first. filters: see Nhanh's documentation (`updatedAtFrom` …)."""
        return self._page("product/list", next, filters, size, sort={"id": "asc"})

    def products_by_ids(self, ids: Sequence[str]) -> list[Json]:
        """The products and children among up to 100 ids that exist, in any order."""
        # Nhanh's ids are whole numbers; no product has another one.
        numbers = [int(one) for one in ids if one.isascii() and one.isdigit()]
        return self._all("product/list", {"ids": numbers}, sort={"id": "asc"}) if numbers else []

    def customers(self, next: Any | None = None, *, filters: Json | None = None, size: int = MAX_SIZE) -> Page:
        """A page of `/customer/list`. Its order is undocumented: a customer may come twice, so dedupe by id."""
        return self._page("customer/list", next, filters, size, sort=None)

    def inventories(self, next: Any | None = None, *, filters: Json | None = None, size: int = MAX_SIZE) -> Page:
        """A page of `/product/inventory`, oldest id first: `updatedAtFrom` is the time at which the stock changed. Its
        items have a `productId` and no `code`."""
        return self._page("product/inventory", next, filters, size, sort={"productId": "asc"})

    def sales(self, action: str, next: Any | None = None, *, filters: Json, size: int = MAX_SIZE) -> Page:
        """A page of `/order/list`, `/bill/retail`, `/order/deleted` or `/bill/deleted`, newest id first."""
        return self._page(action, next, filters, size, sort={"id": "desc"})

    def depots(self) -> list[Json]:
        """All depots that the token may see (`id`, `code`, `name`, …)."""
        return self._all("business/depot", None, sort=None)

    def check(self) -> CheckResult:
        """Whether the token works. With `secret_key` among the credentials also what it may see, and until when."""
        secret_key = self._connection.credentials.get("secret_key")
        retry_timeout = min(self._retry_timeout, _CHECK_TIMEOUT)
        try:
            if secret_key:
                rights = self._call("app/checkaccesstoken", {"secretKey": secret_key}, retry_timeout).data
                return CheckResult(True, _describe_rights(rights))
            self._call("product/list", {"filters": {}, "paginator": {"size": 1}}, retry_timeout)
        except PlatformError as error:
            return CheckResult(False, error.message, error)
        return CheckResult(True, "Nhanh accepts the token")

    def close(self) -> None:
        """Close the network connections."""
        self._caller.close()

    def _all(self, action: str, filters: Json | None, sort: Json | None) -> list[Json]:
        """All pages of a short list. A page that is short, or empty, may be followed by others."""
        found: list[Json] = []
        cursor: Any | None = None
        for _ in range(_MAX_PAGES):
            page = self._page(action, cursor, filters, MAX_SIZE, sort)
            found.extend(page.items)
            cursor = page.next
            if cursor is None:
                return found
        raise Rejected("TOO_MANY_PAGES", f"more than {_MAX_PAGES} pages of {action}")

    def _page(self, action: str, cursor: Any | None, filters: Json | None, size: int, sort: Json | None) -> Page:
        if not 1 <= size <= MAX_SIZE:
            raise ValueError(f"size must be between 1 and {MAX_SIZE}")
        paginator: Json = {"size": size}
        if sort is not None:
            paginator["sort"] = sort
        if cursor is not None:
            paginator["next"] = original(cursor)
        answer = self._call(action, {"filters": filters or {}, "paginator": paginator}, self._retry_timeout)
        following = portable(answer.next)
        key = action + msgspec.json.encode(filters).decode()
        self._guards.setdefault(key, _guard()).check(cursor, following)
        if following is None:
            del self._guards[key]  # a client may read many lists
        return Page(items=_records(answer.data), next=following)

    def _call(self, action: str, body: Json, retry_timeout: float) -> Success:
        credentials = self._connection.credentials
        app_id, business_id = credentials["app_id"], credentials["business_id"]
        url = f"{self._connection.base_url}/v3.0/{action}"
        key = f"nhanh {app_id} {business_id} {url}"
        headers = {"Authorization": credentials["access_token"], "Content-Type": "application/json"}
        params = {"appId": app_id, "businessId": business_id}
        content = msgspec.json.encode(body)
        retrying = Retrying(self._wait, self._clock, retry_timeout)
        while True:
            self._buckets.take_call(key, RULE, self._wait)
            try:
                response = self._caller.post(url, content, headers=headers, params=params)
            except Unavailable as error:
                retrying.wait_or_raise(error)
                continue
            answer = read(response, self._clock(), self._caller.message)
            if isinstance(answer, Success):
                if answer.warning:
                    _log.warning("nhanh warns", action=action, warning=answer.warning)
                return answer
            error = answer.error
            if isinstance(error, RateLimited):
                self.rate_limit_hits += 1
                # The bucket makes everybody wait until then.
                self._buckets.lock(key, error.until)
            if answer.passing:
                retrying.wait_or_raise(error, pause=answer.pause)
            else:
                raise error


def _guard() -> CursorGuard:
    return CursorGuard("REPEATED_NEXT", "Nhanh answered a cursor that it had given before")


def _records(data: Any) -> list[Json]:
    if data == {}:  # how PHP writes some empty lists
        return []
    if isinstance(data, list):
        return data
    raise Rejected("BAD_ENVELOPE", f"expected a list of records, got {type(data).__name__}")


def _describe_rights(rights: Any) -> str:
    fields: Json = rights if isinstance(rights, dict) else {}
    depots = fields.get("depotIds")
    if isinstance(depots, list) and depots and depots != ["All"]:
        seen = f"sees only depots {', '.join(map(str, depots))} (stock elsewhere is not counted)"
    else:
        seen = "sees all depots"
    expires = fields.get("expiredAt")
    until = datetime.fromtimestamp(expires, UTC).date().isoformat() if isinstance(expires, int) else "unknown"
    permissions = as_text(fields.get("permissions")) or "unknown"
    return f"Nhanh accepts the token: valid until {until}, {seen}; permissions: {permissions}"
