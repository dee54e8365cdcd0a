"""Schedules by the API: create, show, change, pause, delete; what is wrong is refused with its field."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from tests.api_answers import problem, shown

from job_events.job_types import JOB_TYPES
from job_tracker.api.schedule_store import ScheduleFields, ScheduleStore
from service_kit.clock import SystemClock

NIGHTLY = {"cron": "30 2 * * *"}


@pytest.fixture
def nightly(tenant: str) -> dict[str, Any]:
    """The body of a new schedule."""
    return {"tenant": tenant, "account": "demo-shop", "type": "PULL_NHANH_PRODUCTS", **NIGHTLY}


def made(api: httpx.Client, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = api.post("/schedules", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["schedule"]


def test_a_new_schedule_is_shown_in_words_with_its_next_five_runs(api: httpx.Client, nightly: Any) -> None:
    before = datetime.now(UTC)
    schedule = made(api, nightly, **{"Jobtrail-Actor": "lan"})
    assert schedule["words"] == "At 02:30 every day, Asia/Ho_Chi_Minh"
    runs = [datetime.fromisoformat(run) for run in schedule["next_runs"]]
    assert len(runs) == 5 and runs[0] > before
    assert {(run.hour, run.minute, run.utcoffset()) for run in runs} == {(2, 30, timedelta(hours=7))}
    assert {later - run for run, later in pairwise(runs)} == {timedelta(days=1)}
    given = {name: schedule[name] for name in nightly}
    assert given == nightly
    defaults = (
        "timezone",
        "catch_up",
        "catch_up_limit",
        "jitter_seconds",
        "paused",
        "params",
        "chain",
        "every_seconds",
    )
    assert [schedule[name] for name in defaults] == ["Asia/Ho_Chi_Minh", "one", 10, 0, False, {}, None, None]
    assert (schedule["created_by"], schedule["updated_by"]) == ("lan", "lan")
    answer = shown(api, f"/schedules/{schedule['schedule_id']}")
    assert answer["schedule"] == schedule
    assert (answer["runs"], answer["scheduler"]["alive"]) == ([], False)
    listed = shown(api, "/schedules", tenant=nightly["tenant"])
    assert (listed["schedules"], listed["total"]) == ([schedule], 1)


def test_a_schedule_of_a_chain_for_all_accounts_by_an_interval(api: httpx.Client, tenant: str) -> None:
    body = {"tenant": tenant, "account": None, "chain": "incremental", "every_seconds": 900, "timezone": "Asia/Saigon"}
    schedule = made(api, body | {"jitter_seconds": 60, "catch_up": "all", "catch_up_limit": 3})
    assert (schedule["account"], schedule["type"], schedule["words"]) == (None, None, "Every 15 minutes")
    assert schedule["timezone"] == "Asia/Saigon"


def test_lists_are_paged_newest_first_and_filtered_by_account(
    api: httpx.Client, nightly: Any, tenant: str, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES (%s, 'second')", [tenant])
    ids = [made(api, nightly | {"account": account})["schedule_id"] for account in ("demo-shop", "second") * 3]
    found: list[str] = []
    cursor = None
    while True:
        page = shown(api, "/schedules", tenant=tenant, limit=2, **({"cursor": cursor} if cursor else {}))
        found += [schedule["schedule_id"] for schedule in page["schedules"]]
        if not (cursor := page["next"]):
            break
    assert found == ids[::-1]
    second = shown(api, "/schedules", tenant=tenant, account="second")
    assert [schedule["schedule_id"] for schedule in second["schedules"]] == ids[1::2][::-1]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"cron": "30 2 * *"}, "cron", "five fields"),
        ({"cron": "61 2 * * *"}, "cron", "minute 0-59"),
        ({"cron": "0 0 31 2 *"}, "cron", "never"),
        ({"cron": "* " * 150}, "cron", "200 characters"),
        ({"cron": "0 0 */2 * 1"}, "cron", "1-31/2"),
        ({"cron": None}, "cron", "every_seconds"),
        ({"every_seconds": 60}, "cron", "not both"),
        ({"cron": None, "every_seconds": 59}, "every_seconds", "60"),
        ({"cron": None, "every_seconds": 10**12}, "every_seconds", "31622400"),
        ({"cron": None, "every_seconds": "60"}, "every_seconds", "integer"),
        ({"timezone": "Mars/Olympus"}, "timezone", "IANA"),
        ({"timezone": ""}, "timezone", "IANA"),
        ({"jitter_seconds": -1}, "jitter_seconds", "0"),
        ({"jitter_seconds": 3601}, "jitter_seconds", "3600"),
        ({"cron": "* * * * *", "jitter_seconds": 60}, "jitter_seconds", "between two runs"),
        ({"catch_up": "some"}, "catch_up", "all"),
        ({"catch_up_limit": 101}, "catch_up_limit", "100"),
        ({"type": "MAKE_COFFEE"}, "type", next(iter(JOB_TYPES))),
        ({"type": None}, "type", "either type or chain"),
        ({"chain": "products"}, "type", "not both"),
        ({"type": None, "chain": "coffee"}, "chain", "incremental"),
        ({"params": {"page_size": 0}}, "params.page_size", "1"),
        ({"params": {"confirm": "x"}}, "params.confirm", "one run"),
        ({"account": "nobody"}, "account", "no account"),
        ({"tenant": "nobody", "account": None}, "account", "no account"),
        ({"colour": "red"}, "colour", ""),
    ],
)
def test_a_wrong_field_is_refused_with_what_is_allowed(
    api: httpx.Client, nightly: Any, change: dict[str, Any], field: str, words: str
) -> None:
    body = problem(api.post("/schedules", json=nightly | change, headers={"Idempotency-Key": "k"}), 422, field)
    assert words in body["detail"]
    assert shown(api, "/schedules", tenant=nightly["tenant"])["total"] == 0
    made(api, nightly, **{"Idempotency-Key": "k"})  # a refused request leaves the key free


def test_the_account_must_be_named_or_all_of_them_asked_for(api: httpx.Client, nightly: Any) -> None:
    del nightly["account"]
    problem(api.post("/schedules", json=nightly), 422, "account")


def test_the_same_key_creates_once(api: httpx.Client, nightly: Any) -> None:
    key = {"Idempotency-Key": "nightly-1"}
    first = made(api, nightly, **key)
    again = api.post("/schedules", json=nightly, headers=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json()["schedule"] == first
    problem(api.post("/schedules", json=nightly | {"cron": "0 3 * * *"}, headers=key), 422, "Idempotency-Key")
    assert shown(api, "/schedules", tenant=nightly["tenant"])["total"] == 1
    assert api.delete(f"/schedules/{first['schedule_id']}").status_code == 200
    problem(api.post("/schedules", json=nightly, headers=key), 404)  # it does not come back


def test_a_change_of_the_times_counts_from_now_and_any_other_keeps_the_next_run(
    api: httpx.Client, nightly: Any, connection: psycopg.Connection[Any]
) -> None:
    schedule = made(api, nightly)
    path = f"/schedules/{schedule['schedule_id']}"
    # As if no scheduler had looked for three days.
    past = datetime.now(UTC) - timedelta(days=3)
    connection.execute(
        "UPDATE tracker.schedule SET next_run_at = %s WHERE schedule_id = %s", [past, schedule["schedule_id"]]
    )

    def patched(**changes: Any) -> dict[str, Any]:
        answer = api.patch(path, json=changes, headers={"Jobtrail-Actor": "minh"})
        assert answer.status_code == 200, answer.text
        return answer.json()["schedule"]

    kept = patched(catch_up="skip", params={"page_size": 5}, timezone="Asia/Ho_Chi_Minh")
    assert datetime.fromisoformat(kept["next_runs"][0]) == past
    assert (kept["catch_up"], kept["params"], kept["updated_by"]) == ("skip", {"page_size": 5}, "minh")
    moved = patched(timezone="America/New_York")
    assert datetime.fromisoformat(moved["next_runs"][0]) > datetime.now(UTC)
    assert moved["words"].endswith("America/New_York")
    hourly = patched(every_seconds=3600)
    assert (hourly["cron"], hourly["every_seconds"]) == (None, 3600)
    assert (
        timedelta(minutes=59) < datetime.fromisoformat(hourly["next_runs"][0]) - datetime.now(UTC) <= timedelta(hours=1)
    )
    daily = patched(cron="0 6 * * *")
    assert (daily["cron"], daily["every_seconds"]) == ("0 6 * * *", None)
    for wrong, field in (
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"timezone": "Mars"}, "timezone"),
        ({"params": {"size": 1}}, "params.size"),
        ({"account": "other"}, "account"),
        ({"cron": "0 1 * * *", "every_seconds": 60}, "cron"),
    ):
        problem(api.patch(path, json=wrong), 422, field)
    problem(api.patch(path, json={}), 422)
    assert shown(api, path)["schedule"] == daily


def test_a_paused_schedule_has_no_next_run_and_resumes_with_the_first_after_now(
    api: httpx.Client, nightly: Any, connection: psycopg.Connection[Any]
) -> None:
    schedule = made(api, nightly)
    path = f"/schedules/{schedule['schedule_id']}"
    paused = api.post(f"{path}/pause", json={"reason": "stocktaking"}).json()["schedule"]
    assert (paused["paused"], paused["paused_reason"], paused["next_runs"]) == (True, "stocktaking", [])
    changed = api.patch(path, json={"cron": "0 5 * * *"}).json()["schedule"]
    assert (changed["paused"], changed["next_runs"]) == (True, [])
    resumed = api.post(f"{path}/resume").json()["schedule"]
    assert (resumed["paused"], resumed["paused_reason"]) == (False, "")
    assert datetime.fromisoformat(resumed["next_runs"][0]) > datetime.now(UTC)
    # To resume what is not paused skips nothing that is due.
    past = datetime.now(UTC) - timedelta(minutes=1)
    connection.execute(
        "UPDATE tracker.schedule SET next_run_at = %s WHERE schedule_id = %s", [past, schedule["schedule_id"]]
    )
    assert datetime.fromisoformat(api.post(f"{path}/resume").json()["schedule"]["next_runs"][0]) == past


def test_a_deleted_schedule_is_gone(api: httpx.Client, nightly: Any) -> None:
    path = f"/schedules/{made(api, nightly)['schedule_id']}"
    assert api.delete(path).status_code == 200
    for call in (
        api.get(path),
        api.delete(path),
        api.patch(path, json=NIGHTLY),
        api.post(f"{path}/pause"),
        api.post(f"{path}/resume"),
    ):
        problem(call, 404, "schedule_id")


def test_the_last_runs_are_shown_with_the_outcome_of_their_jobs(
    *, api: httpx.Client, nightly: Any, system: Any, tmp_path: Any, connection: psycopg.Connection[Any], wait_until: Any
) -> None:
    schedule = made(api, nightly)
    path = f"/schedules/{schedule['schedule_id']}"
    assert "no scheduler is at work" in " ".join(api.get("/readyz").json()["notes"])
    # Two minutes ago is on time, two hours ago was missed.
    for ago in (timedelta(hours=2), timedelta(minutes=2)):
        run = datetime.now(UTC).replace(microsecond=0) - ago
        connection.execute(
            "UPDATE tracker.schedule SET next_run_at = %s, cron = NULL, every_seconds = 86400, anchor = %s "
            "WHERE schedule_id = %s",
            [run, run - timedelta(days=1), schedule["schedule_id"]],
        )
        if ago > timedelta(hours=1):
            connection.execute("UPDATE tracker.schedule SET catch_up = 'skip'")
            process = system.process("scheduler", tmp_path / "scheduler.log")
            wait_until(lambda: shown(api, path)["runs"], "the missed run is not shown")
    runs = wait_for_job(api, path, wait_until)
    assert [run["state"] for run in runs] == ["sent", "skipped"]
    assert runs[1]["reason"].startswith("missed") and runs[1]["jobs"] == []
    (job,) = runs[0]["jobs"]
    assert (job["job_id"], job["type"], job["status"], job["outcome"]) == (
        runs[0]["job_ids"][0],
        "PULL_NHANH_PRODUCTS",
        "PENDING",
        None,
    )
    listed = shown(api, f"/jobs/{job['job_id']}")["job"]
    assert (listed["requested_by"], listed["account"]) == (f"schedule:{schedule['schedule_id']}", "demo-shop")
    assert shown(api, path)["scheduler"]["alive"] is True
    assert "jobtrail_schedulers_alive 1.0" in api.get("/metrics").text
    process.terminate()
    assert process.wait(60) == 0
    assert shown(api, path)["scheduler"]["alive"] is False


def wait_for_job(api: httpx.Client, path: str, wait_until: Any) -> list[dict[str, Any]]:
    wait_until(lambda: any(run["jobs"] for run in shown(api, path)["runs"]), "the job is not shown")
    return shown(api, path)["runs"]


def test_the_schedule_of_all_accounts_of_a_tenant_is_one_however_often_it_is_put(
    api: httpx.Client, system: Any, tenant: str
) -> None:
    assert api

    async def put() -> list[dict[str, Any]]:
        pool: AsyncConnectionPool = AsyncConnectionPool(system.database_url, open=False, min_size=1, max_size=3)
        async with pool:
            store = ScheduleStore(pool, SystemClock())
            hourly, nightly = ScheduleFields(every_seconds=3600), ScheduleFields(cron="0 2 * * *", catch_up="skip")
            await asyncio.gather(*(store.put_for_all_accounts(tenant, hourly, "lan", chain="sales") for _ in range(3)))
            await store.put_for_all_accounts(tenant, nightly, "minh", chain="sales")
            await store.put_for_all_accounts(tenant, hourly, "lan", job_type="PRODUCT_SYNC", paused=True)
            return await store.of_all_accounts(tenant)

    sales, sync = asyncio.run(put())
    assert (sales["chain"], sales["cron"], sales["every_seconds"]) == ("sales", "0 2 * * *", None)
    assert (sales["account"], sales["created_by"], sales["updated_by"]) == (None, "lan", "minh")
    assert (sync["job_type"], sync["paused"], sync["next_run_at"]) == ("PRODUCT_SYNC", True, None)
