"""The scheduler on real servers: one job for each planned instant, one run at a time, missed runs by policy."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from job_tracker.scheduler.planning import MISSED
from job_tracker.scheduler.runs import COMES_WITHIN, NO_ACCOUNT, PAUSED, RETRY
from job_tracker.scheduler.timing import Timing
from local_stack import free_port

NOON = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)


def test_several_schedulers_ask_once_for_each_planned_instant(make_schedules: Any, job_id: Any) -> None:
    schedules = make_schedules(NOON)
    shops = [f"shop-{number}" for number in range(5)]
    schedules.add_accounts(*shops)
    single = [schedules.add(shop, cron="0 * * * *") for shop in shops for _ in range(8)]
    whole = schedules.add(None, "CUSTOMER_SYNC", cron="0 13 * * *", params={"dry_run": True})
    chain = schedules.add("shop-0", chain="products", every=3600)
    schedulers = [schedules.make_scheduler() for _ in range(3)]
    for now in (NOON + HOUR - timedelta(seconds=1), NOON + HOUR, NOON + HOUR):
        schedules.clock.time = now
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda one: one.turn(), schedulers))
        schedules.settle()
    at = NOON + HOUR
    expected = {job_id(one, shops[index // 8], "PULL_NHANH_PRODUCTS", at) for index, one in enumerate(single)}
    expected |= {job_id(whole, shop, "CUSTOMER_SYNC", at) for shop in shops}
    expected |= {job_id(chain, "shop-0", f"PULL_{shop}_PRODUCTS", at) for shop in ("NHANH", "SHOPIFY")}
    requests = schedules.requests()
    assert {one["subject"] for one in requests} == expected
    by_id = {one["subject"]: one for one in requests}
    synced = by_id[job_id(whole, "shop-3", "CUSTOMER_SYNC", at)]["data"]
    assert (synced["job"]["account"], synced["params"]) == ("shop-3", {"dry_run": True})
    assert synced["requested_by"] == f"schedule:{whole}"
    pulls = [by_id[job_id(chain, "shop-0", f"PULL_{shop}_PRODUCTS", at)] for shop in ("NHANH", "SHOPIFY")]
    assert len({pull["correlationid"] for pull in pulls}) == 1
    assert [step["type"] for step in pulls[0]["data"]["then"]] == ["AUTO_MATCH_PRODUCTS"]
    assert schedules.next_run(single[0]) == NOON + 2 * HOUR


def test_a_run_is_skipped_while_the_one_before_is_at_work(make_schedules: Any, wait_until: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop", "other")
    one = schedules.add(cron="0 * * * *")
    schedules.system.projector()
    schedules.turn(NOON + HOUR)
    other = schedules.add("other", cron="0 * * * *")
    schedules.turn(NOON + 2 * HOUR)
    assert schedules.states(one) == ["sent", "skipped"]
    assert schedules.runs(one)[1][2] == f"the run of {(NOON + HOUR).isoformat()} is not finished"
    assert schedules.states(other) == ["sent"]
    schedules.finish(wait_until)
    schedules.turn(NOON + 3 * HOUR)
    assert schedules.states(one) == ["sent", "skipped", "sent"]
    assert len(schedules.requests()) == 4 - 1 + 1


def test_a_run_of_a_chain_is_at_work_until_its_last_step_is_finished(make_schedules: Any, wait_until: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    one = schedules.add(chain="customers", every=600)
    schedules.system.projector()
    schedules.turn(NOON + timedelta(minutes=10))
    schedules.finish(wait_until)  # both pulls: the match is not in the table yet
    schedules.turn(NOON + timedelta(minutes=20))
    pull = schedules.requests()[0]
    for minutes, step in ((30, "AUTO_MATCH_CUSTOMERS"), (40, "CUSTOMER_SYNC")):
        end = schedules.end_of(pull, type=step)
        schedules.system.send([end])
        wait_until(lambda end=end: end["subject"] in schedules.finished_jobs(), "the step was not read")
        schedules.turn(NOON + timedelta(minutes=minutes))
    assert schedules.states(one) == ["sent", "skipped", "skipped", "sent"]


def test_a_job_that_never_comes_into_the_table_holds_no_run_back_for_ever(make_schedules: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    one = schedules.add(every=int(COMES_WITHIN.total_seconds()) // 2)
    for turn in range(1, 5):
        schedules.turn(NOON + turn * COMES_WITHIN / 2)
    # Without a projector no job is in the table.
    assert schedules.states(one) == ["sent", "skipped", "sent", "skipped"]


@pytest.mark.parametrize(("catch_up", "limit", "run"), [("skip", 10, 0), ("one", 10, 1), ("all", 10, 3), ("all", 2, 2)])
def test_three_missed_runs_are_made_up_by_policy_one_after_the_other(
    make_schedules: Any, wait_until: Any, catch_up: str, limit: int, run: int
) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    one = schedules.add(cron="0 * * * *", catch_up=catch_up, limit=limit)
    schedules.system.projector()
    back = NOON + 3.5 * HOUR
    for turn in range(8):
        schedules.turn(back + turn * (RETRY + timedelta(seconds=1)))
        requests = schedules.requests()
        assert len(requests) <= min(run, turn + 1), "two runs at a time"
        schedules.finish(wait_until, requests)
    runs = schedules.runs(one)
    assert [planned for planned, _, _ in runs] == [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]
    assert [state for _, state, _ in runs] == ["skipped"] * (3 - run) + ["sent"] * run
    assert {reason for _, state, reason in runs if state == "skipped"} <= {MISSED}
    assert len(schedules.requests()) == run
    assert schedules.next_run(one) == NOON + 4 * HOUR


def test_a_long_outage_is_no_burst(make_schedules: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    one = schedules.add(cron="* * * * *")
    schedules.turn(NOON + timedelta(days=200, seconds=30))
    assert len(schedules.requests()) == 1
    assert schedules.states(one)[-1] == "sent"
    assert schedules.next_run(one) == NOON + timedelta(days=200, minutes=1)


def test_midnight_and_monday_are_those_of_the_schedule_whatever_the_machine_says(
    make_schedules: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    vietnam = ZoneInfo("Asia/Ho_Chi_Minh")
    schedules = make_schedules(datetime(2026, 11, 15, 23, 50, tzinfo=vietnam))
    schedules.add_accounts("shop")
    one = schedules.add(cron="0 0 * * 1", zone="Asia/Saigon")
    schedules.turn(datetime(2026, 11, 15, 23, 59, 59, tzinfo=vietnam))
    assert schedules.runs(one) == []
    schedules.turn(datetime(2026, 11, 16, 0, 0, 0, tzinfo=vietnam))
    assert [planned for planned, _, _ in schedules.runs(one)] == [datetime(2026, 11, 15, 17, 0, tzinfo=UTC)]
    assert schedules.next_run(one) == datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def test_jitter_delays_each_account_by_its_own_time(make_schedules: Any, job_id: Any) -> None:
    schedules = make_schedules(NOON)
    shops = [f"shop-{number}" for number in range(20)]
    schedules.add_accounts(*shops)
    one = schedules.add(None, cron="0 13 * * *", jitter=600)
    sent = 0
    for seconds in range(0, 601, 60):
        schedules.turn(NOON + HOUR + timedelta(seconds=seconds))
        assert sent <= schedules.states(one).count("sent") < 20 or seconds > 300
        sent = schedules.states(one).count("sent")
    assert sent == 20
    expected = {job_id(one, shop, "PULL_NHANH_PRODUCTS", NOON + HOUR) for shop in shops}
    assert {request["subject"] for request in schedules.requests()} == expected
    times = {request["time"] for request in schedules.requests()}
    assert len(times) > 5


def test_a_delayed_run_of_a_schedule_that_is_paused_meanwhile_does_not_start(make_schedules: Any) -> None:
    schedules = make_schedules(NOON)
    shops = [f"shop-{number}" for number in range(30)]
    schedules.add_accounts(*shops)
    one = schedules.add(None, cron="0 13 * * *", jitter=600)
    schedules.turn(NOON + HOUR)
    begun = schedules.states(one).count("sent")
    schedules.connection.execute("UPDATE tracker.schedule SET paused = true, next_run_at = NULL")
    schedules.turn(NOON + 2 * HOUR)
    assert {reason for _, state, reason in schedules.runs(one) if state == "skipped"} == {PAUSED}
    assert Counter(schedules.states(one)) == Counter({"sent": begun, "skipped": 30 - begun})


def test_requests_wait_for_kafka_and_are_sent_with_the_same_bytes(make_schedules: Any, job_id: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    one = schedules.add(cron="0 * * * *")
    schedules.clock.time = NOON + HOUR
    schedules.make_scheduler(f"127.0.0.1:{free_port()}").turn()  # nothing answers there
    ((stored,),) = schedules.connection.execute("SELECT events FROM tracker.schedule_run").fetchall()
    assert schedules.states(one) == ["requested"]
    assert schedules.next_run(one) == NOON + 2 * HOUR
    assert schedules.requests() == []
    schedules.turn(NOON + HOUR + RETRY)
    assert schedules.states(one) == ["sent"]
    (request,) = schedules.requests()
    assert request == json.loads(stored[0])
    assert request["subject"] == job_id(one, "shop", "PULL_NHANH_PRODUCTS", NOON + HOUR)


def test_an_account_that_is_gone_gets_no_job_and_the_run_says_so(make_schedules: Any) -> None:
    schedules = make_schedules(NOON)
    gone, nobody = schedules.add("gone", every=3600), schedules.add(None, every=3600)
    schedules.turn(NOON + HOUR)
    assert schedules.runs(gone) == [(NOON + HOUR, "skipped", NO_ACCOUNT)]
    assert schedules.runs(nobody) == []
    schedules.add_accounts("new")
    schedules.turn(NOON + 2 * HOUR)
    assert schedules.states(nobody) == ["sent"]


def test_what_only_another_version_knows_is_left_to_it_or_paused_with_the_reason(make_schedules: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    newer = schedules.add(chain="everything", every=3600)
    odd = schedules.add(timing=Timing("0 * * * *", None, "UTC", NOON))
    schedules.connection.execute("UPDATE tracker.schedule SET timezone = 'Mars/Olympus' WHERE schedule_id = %s", [odd])
    fine = schedules.add(every=3600)
    schedules.turn(NOON + HOUR)
    assert schedules.next_run(newer) == NOON + HOUR
    assert schedules.runs(newer) == []
    paused = schedules.connection.execute(
        "SELECT paused, paused_reason FROM tracker.schedule WHERE schedule_id = %s", [odd]
    ).fetchone()
    assert paused is not None and paused[0] and "Mars/Olympus" in paused[1]
    assert schedules.states(fine) == ["sent"]


def test_old_runs_are_deleted_and_the_schedule_goes_on(make_schedules: Any) -> None:
    schedules = make_schedules(NOON)
    schedules.add_accounts("shop")
    one = schedules.add(cron="0 13 * * *")
    schedules.turn(NOON + HOUR)
    schedules.scheduler._deleted_at -= 7200
    schedules.turn(NOON + timedelta(days=91, hours=1))
    assert NOON + HOUR not in {planned for planned, _, _ in schedules.runs(one)}
    assert schedules.states(one)[-1] == "sent"
