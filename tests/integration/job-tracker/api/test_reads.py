"""Reads of the API: lists, timelines, items, dead letters, metrics, and invalid questions."""

import base64
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import httpx
from tests.api_answers import problem, shown


def test_unknown_things_and_broken_questions_are_problems(*, api: httpx.Client) -> None:
    problem(api.get("/jobs/nothing"), 404, "job_id")
    problem(api.get("/nowhere"), 404)
    problem(api.put("/jobs"), 405)
    problem(api.get("/jobs", params={"limit": 201}), 422, "limit")
    problem(api.get("/jobs", params={"cursor": "x"}), 422, "cursor")
    problem(api.get("/jobs", params={"tenant": ""}), 422, "tenant")
    problem(api.get("/jobs", params={"tenant": "demo", "account": ""}), 422, "account")
    naive = base64.urlsafe_b64encode(b'["2026-01-01T00:00:00","t",0,0]').decode()
    problem(api.get("/jobs/nothing/events", params={"cursor": naive}), 422, "cursor")
    problem(api.get("/jobs", params={"cursor": base64.b64encode(b"[" * 1200).decode()}), 422, "cursor")
    problem(api.get("/jobs", params={"status": "LOST"}), 422, "status[0]")
    problem(api.get("/jobs", params={"from": "2026-01-01T00:00:00"}), 422, "from")
    problem(api.get("/jobs", params={"wait_for": "x"}), 422, "wait_for")
    problem(api.get("/jobs/a%00b"), 422)
    misspelt = problem(api.get("/jobs", params={"limit": 1, "stauts": "RUNNING"}), 422, "stauts")
    assert "status" in misspelt["detail"]
    assert api.head("/stats", params={"types": "A"}).status_code == 422
    problem(api.get("/jobs/nothing", params={"cursor": "x"}), 422, "cursor")
    problem(api.post("/jobs", content=b"{", headers={"content-type": "application/json"}), 422)
    grown = b'{"type":"PULL_NHANH_PRODUCTS","tenant":"a","account":"b","params":{"filters":{"a":[%b1]}}}'
    problem(api.post("/jobs", content=grown % (b"1e15," * 190_000), headers={"content-type": "application/json"}), 422)
    problem(api.post("/jobs", content=b"x" * 1_100_000), 413)
    problem(api.post("/jobs", content=iter([b"x" * 100_000] * 11)), 413)  # in chunks, without a length
    assert shown(api, "/stats", to="0001-01-05")["by_day_from"] == "0001-01-01"
    assert shown(api, "/stats", **{"from": "2024-01-01", "to": "2025-12-31"})["by_day_from"] == "2024-12-31"


def test_addresses_are_described_as_they_answer(*, api: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/jobs"):
        head = api.head(path)
        assert (head.status_code, head.content) == (200, b"")
    described = api.get("/openapi.json")
    assert "HTTPValidationError" not in described.text
    for methods in described.json()["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]


def test_text_is_found_in_any_case_and_form(
    *, api: httpx.Client, system: Any, stream: Any, tenant: str, wait_until: Any
) -> None:
    for number, form in enumerate(("NFC", "NFD")):
        events = stream.job(number)
        for event in events:
            event["data"]["job"]["account"] = normalize(form, "Cửa hàng Áo ĐẸP")
        system.send(events)
    wait_until(lambda: shown(api, "/jobs", tenant=tenant)["total"] == 2, "a job is missing")
    for text in ("áo đẹp", "CỬA HÀNG", normalize("NFD", "Áo"), "%"):
        found = shown(api, "/jobs", tenant=tenant, text=text)["jobs"]
        assert len(found) == 2 * (text != "%"), text


def test_lists_page_each_job_once(*, api: httpx.Client, system: Any, stream: Any, tenant: str, wait_until: Any) -> None:
    events = stream.jobs(30)
    system.send(events)
    ids = {event["subject"] for event in events}
    wait_until(lambda: shown(api, "/jobs", tenant=tenant)["total"] == len(ids), "not all jobs are there")
    for query in (
        {},
        {"status": ["COMPLETED", "FAILED"]},
        {"text": "SHOP-1"},
        {"type": "PRODUCT_SYNC"},
        {"type": "PRODUCT_SYNC", "account": "shop-1"},
    ):
        pages: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = shown(api, "/jobs", tenant=tenant, limit=7, **query, **({"cursor": cursor} if cursor else {}))
            pages += page["jobs"]
            cursor = page["next"]
            if cursor is None:
                break
        found = [job["job_id"] for job in pages]
        assert len(found) == len(set(found)) == page["total"]
        assert (page["partial"], page["scanned_to"]) == (False, None)
        assert [job["created_at"] for job in pages] == sorted((job["created_at"] for job in pages), reverse=True)
        assert {job["account"] for job in pages} == {"shop-1"} or "text" not in query
        assert {job["status"] for job in pages} <= {"COMPLETED", "FAILED"} or "status" not in query
    counted = shown(api, "/stats", tenant=tenant)
    assert counted["jobs"] == len(ids)
    for status, jobs in counted["by_status"].items():
        assert shown(api, "/jobs", status=status, tenant=tenant)["total"] == jobs


def test_the_timeline_judges_each_event(
    *, api: httpx.Client, system: Any, connection: Any, stream: Any, wait_until: Any
) -> None:
    request, start, first, second, end = stream.job(1, attempts=1, progresses=2)
    job = request["subject"]
    for event in (start, second, first, second, end, start):
        system.send([event])
    wait_until(lambda: api.get(f"/jobs/{job}/events").json().get("total") == 6, "events are missing")
    verdicts = [(event["event_id"], event["verdict"]) for event in shown(api, f"/jobs/{job}/events")["events"]]
    assert verdicts == [
        (start["id"], "applied"),
        (second["id"], "applied"),
        (first["id"], "superseded"),
        (second["id"], "duplicate"),
        (end["id"], "applied"),
        (start["id"], "duplicate"),
    ]
    page = shown(api, f"/jobs/{job}/events", limit=4)
    rest = shown(api, f"/jobs/{job}/events", limit=4, cursor=page["next"])
    assert [event["event_id"] for event in page["events"] + rest["events"]] == [name for name, _ in verdicts]
    # One that comes late, and lies before what was shown, moves no page.
    connection.execute(
        """INSERT INTO tracker.event SELECT (jsonb_populate_record(e, jsonb_build_object(
            'offset', 1000000, 'appended_at', appended_at - interval '1 ms'))).*
        FROM tracker.event e WHERE job_id = %s ORDER BY appended_at LIMIT 1""",
        [job],
    )
    later = shown(api, f"/jobs/{job}/events", limit=4, cursor=page["next"])["events"]
    assert [event["event_id"] for event in later] == [event["event_id"] for event in rest["events"]]
    assert page["events"][1]["data"] == second["data"]


def test_a_long_timeline_is_paged_whole(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    _, *events = stream.job(1, attempts=1, progresses=250)  # read in three pieces
    system.send(events)
    address = f"/jobs/{events[0]['subject']}/events"
    wait_until(lambda: api.get(address).json().get("total") == len(events), "events are missing")
    found: list[str] = []
    page = shown(api, address, limit=70)
    while True:
        found += [event["event_id"] for event in page["events"]]
        assert page["total_exact"]
        if page["next"] is None:
            break
        page = shown(api, address, limit=70, cursor=page["next"])
    assert found == [event["id"] for event in events]


def test_items_are_shown_and_paged(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    job = stream.job(1)
    system.send(job)
    name = job[0]["subject"]
    for number in range(12):
        data = {"job": job[0]["data"]["job"], "attempt": 0, "item": f"sku-{number}", "action": "updated"}
        event = stream.envelope("item.recorded.v1", name, f"{name}/sku-{number}/0", stream.start, data)
        system.send([event], system.topics.items)
    # Jobs and items have a projector each: an item may be there before its job.
    wait_until(lambda: api.get(f"/jobs/{name}").status_code == 200, "the job is missing")
    wait_until(lambda: len(shown(api, f"/jobs/{name}/items")["items"]) == 12, "items are missing")
    first = shown(api, f"/jobs/{name}/items", limit=8)
    rest = shown(api, f"/jobs/{name}/items", limit=8, cursor=first["next"])
    assert len({item["event_id"] for item in first["items"] + rest["items"]}) == 12
    assert rest["next"] is None


def test_dead_letters_are_listed_and_metrics_told(*, api: httpx.Client, system: Any, wait_until: Any) -> None:
    for number in range(3):
        system.send_raw(b"\xff" + str(number).encode(), key=b"k")
    system.flush()
    listed: Callable[..., dict[str, Any]] = lambda **query: shown(api, "/dead-letters", **query)  # noqa: E731
    wait_until(lambda: len(listed()["dead_letters"]) == 3, "letters are missing")
    first = listed(limit=2)
    rest = listed(limit=2, cursor=first["next"])["dead_letters"]
    assert len({(one["partition"], one["offset"]) for one in first["dead_letters"] + rest}) == 3
    assert first["dead_letters"][0]["value"]["encoding"] == "base64"
    assert listed(consumer="puller")["dead_letters"] == []
    text = api.get("/metrics").text
    assert 'jobtrail_lag_events{projection="jobs"} 0.0' in text
    assert "jobtrail_api_requests_total" in text
