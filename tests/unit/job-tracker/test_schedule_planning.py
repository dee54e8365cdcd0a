"""What becomes of due instants, and the ids and delays that follow from a plan."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from job_events.envelope import decode
from job_events.errors import InvalidRequest
from job_events.events import Requested
from job_events.job_types import JOB_TYPES
from job_tracker.scheduler.checks import check_jitter, check_target
from job_tracker.scheduler.planning import (
    MISSED,
    ON_TIME,
    SHOWN_MISSED,
    CatchUp,
    decide,
    jitter,
    looked_back,
    planned_job_id,
    run_id,
)
from job_tracker.scheduler.requests import run_requests, target_of
from job_tracker.scheduler.timing import read_timing

NOW = datetime(2026, 11, 30, 3, 0, 20, tzinfo=UTC)
HOURS = [NOW.replace(second=0) - timedelta(hours=hours) for hours in (3, 2, 1, 0)]
S, R, T = "skipped", "runs", "runs in turn"


def outcomes(due: list[datetime], now: datetime, catch_up: CatchUp, limit: int = 10) -> list[str]:
    decisions = decide(due, now, catch_up, limit)
    assert [one.planned_at for one in decisions] == due[-len(decisions) :]
    assert {one.skipped for one in decisions} <= {None, MISSED}
    return [S if one.skipped else T if one.in_turn else R for one in decisions]


@pytest.mark.parametrize(
    ("catch_up", "limit", "three_missed", "three_missed_and_one_on_time", "one_on_time", "one_missed"),
    [
        ("skip", 10, [S, S, S], [S, S, S, R], [R], [S]),
        ("one", 10, [S, S, T], [S, S, S, R], [R], [T]),
        ("all", 10, [T, T, T], [T, T, T, T], [R], [T]),
        ("all", 2, [S, T, T], [S, S, T, T], [R], [T]),
        ("all", 1, [S, S, T], [S, S, S, R], [R], [T]),
    ],
)
def test_missed_instants_run_by_the_policy(
    catch_up: CatchUp,
    limit: int,
    three_missed: list[str],
    three_missed_and_one_on_time: list[str],
    one_on_time: list[str],
    one_missed: list[str],
) -> None:
    late = NOW - timedelta(minutes=30)
    assert outcomes(HOURS[:3], late, catch_up, limit) == three_missed
    assert outcomes(HOURS, NOW, catch_up, limit) == three_missed_and_one_on_time
    assert outcomes(HOURS[3:], NOW, catch_up, limit) == one_on_time
    assert outcomes(HOURS[3:], NOW + timedelta(minutes=30), catch_up, limit) == one_missed
    assert outcomes([], NOW, catch_up, limit) == []


def test_a_restart_of_minutes_misses_nothing() -> None:
    for policy in ("skip", "one", "all"):
        assert outcomes(HOURS[3:], HOURS[3] + ON_TIME, policy) == [R]


def test_of_many_missed_instants_few_are_recorded() -> None:
    due = [NOW - timedelta(minutes=minutes) for minutes in range(500, 10, -1)]
    assert outcomes(due, NOW, "all", 100) == [S] * SHOWN_MISSED + [T] * 100
    assert outcomes(due, NOW, "skip") == [S] * SHOWN_MISSED
    assert looked_back("all", 100) == SHOWN_MISSED + 100


def test_a_job_id_is_the_uuid5_of_the_plan() -> None:
    planned = datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=7)))
    name = '["sched-1","lan-shop","PRODUCT_SYNC","2026-11-30T17:30:00Z"]'
    expected = str(uuid.uuid5(uuid.UUID("8c2b7d0e-6a0f-5b8e-9d51-0d6f6a3c1e27"), name))
    assert planned_job_id("sched-1", "lan-shop", "PRODUCT_SYNC", planned) == expected
    assert planned_job_id("sched-1", "lan-shop", "PRODUCT_SYNC", planned.astimezone(UTC)) == expected
    others = [
        planned_job_id("sched-1", "lan-shop", "CUSTOMER_SYNC", planned),
        planned_job_id("sched-1", "lan", "shopPRODUCT_SYNC", planned),
        planned_job_id("sched-2", "lan-shop", "PRODUCT_SYNC", planned),
        planned_job_id("sched-1", "lan-shop", "PRODUCT_SYNC", planned + timedelta(seconds=1)),
        run_id("sched-1", "lan-shop", planned),
    ]
    assert len({expected, *others}) == 6


def test_jitter_spreads_runs_and_is_the_same_each_time() -> None:
    found = [jitter("sched-1", f"shop-{number}", HOURS[0], 600).total_seconds() for number in range(500)]
    assert found == [jitter("sched-1", f"shop-{number}", HOURS[0], 600).total_seconds() for number in range(500)]
    assert 0 <= min(found) < 60 and 540 < max(found) <= 600
    assert len(set(found)) > 200
    assert jitter("sched-1", "shop", HOURS[0], 0) == timedelta()


def test_the_requests_of_a_chain_are_its_first_jobs_under_one_chain_id() -> None:
    made = run_requests(
        schedule_id="sched-1",
        run_id="run-1",
        tenant="default",
        account="lan-shop",
        target=target_of(None, "products", {}),
        planned_at=HOURS[0],
        now=NOW,
    )
    events = [decode(event.encode()) for event in made.events]
    assert [JOB_TYPES[one.data.job.type].service for one in events if isinstance(one, Requested)] == made.services
    assert made.services == ["puller", "puller"]
    assert made.job_types == ["PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS", "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC"]
    for event, job_id in zip(events, made.job_ids, strict=True):
        assert isinstance(event, Requested)
        assert (event.job_id, event.correlationid) == (job_id, "run-1")
        assert (event.data.requested_by, event.data.priority) == ("schedule:sched-1", "normal")
        assert job_id == planned_job_id("sched-1", "lan-shop", event.data.job.type, HOURS[0])
        assert event.data.then


@pytest.mark.parametrize(
    ("job_type", "chain", "params", "field"),
    [
        (None, None, {}, "type"),
        ("PRODUCT_SYNC", "products", {}, "type"),
        ("NO_SUCH_JOB", None, {}, "type"),
        (None, "no-such-chain", {}, "chain"),
        (None, "products", {"dry_run": True}, "params"),
        ("PRODUCT_SYNC", None, {"dry_run": "yes"}, "params.dry_run"),
        ("PRODUCT_SYNC", None, {"confirm": "token"}, "params.confirm"),
        ("INCREMENTAL_PULL", None, {"platform": "nhanh"}, "params"),
        ("PULL_NHANH_PRODUCTS", None, {"filters": {"color": 1}}, "params.filters.color"),
    ],
)
def test_a_wrong_target_is_refused(
    job_type: str | None, chain: str | None, params: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_target(job_type, chain, params, NOW)
    assert refused.value.field == field


def test_a_delay_stays_below_the_time_between_two_runs() -> None:
    check_jitter(read_timing(None, 3600, "UTC", NOW), 3599, NOW)
    for timing in (read_timing(None, 3600, "UTC", NOW), read_timing("0,59 3 * * *", None, "UTC", NOW)):
        with pytest.raises(InvalidRequest, match="between two runs") as refused:
            check_jitter(timing, 3600, NOW)
        assert refused.value.field == "jitter_seconds"
