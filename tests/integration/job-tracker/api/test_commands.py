"""Commands of the API: request, control, retry and delete jobs, pause queues, decide matches."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.api_answers import accepted, answers, problem, shown

THEN = {"type": "AUTO_MATCH_PRODUCTS", "needs": ["PULL_NHANH_PRODUCTS"]}
SYNC = {"type": "PRODUCT_SYNC", "needs": ["AUTO_MATCH_PRODUCTS"]}


def test_a_job_is_read_where_it_was_asked_for(*, api: httpx.Client, asked: Any, tenant: str) -> None:
    then = [{"type": "AUTO_MATCH_PRODUCTS", "needs": ["PULL_NHANH_PRODUCTS"]}]
    actor = [("Jobtrail-Actor", "Bình".encode())]
    made = accepted(api.post("/jobs", json={**asked, "then": then, "priority": "urgent"}, headers=actor))
    answer = shown(api, f"/jobs/{made['job_id']}", made["token"])
    job = answer["job"]
    assert (job["status"], job["health"], job["priority"], job["requested_by"]) == ("PENDING", "ok", "urgent", "Bình")
    assert job["then"][0]["type"] == "AUTO_MATCH_PRODUCTS"
    assert job["chain"] == made["chain"]
    assert answer["freshness"]["alive"] is True
    assert shown(api, "/jobs", tenant=tenant)["jobs"][0]["job_id"] == made["job_id"]
    assert shown(api, "/stats", tenant=tenant)["by_status"] == {"PENDING": 1}


def test_the_same_key_asks_once(*, api: httpx.Client, asked: Any, tenant: str) -> None:
    key = {"Idempotency-Key": "order-1"}
    # A refused request leaves the key free.
    problem(api.post("/jobs", json={**asked, "batch": "\u0000"}, headers=key), 422, "batch")
    first = api.post("/jobs", json=asked, headers=key)
    again = api.post("/jobs", json=dict(reversed(asked.items())), headers=key)
    assert accepted(first) == accepted(again)
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(api.post("/jobs", json={**asked, "priority": "low"}, headers=key), 422, "Idempotency-Key")
    assert shown(api, "/jobs", accepted(first)["token"], tenant=tenant)["total"] == 1


def test_a_job_of_one_chosen_record_goes_first(*, api: httpx.Client, asked: Any) -> None:
    def priority(**changes: Any) -> str:
        made = accepted(api.post("/jobs", json={**asked, "type": "PRODUCT_SYNC", **changes}))
        return shown(api, f"/jobs/{made['job_id']}", made["token"])["job"]["priority"]

    assert priority(params={"only": ["7"]}) == "high"
    assert priority(params={"only": ["7"]}, priority="low") == "low"
    assert priority(params={"only": ["7"]}, priority=None) == "high"
    assert priority(params={"only": ["7", "8"]}) == priority() == "normal"


def test_a_key_without_a_priority_is_the_same_as_with_normal(*, api: httpx.Client, asked: Any) -> None:
    """As keys were stored before one chosen record went first."""
    key = {"Idempotency-Key": "before"}
    body = {**asked, "type": "PRODUCT_SYNC", "params": {"only": ["7"]}}
    first = accepted(api.post("/jobs", json={**body, "priority": "normal"}, headers=key))
    assert accepted(api.post("/jobs", json=body, headers=key)) == first
    problem(api.post("/jobs", json={**body, "priority": "high"}, headers=key), 422, "Idempotency-Key")


def test_a_simulation_needs_no_account(*, api: httpx.Client, tenant: str) -> None:
    place = {"tenant": tenant, "account": "nobody"}
    made = accepted(api.post("/jobs", json={"type": "SIMULATE_PULL", **place, "params": {"items": 3}}))
    assert shown(api, f"/jobs/{made['job_id']}", made["token"])["job"]["params"] == {"items": 3}
    problem(api.post("/jobs", json={"type": "SIMULATE_PULL", **place, "params": {"failed": 2}}), 422, "params.failed")
    problem(api.post("/jobs", json={"type": "PULL_NHANH_PRODUCTS", **place}), 422, "account")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "MAKE_COFFEE"}, "type"),
        ({"account": "nobody"}, "account"),
        ({"params": {"page_size": 0}}, "params.page_size"),
        ({"params": {"colour": "red"}}, "params.colour"),
        ({"then": [{"type": "PRODUCT_SYNC", "needs": []}]}, "then[0].needs"),
        ({"then": [{"needs": []}]}, "then[0]"),
        ({"priority": "whenever"}, "priority"),
        ({"tenant": ""}, "tenant"),
        ({"colour": "red"}, "colour"),
        ({"batch": "a\u0000b"}, "batch"),
        ({"params": {"filters": {"name": "\ud800"}}}, "params.filters.name"),
        ({"params": {"\ud800": 1}, "idempotency": True}, "params.\ufffd"),
        ({"then": [{"\ud800": 1}]}, "then[0].\ufffd"),
        ({"params": {"filters": {"a": float("nan")}}}, "params.filters.a"),
        ({"params": {"filters": {"a": float("inf")}}}, "params.filters.a"),
        ({"params": {"filters": {"colour": "red"}}}, "params.filters.colour"),
        ({"params": {"filters": {"price": {"form": 1}}}}, "params.filters.price.form"),
        ({"params": {"filters": {"ids": []}}}, "params.filters.ids"),
        ({"params": {"filters": {"updatedAtFrom": "yesterday"}}}, "params.filters.updatedAtFrom"),
        ({"params": {"query": "tag:sale"}}, "params.query"),
        ({"then": [THEN | {"then": [SYNC | {"param": {"dry_run": True}}]}]}, "then[0].then[0].param"),
        ({"then": [THEN | {"then": [SYNC | {"params": {"dryrun": True}}]}]}, "then[0].then[0].params.dryrun"),
        ({"then": [THEN | {"then": [SYNC | {"params": {"dry_run": "yes"}}]}]}, "then[0].then[0].params.dry_run"),
        ({"then": [THEN | {"parmas": {}}]}, "then[0].parmas"),
        ({"about": {"sku": {"deep": 1}}}, "about.sku"),
        ({"chain": ".."}, "chain"),
        ({"chain": "."}, "chain"),
        ({"type": "REVERT_SYNC", "params": {"job_id": ".."}}, "params.job_id"),
        ({"batch": "\ud800"}, "batch"),
    ],
)
def test_what_is_wrong_is_named(
    *, api: httpx.Client, asked: Any, tenant: str, change: dict[str, Any], field: str
) -> None:
    headers = {"content-type": "application/json"} | ({"Idempotency-Key": "k"} if change.pop("idempotency", 0) else {})
    problem(api.post("/jobs", content=json.dumps({**asked, **change}), headers=headers), 422, field)
    assert shown(api, "/jobs", tenant=tenant)["total"] == 0


def test_a_page_of_another_site_commands_nothing(*, api: httpx.Client, tenant: str) -> None:
    """Browsers send such a request unasked, with the rights of whoever looks at the page."""
    address = f"/accounts/{tenant}/demo-shop/pause"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ):
        problem(api.post(address, headers=headers), 403)
    for headers in ({"Origin": str(api.base_url).rstrip("/")}, {"Sec-Fetch-Site": "same-origin"}, {}):
        accepted(api.post(address, headers=headers))
    assert api.get("/jobs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # the browser keeps the answer


def test_control_and_retry(*, api: httpx.Client, asked: Any, system: Any, stream: Any, wait_until: Any) -> None:
    made = accepted(api.post("/jobs", json={**asked, "params": {"page_size": 20}}))
    job = made["job_id"]
    shown(api, f"/jobs/{job}", made["token"])
    problem(api.post(f"/jobs/{job}/retry"), 409)
    for verb in ("pause", "resume", "cancel"):
        answer = accepted(api.post(f"/jobs/{job}/{verb}", json={"reason": "because"}))
        events = shown(api, f"/jobs/{job}/events", answer["token"])["events"]
        assert (events[-1]["type"], events[-1]["verdict"]) == (f"job.{verb}.v1", "applied")
    end = stream.job(1, attempts=1, progresses=0)[-1] | {"subject": job, "correlationid": made["chain"]}
    end["data"] |= {"job": {"type": asked["type"], "account": asked["account"]}, "outcome": "cancelled"}
    system.send([end])
    wait_until(lambda: shown(api, f"/jobs/{job}")["job"]["status"] == "CANCELLED", "not cancelled")
    problem(api.post(f"/jobs/{job}/cancel"), 409)
    problem(api.post("/jobs/nothing/cancel"), 404)
    key = {"Idempotency-Key": "again"}
    again = accepted(api.post(f"/jobs/{job}/retry", headers=key))
    assert accepted(api.post(f"/jobs/{job}/retry", headers=key)) == again
    problem(api.post(f"/jobs/{job}/retry", headers=key, json={"params": {"page_size": 5}}), 422, "Idempotency-Key")
    new = shown(api, f"/jobs/{again['job_id']}", again["token"])["job"]
    assert (new["retry_of"], new["params"], new["chain"]) == (job, {"page_size": 20}, made["chain"])
    for member in (job, again["job_id"]):
        family = shown(api, f"/jobs/{member}/family")
        assert [one["job_id"] for one in family["retries"]] == [job, again["job_id"]]
        assert len(family["chain"]) == 2


def test_a_retry_changes_and_leaves_out_parameters(
    *, api: httpx.Client, asked: Any, system: Any, stream: Any, wait_until: Any
) -> None:
    body = {**asked, "type": "PRODUCT_SYNC", "params": {"only": ["7"], "dry_run": True}, "priority": "low"}
    made = accepted(api.post("/jobs", json=body))
    job = made["job_id"]
    shown(api, f"/jobs/{job}", made["token"])
    end = stream.job(1, attempts=1, progresses=0)[-1] | {"subject": job, "correlationid": made["chain"]}
    end["data"] |= {"job": {"type": body["type"], "account": asked["account"]}, "outcome": "cancelled"}
    system.send([end])
    wait_until(lambda: shown(api, f"/jobs/{job}")["job"]["state"] == "finished", "not ended")

    def retried(**changes: Any) -> tuple[Any, str]:
        again = accepted(api.post(f"/jobs/{job}/retry", json=changes))
        new = shown(api, f"/jobs/{again['job_id']}", again["token"])["job"]
        return new["params"], new["priority"]

    assert retried() == (body["params"], "low")
    assert retried(params={"dry_run": None}, priority="urgent") == ({"only": ["7"]}, "urgent")
    assert retried(params={"only": ["8"], "dry_run": False}) == ({"only": ["8"], "dry_run": False}, "low")
    for changes, field in (
        ({"params": {"colour": "red"}}, "params.colour"),
        ({"params": {"only": 7}}, "params.only"),
        ({"priority": "whenever"}, "priority"),
        ({"colour": "red"}, "colour"),
    ):
        problem(api.post(f"/jobs/{job}/retry", json=changes), 422, field)
    key = {"Idempotency-Key": "edited"}
    first = accepted(api.post(f"/jobs/{job}/retry", json={"priority": "high"}, headers=key))
    assert accepted(api.post(f"/jobs/{job}/retry", json={"priority": "high"}, headers=key)) == first
    problem(api.post(f"/jobs/{job}/retry", json={}, headers=key), 422, "Idempotency-Key")


def test_queues_accounts_and_mappings_are_changed_by_events(*, api: httpx.Client, tenant: str) -> None:
    accepted(api.post("/queues/syncer/pause", json={"reason": "stocktaking"}))
    accepted(api.post(f"/accounts/{tenant}/demo-shop/resume"))
    problem(api.post(f"/accounts/{tenant}/nobody/pause"), 404, "account")
    body = {"tenant": tenant, "account": "demo-shop", "kind": "product", "hub_id": "7", "remote_id": "gid://8"}
    made = [
        accepted(api.post("/matches", json=body)),
        accepted(api.patch("/matches/product/7", json={k: body[k] for k in ("tenant", "account", "remote_id")})),
        accepted(api.delete("/matches/product/7", params={"tenant": tenant, "account": "demo-shop"})),
    ]
    actions = [shown(api, f"/jobs/{one['job_id']}", one["token"])["job"]["params"]["action"] for one in made]
    assert actions == ["create", "correct", "delete"]


def test_a_deleted_job_is_gone_for_good(
    *, system: Any, api: httpx.Client, connection: Any, stream: Any, tenant: str, wait_until: Any
) -> None:
    def read(copies: int) -> None:
        seen = "SELECT count(*) FROM tracker.event WHERE tenant = %s"
        wait_until(lambda: connection.execute(seen, [tenant]).fetchone()[0] == copies, "the log is not read")

    events = stream.job(1, attempts=1, progresses=2)
    job, running = events[0]["subject"], stream.job(2, finished=False)
    system.send([*events, *running])
    read(len(events) + len(running))
    problem(api.delete(f"/jobs/{running[0]['subject']}"), 409)
    token = accepted(api.delete(f"/jobs/{job}", params={"reason": "a trial"}, headers={"Jobtrail-Actor": "Lan"}))[
        "token"
    ]
    problem(api.get(f"/jobs/{job}", params={"wait_for": token}), 404)
    problem(api.delete(f"/jobs/{job}"), 404)
    system.send(events)  # late copies of all that was ever said of it
    read(2 * len(events) + len(running) + 1)
    for part in ("", "/events", "/items", "/family"):
        problem(api.get(f"/jobs/{job}{part}"), 404)
    assert shown(api, "/stats", tenant=tenant)["by_status"] == {"RUNNING": 1}
    for query in ({"tenant": tenant}, {"tenant": tenant, "text": job}, {"chain": events[0]["correlationid"]}):
        assert job not in [one["job_id"] for one in shown(api, "/jobs", **query)["jobs"]]


@pytest.fixture
def ghost(system: Any, api: httpx.Client, stream: Any, wait_until: Any) -> Callable[..., str]:
    """Makes a job that is known from one stray event alone; its id."""

    def make(number: int, index: int, job_type: str, topic: str | None = None) -> str:
        event = stream.job(number)[index]
        event["data"]["job"]["type"] = job_type
        system.send([event], topic)
        wait_until(lambda: answers(f"{api.base_url}/jobs/{event['subject']}"), "the stray event is not read")
        return event["subject"]

    return make


@pytest.mark.parametrize(("index", "status"), [(2, "RUNNING"), (1, "RUNNING"), (0, "PENDING")])
def test_cancel_tells_the_service_what_job_it_is(
    *, api: httpx.Client, connection: Any, system: Any, ghost: Any, tenant: str, index: int, status: str
) -> None:
    """Only so can a service that does not hold the job write an end which describes it."""
    job = ghost(11, index, "AUTO_MATCH_PRODUCTS")
    row = shown(api, f"/jobs/{job}")["job"]
    assert row["status"] == status
    token = accepted(api.post(f"/jobs/{job}/cancel", json={"reason": "nobody has it"}))["token"]
    shown(api, f"/jobs/{job}", token)
    find = "SELECT topic, body FROM tracker.event WHERE job_id = %s AND type = 'job.cancel.v1'"
    ((topic, body),) = connection.execute(find, [job]).fetchall()
    assert topic == system.topics.requests("matcher")
    assert json.loads(body)["job"] == {"type": "AUTO_MATCH_PRODUCTS", "account": row["account"]}


def test_a_job_of_an_unknown_type_goes_to_the_service_that_it_was_requested_from(
    *, api: httpx.Client, connection: Any, system: Any, ghost: Any
) -> None:
    job = ghost(12, 0, "TYPE_OF_TOMORROW", system.topics.requests("syncer"))
    problem(api.delete(f"/jobs/{job}"), 409)
    token = accepted(api.post(f"/jobs/{job}/cancel"))["token"]
    shown(api, f"/jobs/{job}", token)
    find = "SELECT topic FROM tracker.event WHERE job_id = %s AND type = 'job.cancel.v1'"
    assert connection.execute(find, [job]).fetchall() == [(system.topics.requests("syncer"),)]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_job_that_no_service_could_end_is_deleted_as_it_is(*, api: httpx.Client, ghost: Any, index: int) -> None:
    """No advice in a circle: each refusal names what works."""
    job = ghost(13, index, "TYPE_OF_NOBODY")
    for verb in ("cancel", "pause", "resume"):
        refused = problem(api.post(f"/jobs/{job}/{verb}"), 409)
        assert f"DELETE /jobs/{job}" in refused["detail"] and "TYPE_OF_NOBODY" in refused["detail"]
    token = accepted(api.delete(f"/jobs/{job}"))["token"]
    problem(api.get(f"/jobs/{job}", params={"wait_for": token}), 404)


def test_a_match_is_edited_by_the_former_names_of_its_ids(*, api: httpx.Client, tenant: str) -> None:
    place = {"tenant": tenant, "account": "demo-shop"}
    former = {"nhanh_id": "7", "shopify_id": "gid://8"}
    present = {"hub_id": "7", "platform": "shopify", "remote_id": "gid://8"}
    made = [
        accepted(api.post("/matches", json={**place, "kind": "product", **former})),
        accepted(api.patch("/matches/product/7", json={**place, "shopify_id": "gid://8"})),
    ]
    for one in made:
        params = shown(api, f"/jobs/{one['job_id']}", one["token"])["job"]["params"]
        assert {name: params[name] for name in present} == present
    problem(api.post("/matches", json={**place, "kind": "product", **former, "hub_id": "7"}), 422, "nhanh_id")

    # A stored request keeps its form, and a retry may name the fields as they are now.
    edit = {"type": "EDIT_MATCH", **place, "params": {"action": "create", "kind": "product", **former}}
    job = accepted(api.post("/jobs", json=edit))
    assert shown(api, f"/jobs/{job['job_id']}", job["token"])["job"]["params"] == edit["params"]
