"""Held items and stopped runs: what is said of them, and the requests that approve or take back their changes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from rich.console import Console

from jobtrail.tables import Jobs, note_text

Make = Callable[..., dict[str, Any]]
ID = "01980000-aaaa-7bbb-8ccc-0123456789ab"
TOKEN = "plan-1"
ERROR = {"category": "CHANGE_TOO_LARGE", "code": "ITEMS_HELD", "message": "3 items wait"}
HELD = {
    "job_id": ID,
    "type": "PRODUCT_SYNC",
    "tenant": "t",
    "account": "lan-shop",
    "status": "MIXED",
    "outcome": "partial",
    "error_category": "CHANGE_TOO_LARGE",
    "error_code": "ITEMS_HELD",
    "error": ERROR,
    "held": 3,
    "params": {"only": ["7"]},
    "metadata": {"held": 3, "planToken": TOKEN},
}
SYNC_OF = {"products": "PRODUCT_SYNC", "customers": "CUSTOMER_SYNC"}


class Api:
    """Answers with its jobs, and keeps the bodies that it is sent."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = jobs
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.url.path == "/jobs"
            self.bodies.append(json.loads(request.content))
            return httpx.Response(202, json={"job_id": f"new-{len(self.bodies)}"})
        if request.url.path == "/jobs":
            assert (request.url.params["tenant"], request.url.params["account"]) == ("t", "lan-shop")
            page = {"jobs": self.jobs, "next": None, "total_text": str(len(self.jobs)), "partial": False}
            return httpx.Response(200, json=page)
        if request.url.path.endswith("/events"):
            return httpx.Response(200, json={"events": [], "next": None, "total": 0, "total_exact": True})
        found = [job for job in self.jobs if request.url.path == f"/jobs/{job['job_id']}"]
        return httpx.Response(200, json={"job": found[0]}) if found else httpx.Response(404, json={"detail": "unknown"})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"held": 3, "error_code": "ITEMS_HELD"}, "3 held"),
        ({"held": 1234, "error_code": "ITEMS_HELD"}, "1,234 held"),
        ({"held": None, "error_code": "CHANGE_TOO_LARGE"}, "stopped: too large"),
        ({"held": 3, "error_code": "WOULD_STOP"}, "would stop"),
        ({"held": 0, "error_code": None}, ""),
        ({"error_code": "TIMEOUT"}, ""),
        ({}, ""),
    ],
)
def test_a_list_notes_what_waits_for_a_person(job: Make, fields: dict[str, Any], said: str) -> None:
    assert note_text(job(**fields)) == said
    console = Console(width=160, record=True)
    console.print(Jobs([job(**fields)], datetime(2026, 1, 3, tzinfo=UTC)))
    assert said in console.export_text()


@pytest.mark.parametrize("command", ["show", "watch"])
@pytest.mark.parametrize("token", [TOKEN, None])
def test_the_next_command_is_told_where_there_is_one(
    api: Any, run: Any, job: Make, command: str, token: str | None
) -> None:
    api(Api(job(**HELD | {"metadata": {"planToken": token} if token else {}})))
    ended = run("jobs", command, ID)
    assert ended.code == 0
    assert (f"jobtrail jobs confirm {ID}\n" in ended.out) == (token is not None)
    assert "3 held" in ended.out


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"only": ["7"]}, {"only": ["7"], "confirm": TOKEN}),
        ({"dry_run": True}, {"confirm": TOKEN}),
        ({"confirm": "older"}, {"confirm": TOKEN}),
    ],
)
def test_a_confirmation_is_the_same_job_with_the_token(
    api: Any, run: Any, job: Make, params: dict[str, Any], sent: dict[str, Any]
) -> None:
    asked = Api(job(**HELD | {"params": params}))
    api(asked)
    ended = run("jobs", "confirm", ID)
    assert ended.code == 0
    assert asked.bodies == [{"type": "PRODUCT_SYNC", "tenant": "t", "account": "lan-shop", "params": sent}]
    assert f"Approves 3 held items of PRODUCT_SYNC {ID}\n" in ended.out
    assert "jobtrail jobs watch new-1" in ended.out


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"held": 1}, "Approves 1 held item of"),
        ({"wouldUpdate": 1234}, "Approves 1,234 changes of"),
        ({"tooLarge": "9 of 10 fall"}, "Approves the changes shown (9 of 10 fall) of"),
        ({}, "Approves the changes shown (3 items wait) of"),
    ],
)
def test_a_confirmation_says_how_much_it_approves(
    api: Any, run: Any, job: Make, metadata: dict[str, Any], said: str
) -> None:
    api(Api(job(**HELD | {"metadata": metadata | {"planToken": TOKEN}})))
    assert said in run("jobs", "confirm", ID).out


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metadata": {}}, "has no plan token"),
        ({"metadata": {"planToken": ""}}, "has no plan token"),
        ({"state": "running"}, "is running"),
        ({"params": None}, "cannot be confirmed"),
    ],
)
def test_a_job_without_a_token_cannot_be_confirmed(
    api: Any, run: Any, job: Make, fields: dict[str, Any], said: str
) -> None:
    asked = Api(job(**HELD | fields))
    api(asked)
    ended = run("jobs", "confirm", ID)
    assert (ended.code, asked.bodies) == (1, [])
    assert said in ended.err and len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("chain", ["products", "customers"])
def test_a_confirmation_reaches_the_sync_of_a_chain(api: Any, run: Any, job: Make, chain: str) -> None:
    asked = Api(job(job_id="other", outcome="partial"), job(**HELD | {"type": SYNC_OF[chain]}))
    api(asked)
    arguments = ("--tenant", "t", "--account", "lan-shop", "--confirm", TOKEN, "--dry-run")
    assert run("jobs", "start", chain, *arguments).code == 0
    assert [body["params"] for body in asked.bodies] == [{}, {}]
    for body in asked.bodies:
        (match,) = body["then"]
        (sync,) = match["then"]
        assert match.get("params", {}) == {}
        assert (sync["type"], sync["params"]) == (SYNC_OF[chain], {"confirm": TOKEN, "dry_run": True})


def test_a_confirmation_of_a_pull_reaches_that_pull_alone(api: Any, run: Any, job: Make) -> None:
    asked = Api(job(**HELD | {"type": "PULL_SHOPIFY_PRODUCTS", "status": "FAILED", "outcome": "failure"}))
    api(asked)
    params = ("--params", '{"page_size": 5}')
    assert (
        run("jobs", "start", "products", "--tenant", "t", "--account", "lan-shop", "--confirm", TOKEN, *params).code
        == 0
    )
    assert {body["type"]: body["params"] for body in asked.bodies} == {
        "PULL_NHANH_PRODUCTS": {"page_size": 5},
        "PULL_SHOPIFY_PRODUCTS": {"page_size": 5, "confirm": TOKEN},
    }
    assert "confirm" not in json.dumps([body["then"] for body in asked.bodies])


@pytest.mark.parametrize(
    ("what", "token", "said"),
    [
        ("products", "unknown", "None of the newest 1,000 jobs of t/lan-shop has the plan token 'unknown'"),
        ("customers", TOKEN, "to a PRODUCT_SYNC, which this chain does not run"),
        ("EDIT_MATCH", TOKEN, "EDIT_MATCH takes no plan token"),
    ],
)
def test_a_token_that_does_not_fit_starts_no_job(
    api: Any, run: Any, job: Make, what: str, token: str, said: str
) -> None:
    asked = Api(job(**HELD))
    api(asked)
    ended = run("jobs", "start", what, "--tenant", "t", "--account", "lan-shop", "--confirm", token)
    assert (ended.code, asked.bodies) == (1, [])
    assert said in ended.err


def test_a_single_job_takes_its_token_as_it_is(api: Any, run: Any) -> None:
    asked = Api()
    api(asked)
    assert run("jobs", "start", "PRODUCT_SYNC", "--account", "lan-shop", "--confirm", TOKEN).code == 0
    assert asked.bodies[0]["params"] == {"confirm": TOKEN}


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ([], {}),
        (["--dry-run"], {"dry_run": True}),
        (["--only", "7", "--only", "8"], {"only": ["7", "8"]}),
    ],
)
def test_a_sync_is_taken_back(api: Any, run: Any, job: Make, options: list[str], more: dict[str, Any]) -> None:
    asked = Api(job(**HELD))
    api(asked)
    ended = run("jobs", "revert", ID, *options)
    assert ended.code == 0
    assert asked.bodies == [
        {"type": "REVERT_SYNC", "tenant": "t", "account": "lan-shop", "params": {"job_id": ID, **more}}
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": "PULL_NHANH_PRODUCTS"}, f"{ID} is a PULL_NHANH_PRODUCTS; only a sync can be reverted"),
        ({"type": "REVERT_SYNC"}, "is a REVERT_SYNC"),
        ({"state": "running"}, "is running"),
        ({"params": {"dry_run": True}}, "wrote nothing"),
    ],
)
def test_only_a_finished_sync_is_reverted(api: Any, run: Any, job: Make, fields: dict[str, Any], said: str) -> None:
    asked = Api(job(**HELD | fields))
    api(asked)
    ended = run("jobs", "revert", ID)
    assert (ended.code, asked.bodies) == (1, [])
    assert said in ended.err and len(ended.err.splitlines()) == 1


def test_a_revert_may_be_started_dry_as_any_sync(api: Any, run: Any) -> None:
    asked = Api()
    api(asked)
    params = ("--params", json.dumps({"job_id": ID}))
    assert run("jobs", "start", "REVERT_SYNC", "--account", "lan-shop", "--dry-run", *params).code == 0
    assert asked.bodies[0]["params"] == {"job_id": ID, "dry_run": True}
