"""A token makes its effect readable wherever the answer says so; elsewhere it is refused, with what to do."""

from typing import Any

import httpx
import psycopg
import pytest
from tests.api_answers import accepted, problem, shown

from job_events.tokens import encode_token

JOB = "a-job"
READS = (
    *("/jobs", f"/jobs/{JOB}", f"/jobs/{JOB}/events", f"/jobs/{JOB}/family", "/stats"),
    *(f"/jobs/{JOB}/items", "/products", "/customers", "/matches", "/accounts", "/queues", "/dead-letters"),
)
NOT_FROM_THE_LOG = {"/products", "/customers", "/matches", "/accounts", "/queues"}


@pytest.fixture
def tokens(shared_api: httpx.Client, shop: dict[str, str]) -> dict[str, str]:
    """One token of each command that hands one out."""
    pull = {"type": "PULL_NHANH_PRODUCTS", **shop}
    job = accepted(shared_api.post("/jobs", json=pull))
    shown(shared_api, f"/jobs/{job['job_id']}", job["token"])
    match = {**shop, "kind": "product", "hub_id": "7", "remote_id": "8"}
    place = {name: match[name] for name in ("tenant", "account", "remote_id")}
    account = "/accounts/{tenant}/{account}".format(**shop)
    return {
        "start": job["token"],
        "pause": accepted(shared_api.post(f"/jobs/{job['job_id']}/pause"))["token"],
        "create match": accepted(shared_api.post("/matches", json=match))["token"],
        "correct match": accepted(shared_api.patch("/matches/product/7", json=place))["token"],
        "delete match": accepted(shared_api.delete("/matches/product/7", params=shop))["token"],
        "pause queue": accepted(shared_api.post("/queues/puller/pause"))["token"],
        "resume queue": accepted(shared_api.post("/queues/puller/resume"))["token"],
        "pause account": accepted(shared_api.post(f"{account}/pause"))["token"],
        "resume account": accepted(shared_api.post(f"{account}/resume"))["token"],
    }


@pytest.fixture
def job(shared_system: Any, shared_api: httpx.Client, make_stream: Any, wait_until: Any) -> dict[str, Any]:
    events = make_stream(1, "demo").job(1, attempts=1, progresses=0)
    for event in events:
        event["subject"] = JOB
    shared_system.send(events)
    wait_until(lambda: shared_api.get(f"/jobs/{JOB}").status_code == 200, "the job is missing")
    return events[0]


def test_no_read_takes_a_token_whose_effect_it_cannot_show(
    *, shared_api: httpx.Client, tokens: dict[str, str], job: Any
) -> None:
    assert job
    for name, token in tokens.items():
        for address in READS:
            answer = shared_api.get(address, params={"wait_for": token, "deadline": 30})
            if address in NOT_FROM_THE_LOG:
                detail = problem(answer, 422, "wait_for")["detail"]
                assert ("holds" if address == "/queues" else "wait for the job") in detail, name
            elif address.endswith("/items"):
                problem(answer, 422, "wait_for")
            else:
                assert answer.status_code == 200, (name, address, answer.text)


def test_a_token_that_is_not_reached_is_never_answered_with_200(
    *, shared_system: Any, shared_api: httpx.Client, job: Any
) -> None:
    assert job
    topics = shared_system.topics
    for topic in (*topics.lifecycle(), topics.items, topics.dead_letters):
        token = encode_token({(topic, 0): 10**9})
        for address in READS:
            answer = shared_api.get(address, params={"wait_for": token, "deadline": 0})
            assert answer.status_code in {422, 504}, (topic, address, answer.text)
            assert answer.status_code == 504 or "wait_for" in answer.text


def test_the_token_of_a_command_shows_its_effect(*, shared_api: httpx.Client, shop: dict[str, str]) -> None:
    body = {"type": "PULL_NHANH_PRODUCTS", **shop}
    for _ in range(5):
        made = accepted(shared_api.post("/jobs", json=body))
        token = {"wait_for": made["token"], "deadline": 30}
        listed = shared_api.get("/jobs", params={"tenant": shop["tenant"], **token}).json()["jobs"]
        assert made["job_id"] in [one["job_id"] for one in listed]
        made = accepted(shared_api.post("/jobs", json=body))
        counted = shared_api.get("/stats", params={"tenant": shop["tenant"], "wait_for": made["token"]}).json()["jobs"]
        listed = shown(shared_api, "/jobs", tenant=shop["tenant"])["total"]
        assert counted == listed
        family = shared_api.get(f"/jobs/{made['job_id']}/family", params={"wait_for": made["token"]}).json()
        assert [one["job_id"] for one in family["chain"]] == [made["job_id"]]


def letter(**data: Any) -> dict[str, Any]:
    place = {"partition": 1, "consumer": "matcher-agent", "reason": "no chunk", "topic": "matcher.chunks"}
    return {
        "type": "job.dead-letter.v1",
        "specversion": "1.0",
        "id": "x",
        "source": "jobtrail/matcher/agent",
        "time": "2026-03-01T08:00:00Z",
        "data": place | data,
    }


@pytest.fixture
def letters(shared_system: Any, shared_api: httpx.Client, wait_until: Any, request: Any) -> list[dict[str, Any]]:
    """Four letters of another service, in a topic of the test's own: two of them name a job."""
    import json

    topic = f"{shared_system.topics.prefix}{request.node.name}"
    for number in range(4):
        said = {"subject": "job-7"} if number % 2 else {}
        data = {"topic": topic, "offset": number, "value": json.dumps(said), "truncated": True}
        sized = {"value_bytes": 3_000_000} if number else {}
        shared_system.send_raw(json.dumps(letter(**data, **sized)).encode(), shared_system.topics.dead_letters)
    shared_system.flush()

    def listed() -> list[dict[str, Any]]:
        return shown(shared_api, "/dead-letters", topic=topic)["dead_letters"]

    wait_until(lambda: len(listed()) == 4, "letters are missing")
    return sorted(listed(), key=lambda one: one["offset"])


def test_a_letter_tells_the_true_size_and_the_job(*, shared_api: httpx.Client, letters: list[dict[str, Any]]) -> None:
    assert [one["value_bytes"] for one in letters] == [2, 3_000_000, 3_000_000, 3_000_000]
    assert [one["job_id"] for one in letters] == [None, "job-7", None, "job-7"]
    found = shown(shared_api, "/dead-letters", job_id="job-7", topic=letters[0]["topic"])["dead_letters"]
    assert {one["offset"] for one in found} == {1, 3}
    assert shown(shared_api, "/dead-letters", topic="nowhere")["dead_letters"] == []
    both = shown(shared_api, "/dead-letters", topic=letters[0]["topic"], consumer="puller")
    assert both["dead_letters"] == []


def test_an_acknowledged_letter_is_listed_only_when_asked_for(
    *, shared_api: httpx.Client, shared_connection: psycopg.Connection[Any], letters: list[dict[str, Any]]
) -> None:
    places = [{name: one[name] for name in ("topic", "partition", "offset", "consumer")} for one in letters]
    topic = letters[0]["topic"]

    def listed(**query: str) -> list[int]:
        rows = shown(shared_api, "/dead-letters", topic=topic, **query)["dead_letters"]
        return sorted(one["offset"] for one in rows)

    def acknowledge(letters: list[dict[str, Any]], reason: str, actor: str) -> httpx.Response:
        body = {"letters": letters, "reason": reason}
        return shared_api.post("/dead-letters/ack", json=body, headers=[("Jobtrail-Actor", actor.encode())])

    unknown = places[0] | {"offset": 99}
    problem(acknowledge([places[0], unknown], "", "Lan"), 404, "letters[1]")
    assert listed() == [0, 1, 2, 3]
    assert acknowledge([places[0], places[1], places[0]], "an old producer", "Bình").json() == {
        "acknowledged": 2,
        "already": 0,
    }
    assert acknowledge([places[1], places[2]], "again", "Lan").json() == {"acknowledged": 1, "already": 1}
    assert (listed(), listed(acknowledged="true"), listed(acknowledged="any")) == ([3], [0, 1, 2], [0, 1, 2, 3])
    rows = shown(shared_api, "/dead-letters", topic=topic, acknowledged="any")["dead_letters"]
    said = {one["offset"]: one["acknowledgement"] and one["acknowledgement"]["by"] for one in rows}
    assert said == {0: "Bình", 1: "Bình", 2: "Lan", 3: None}
    assert {one["offset"]: one["acknowledged"] for one in rows} == {0: True, 1: True, 2: True, 3: False}
    # A topic that was made anew gives the place to another record, which nobody has looked at.
    shared_connection.execute(
        'UPDATE tracker.dead_letter SET appended_at = now() WHERE topic = %s AND "offset" = 0', [topic]
    )
    assert listed() == [0, 3]
    assert acknowledge([places[0]], "the new one", "Lan").json() == {"acknowledged": 1, "already": 0}
    # With its letter an acknowledgement goes.
    shared_connection.execute("DELETE FROM tracker.dead_letter WHERE topic = %s", [topic])
    assert shared_connection.execute(
        "SELECT count(*) FROM tracker.dead_letter_ack WHERE topic = %s", [topic]
    ).fetchone() == (0,)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"letters": []}, "letters"),
        ({"letters": [{"topic": "a", "partition": 0, "offset": 0}]}, "letters[0].consumer"),
        ({"letters": [{"topic": "a", "partition": 0, "offset": 0, "consumer": "c", "x": 1}]}, "letters[0].x"),
        ({"letters": [{"topic": "a", "partition": 2**31, "offset": 0, "consumer": "c"}]}, "letters[0].partition"),
        ({"letters": [{"topic": "a", "partition": 0, "offset": "0", "consumer": "c"}]}, "letters[0].offset"),
        ({"letters": [{"topic": "a\0", "partition": 0, "offset": 0, "consumer": "c"}]}, "letters[0].topic"),
        ({"letters": [{"topic": "a", "partition": 0, "offset": 0, "consumer": "c"}], "why": "x"}, "why"),
    ],
)
def test_what_is_wrong_in_an_acknowledgement_is_named(
    *, shared_api: httpx.Client, body: dict[str, Any], field: str
) -> None:
    problem(shared_api.post("/dead-letters/ack", json=body), 422, field)


def test_letters_wait_for_tokens_of_the_log_that_they_are_made_from(
    *, shared_system: Any, shared_api: httpx.Client, job: Any
) -> None:
    for token in (
        shown(shared_api, "/jobs")["freshness"]["token"],
        shown(shared_api, f"/jobs/{JOB}/items")["freshness"]["token"],
    ):
        assert job and shown(shared_api, "/dead-letters", token)["freshness"]["token"]
