"""Nhanh's open API v3.0: credentials, rate limit, envelope, routing. Facts: the vendor's v3 documentation.

Errors come as JSON under HTTP 200; unknown paths as an HTML 404 page. What the documentation leaves open
(method errors, the wording of messages) is marked in docs/howto/catalogues.md.
"""

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from sandbox import nhanh_customers, nhanh_lists, nhanh_orders
from sandbox.exchange import Answer, Call, Item, json_answer
from sandbox.faults import Fault
from sandbox.limits import CallWindows, Lock
from sandbox.nhanh_errors import NhanhRefusal, Reply, refusal
from sandbox.nhanh_paging import NhanhRequest
from sandbox.shops import APP_ID, Shop, Shops
from sandbox.simulator import Route
from sandbox.state import State

NOT_FOUND_PAGE = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body><h1>404</h1></body></html>"
Handler = Callable[[NhanhRequest], Reply]
ACTIONS: dict[str, Handler] = {
    "product/list": nhanh_lists.products,
    "product/inventory": nhanh_lists.inventories,
    "product/detail": nhanh_lists.product_detail,
    "customer/list": nhanh_lists.customers,
    "customer/add": nhanh_customers.add,
    "business/depot": nhanh_lists.depots,
    "order/list": nhanh_orders.orders,
    "order/deleted": partial(nhanh_orders.deleted, "order"),
    "bill/retail": nhanh_orders.retail_bills,
    "bill/deleted": partial(nhanh_orders.deleted, "bill"),
}


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Nhanh:
    """Answers Nhanh calls. Thread-safe."""

    routes = (
        Route("/nhanh/v3.0/{path:path}", "{path}", METHODS),
        Route("/nhanh/{path:path}", "/{path}", METHODS),  # of another version: an unknown path
    )

    def __init__(self, state: State, shops: Shops, windows: CallWindows, clock: Callable[[], float]) -> None:
        self._state = state
        self._shops = shops
        self._windows = windows
        self._clock = clock

    def shop_key(self, call: Call) -> str:
        return f"nhanh:{call.query.get('businessId', '')}"

    def faulty(self, call: Call, shop: Shop | None, fault: Fault) -> Answer:
        if fault.kind == "expired_token":
            return json_answer(refusal(NhanhRefusal("ERR_INVALID_ACCESS_TOKEN", "The accessToken has expired")))
        return rate_limited(self._windows.lock(window_key(call), fault.seconds or 10))

    def answer(self, call: Call) -> Answer:
        """`call.path` is what follows /v3.0/ ("product/list")."""
        if call.path not in ACTIONS and call.path != "app/checkaccesstoken":
            return Answer(status=404, body=NOT_FOUND_PAGE, content_type="text/html; charset=UTF-8")
        if call.method != "POST":
            return Answer(status=405, body=NOT_FOUND_PAGE, content_type="text/html; charset=UTF-8")
        items: list[Item] = []
        counted = False
        try:
            shop = self.shop_of(call)
            locked = self._windows.take(window_key(call), shop.nhanh)
            if locked:
                return rate_limited(locked)
            counted = True
            if call.path == "app/checkaccesstoken":
                return json_answer({"code": 1, "data": self._token_facts(shop)}, cost=1)
            request = NhanhRequest(
                state=self._state, shop=shop, body=_body(call), now=shop.now(self._clock), items=items
            )
            reply = ACTIONS[call.path](request)
        except NhanhRefusal as error:
            return json_answer(refusal(error), items=items, cost=1 if counted else None)
        envelope: dict[str, Any] = {"code": 1, "data": reply.data}
        if reply.paged:
            envelope["paginator"] = {"next": reply.next}
        if reply.warning:
            envelope["warning"] = reply.warning
        return json_answer(envelope, items=items, cost=1)

    def shop_of(self, call: Call) -> Shop:
        """The shop that the credentials open. Raises NhanhRefusal with the platform's code for the first wrong one."""
        if call.query.get("appId") != str(APP_ID):
            raise NhanhRefusal("ERR_INVALID_APP_ID", "Invalid appId")
        shop = self._shops.by_key(self.shop_key(call))
        if shop is None:
            raise NhanhRefusal("ERR_INVALID_BUSINESS_ID", "Invalid businessId")
        token = call.headers.get("authorization", "")
        if token.startswith("v2."):
            raise NhanhRefusal("ERR_INVALID_VERSION", ["The accessToken belongs to another version"])
        right = hmac.compare_digest(token.encode(), str(shop.access["access_token"]).encode())
        if not right or shop.nhanh.token_expired:
            raise NhanhRefusal("ERR_INVALID_ACCESS_TOKEN", "Invalid accessToken")
        return shop

    def _token_facts(self, shop: Shop) -> dict[str, Any]:
        return {
            "accessToken": shop.access["access_token"],
            "version": "3.0",
            "expiredAt": int(self._clock()) + 200 * 86_400,
            "businessId": int(shop.access["business_id"]),
            "depotIds": shop.nhanh.depot_ids or [],
            "pageIds": [],
            "permissions": ["product.list", "customer.list", "customer.add", "order.list", "bill.retail"],
        }


def window_key(call: Call) -> str:
    """The limit is counted per app, business and URL."""
    return f"{call.query.get('appId')}:{call.query.get('businessId')}:{call.path}"


def rate_limited(locked: Lock) -> Answer:
    """The 429 body: `message` in the singular, unlike every other error's."""
    return json_answer(
        {
            "code": 0,
            "errorCode": "ERR_429",
            "message": "Your app exceeded the API Rate Limit",
            "data": {"lockedSeconds": locked.seconds, "unlockedAt": locked.until},
        }
    )


def _body(call: Call) -> Any:
    if not call.body.strip():
        return {}
    try:
        return msgspec.json.decode(call.body)
    except msgspec.DecodeError as error:
        raise NhanhRefusal("ERR_INVALID_DATA", ["Request body is not valid JSON"]) from error
