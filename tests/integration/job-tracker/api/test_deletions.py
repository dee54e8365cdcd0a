"""Deleting finished jobs that are older than a date."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.api_answers import accepted, problem, shown

Json = dict[str, Any]
ENDED = datetime.fromisoformat("2026-03-01T08:30:00Z")


class History:
    """Jobs of one tenant that end at a time and with an outcome of the test's choice."""

    def __init__(self, api: httpx.Client, system: Any, stream: Any, tenant: str) -> None:
        self._api, self._system, self._stream, self._tenant = api, system, stream, tenant
        self._made = 0

    def job(self, ended: datetime | None, outcome: str = "success", account: str = "shop", **envelope: str) -> str:
        """A job; ended: None for one that runs."""
        self._made += 1
        events = self._stream.job(self._made, attempts=1, progresses=1, finished=True)
        if ended is None:
            events.pop()
        else:
            events[-1]["time"] = ended.isoformat(timespec="microseconds").replace("+00:00", "Z")
            events[-1]["data"] |= {"outcome": outcome, "error": None}
        for event in events:
            event["data"]["job"]["account"] = account
            event.update(envelope)
        self._system.send(events)
        return events[0]["subject"]

    def ids(self, token: str | None = None) -> set[str]:
        """The jobs that the table holds."""
        listed = shown(self._api, "/jobs", token, tenant=self._tenant, limit=200)["jobs"]
        return {job["job_id"] for job in listed}

    def delete(self, before: datetime, **more: Any) -> Json:
        body = {"finished_before": before.isoformat(), "tenant": self._tenant, **more}
        return accepted(self._api.post("/jobs/delete", json=body))

    def delete_all(self, before: datetime, **more: Any) -> list[Json]:
        """Page by page."""
        answers = [self.delete(before, **more)]
        while answers[-1]["next"]:
            answers.append(self.delete(before, cursor=answers[-1]["next"], **more))
        return answers


@pytest.fixture
def history(api: httpx.Client, system: Any, stream: Any, tenant: str) -> History:
    return History(api, system, stream, tenant)


def test_old_finished_jobs_are_deleted_page_by_page_and_no_other(
    *, api: httpx.Client, history: History, wait_until: Any
) -> None:
    day = timedelta(days=1)
    old = {history.job(ENDED, outcome) for outcome in ("success", "partial", "failure", "cancelled", "skipped")}
    # Created at about the same time, but one ended later, one exactly at the date, and one runs still.
    kept = {history.job(ENDED + 2 * day), history.job(ENDED + day), history.job(None)}
    wait_until(lambda: history.ids() == old | kept, "the jobs were not read")
    answers = history.delete_all(ENDED + day, limit=2, reason="tidy up")
    assert sum(answer["deleted"] for answer in answers) == 5
    assert sum(answer["checked"] for answer in answers) == answers[0]["total"] == 7
    assert max(answer["deleted"] for answer in answers) <= 2
    wait_until(lambda: history.ids() == kept, "the jobs are not gone")
    assert history.ids(answers[0]["token"]) == kept
    for job in old:
        problem(api.get(f"/jobs/{job}"), 404)
    # Nothing is left to delete, and nothing is deleted twice.
    assert [(one["deleted"], one["next"]) for one in history.delete_all(ENDED + day)] == [(0, None)]


def test_only_what_the_filters_say(*, history: History, wait_until: Any) -> None:
    failed = history.job(ENDED, "failure")
    other = history.job(ENDED, "failure", account="other-shop")
    good = history.job(ENDED)
    wait_until(lambda: history.ids() == {failed, other, good}, "the jobs were not read")
    later = ENDED + timedelta(days=1)
    assert history.delete(later, account="nobody")["deleted"] == 0
    assert history.delete(later, type=["CUSTOMER_SYNC"])["deleted"] == 0
    answer = history.delete(later, account="shop", status=["FAILED", "CANCELLED"])
    assert answer["deleted"] == 1
    assert history.ids(answer["token"]) == {other, good}


def test_the_rest_of_a_chain_stays_readable(*, api: httpx.Client, history: History, wait_until: Any) -> None:
    parent = history.job(ENDED, correlationid="chain-of-three")
    child = history.job(ENDED + timedelta(days=3), correlationid="chain-of-three", causationid=parent)
    grandchild = history.job(None, correlationid="chain-of-three", causationid=child)
    wait_until(lambda: len(history.ids()) == 3, "the jobs were not read")
    answer = history.delete(ENDED + timedelta(days=1))
    assert answer["deleted"] == 1
    family = shown(api, f"/jobs/{child}/family", answer["token"])
    assert [job["job_id"] for job in family["chain"]] == [child, grandchild]
    assert [job["job_id"] for job in family["children"]] == [grandchild]
    assert family["parents"] == []
    assert shown(api, f"/jobs/{child}")["job"]["parent"] == parent


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"finished_before": "2026-03-01T00:00:00"}, "finished_before"),
        ({"finished_before": "yesterday"}, "finished_before"),
        ({"finished_before": None}, "finished_before"),
        ({"status": ["RUNNING"]}, "status[0]"),
        ({"status": []}, "status"),
        ({"limit": 100_000}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"older_than": "90d"}, "older_than"),
    ],
)
def test_bad_input_deletes_nothing(
    *, api: httpx.Client, history: History, wait_until: Any, change: Json, field: str
) -> None:
    job = history.job(ENDED)
    wait_until(lambda: history.ids() == {job}, "the job was not read")
    body = {"finished_before": "2026-03-02T00:00:00Z", **change}
    problem(api.post("/jobs/delete", json=body), 422, field)
    problem(api.post("/jobs/delete"), 422)
    assert history.ids() == {job}
