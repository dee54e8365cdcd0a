"""Answers one call of a platform: faults, the platform's own answer, the log, the response."""

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.exchange import Answer, Call
from sandbox.faults import Fault, Faults
from sandbox.requestlog import RequestLog
from sandbox.shops import Shop, Shops
from sandbox.simulator import Simulator, retry_after
from sandbox.transports import NoAnswer, Transports

DROPS = frozenset({"drop", "drop_after", "down"})


class CallOutcome:
    """The outcome of one call."""

    def __init__(self, answer: Answer | None, faults: list[Fault]) -> None:
        self.answer = answer  # None: the connection is closed without one
        self.faults = faults


class Serving:
    """Answers platform calls."""

    def __init__(
        self,
        *,
        shops: Shops,
        simulators: Mapping[str, Simulator],
        faults: Faults,
        log: RequestLog,
        transports: Transports,
        clock: Callable[[], float],
    ) -> None:
        self._shops = shops
        self._simulators = simulators
        self._faults = faults
        self._log = log
        self._transports = transports
        self._clock = clock
        self._cleared = asyncio.Event()

    def end_waits(self) -> None:
        """End the waits of slow calls. To be called in the server's loop."""
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def serve(self, request: Request, call: Call) -> Response:
        """Answer one request of a platform's API."""
        call.body = await request.body()
        shop = self._shop(call)
        started = time.perf_counter()
        account = shop.account if shop else None
        faults = await run_in_threadpool(self._faults.strike, call.platform, account, call.path, call.body)
        for fault in faults:
            if fault.kind == "slow":
                await self._wait(fault.seconds or 5)
        outcome = await run_in_threadpool(self._answer, call, shop, faults)
        answer = outcome.answer
        await run_in_threadpool(self._note, call, shop, outcome, (time.perf_counter() - started) * 1000)
        if answer is None or any(fault.kind in DROPS for fault in faults):
            return NoAnswer(self._transports)
        headers = {**self._date(shop), **answer.headers}
        return Response(answer.body, answer.status, headers=headers, media_type=answer.content_type)

    def _date(self, shop: Shop | None) -> dict[str, str]:
        """The header Date by the shop's clock; none where the shop sends none."""
        if shop is None:
            return {"Date": formatdate(self._clock(), usegmt=True)}
        return {"Date": formatdate(shop.now(self._clock), usegmt=True)} if shop.clock.date_header else {}

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._cleared.wait(), seconds)
        except TimeoutError:
            return

    def _shop(self, call: Call) -> Shop | None:
        return self._shops.by_key(self._simulators[call.platform].shop_key(call))

    def _answer(self, call: Call, shop: Shop | None, faults: list[Fault]) -> CallOutcome:
        kinds = {fault.kind: fault for fault in faults}
        if "down" in kinds or "drop" in kinds:
            return CallOutcome(None, faults)
        for kind in ("expired_token", "429", "throttled", "5xx", "garbage"):
            if kind in kinds:
                answer = self._faulty(call, shop, kinds[kind])
                if answer:
                    return CallOutcome(answer, faults)
        return CallOutcome(self._simulators[call.platform].answer(call), faults)

    def _faulty(self, call: Call, shop: Shop | None, fault: Fault) -> Answer | None:
        """The platform's own answer for the fault; None where it has none."""
        if fault.kind == "5xx":
            page = b"<html><body><h1>Service Unavailable</h1></body></html>"
            headers = retry_after(fault.retry_after or "")
            return Answer(status=fault.status, body=page, content_type="text/html; charset=utf-8", headers=headers)
        if fault.kind == "garbage":
            return Answer(body=fault.body.encode("latin-1"))
        return self._simulators[call.platform].faulty(call, shop, fault)

    def _note(self, call: Call, shop: Shop | None, outcome: CallOutcome, duration_ms: float) -> None:
        answer = outcome.answer
        kinds = [fault.kind for fault in outcome.faults]
        dropped = answer is None or any(fault.kind in DROPS for fault in outcome.faults)
        self._log.add(
            platform=call.platform,
            account=shop.account if shop else None,
            method=call.method,
            path=call.path,
            body=call.body,
            status=None if dropped or answer is None else answer.status,
            duration_ms=duration_ms,
            faults=kinds,
            errors=_errors(answer) if answer and "garbage" not in kinds else [],
            items=answer.items if answer else [],
            cost=answer.cost if answer else None,
        )


def _errors(answer: Answer) -> list[str]:
    """The error codes in an answer, for the log."""
    if answer.status != 200:
        return [f"HTTP {answer.status}"]
    head: Any = msgspec.json.decode(answer.body)
    if "errorCode" in head:
        return [head["errorCode"]]
    errors = head.get("errors")
    if isinstance(errors, list):
        return [str((e.get("extensions") or {}).get("code") or e["message"]) for e in errors]
    return []
