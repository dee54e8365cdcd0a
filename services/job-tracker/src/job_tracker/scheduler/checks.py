"""What is checked of a schedule where it enters. Pure."""

from datetime import datetime
from itertools import pairwise
from typing import Any

from job_events.chains import CHAINS
from job_events.envelope import decode
from job_events.errors import InvalidEvent, InvalidRequest
from job_events.request_checks import check_params
from job_tracker.scheduler.requests import run_requests, target_of
from job_tracker.scheduler.timing import Timing

MAX_JITTER = 3600  # seconds
MAX_EVENT = 1_500_000  # bytes of a request, as of those that the API sends
_LOOKED_AT = 10  # next runs


def check_target(job_type: str | None, chain: str | None, params: dict[str, Any], now: datetime) -> None:
    """Check what a schedule starts.

    Raises:
        InvalidRequest: neither or both of type and chain, an unknown one, bad parameters, a plan token, parameters of a
            chain.
    """
    if (job_type is None) == (chain is None):
        raise InvalidRequest("type", "give either type or chain" + (", not both" if chain else ""))
    if chain is not None:
        if chain not in CHAINS:
            raise InvalidRequest("chain", f"unknown chain {chain[:100]!r}; known are {', '.join(CHAINS)}")
        if params:
            raise InvalidRequest("params", "are those of a job type; a chain has its own")
    elif job_type is not None:
        check_params(job_type, params)
        if "confirm" in params:
            raise InvalidRequest("params.confirm", "approves the changes of one run; a schedule has many")
    _check_events(job_type, chain, params, now)


def check_jitter(timing: Timing, jitter_seconds: int, now: datetime) -> None:
    """Check that a run cannot be delayed beyond the next one.

    Raises:
        InvalidRequest
    """
    gaps = [second - first for first, second in pairwise(timing.upcoming(now, _LOOKED_AT))]
    shortest = min((gap.total_seconds() for gap in gaps), default=MAX_JITTER + 1)
    if jitter_seconds >= shortest:
        reason = f"is {jitter_seconds}; it takes less than the {shortest:,.0f} seconds between two runs"
        raise InvalidRequest("jitter_seconds", reason)


def _check_events(job_type: str | None, chain: str | None, params: dict[str, Any], now: datetime) -> None:
    """Check that all readers accept the requests."""
    made = run_requests(
        schedule_id="s",
        run_id="r",
        tenant="t",
        account="a",
        target=target_of(job_type, chain, params),
        planned_at=now,
        now=now,
    )
    for event in made.events:
        value = event.encode()
        try:
            decode(value)
        except InvalidEvent as error:
            raise InvalidRequest("params", error.reason) from None
        if len(value) > MAX_EVENT:
            raise InvalidRequest(
                "params", f"are {len(value):,} bytes as an event, which may have {MAX_EVENT:,} at most"
            )
