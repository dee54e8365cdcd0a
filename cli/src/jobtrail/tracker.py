"""A client of the tracker's API."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from job_events.texts import printable, with_texts
from jobtrail import answers
from jobtrail.errors import NotFound, TrackerUnreachable, UserError

Json = dict[str, Any]
Shape = TypeVar("Shape", bound=Struct)
PAGE = 200  # the largest page of the API
LONGEST_SENTENCE = 2000  # characters of a problem that are repeated
NO_PROJECTOR = "no projector runs"
LATE_SECONDS = 5.0  # after which the API reports a silent projector as not alive


@dataclass(frozen=True, slots=True)
class History:
    """The first events of a job, in log order; `total_text` counts all events."""

    events: list[Json]
    total_text: str
    more: bool


class Tracker:
    """The client of one tracker. A problem raises a UserError with one sentence and the invalid field.

    `freshness` is that of the last answer or problem that had one.
    """

    def __init__(self, address: str, actor: str = "cli") -> None:
        self.address = shown(address)
        self.freshness: Json = {}
        self._http = httpx.Client(base_url=address, timeout=15, headers={"Jobtrail-Actor": actor})

    def get(self, path: str, shape: type[Struct], **params: Any) -> Json:
        """GET a resource that has at least the fields of `shape`; parameters that are None are left out."""
        given = {key: value for key, value in params.items() if value is not None}
        return self._checked(self._request("GET", path, params=given), shape)

    def read(self, path: str, shape: type[Shape], **params: Any) -> Shape:
        """As `get`, converted to `shape`."""
        return msgspec.convert(self.get(path, shape, **params), shape)

    def post(self, path: str, body: Json | None = None, idempotency_key: str | None = None) -> Json:
        """POST a request for a new job; the answer has its `job_id`."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._checked(self._request("POST", path, json=body or {}, headers=headers), answers.Accepted)

    def command(self, path: str, reason: str) -> None:
        """POST a command to a job, a queue or an account."""
        self._request("POST", path, json={"reason": reason})

    def delete_job(self, job_id: str, reason: str) -> None:
        """DELETE a finished job."""
        self._request("DELETE", job_path(job_id), params={"reason": reason})

    def delete_jobs(self, body: Json) -> Iterator[answers.Deletion]:
        """Delete finished jobs page by page; each page is deleted when it is asked for.

        Raises:
            UserError: a page names itself as the next one.
        """
        cursor: str | None = None
        while True:
            asked = body | ({"cursor": cursor} if cursor else {})
            page = self._checked(self._request("POST", "/jobs/delete", json=asked), answers.Deletion)
            yield (found := msgspec.convert(page, answers.Deletion))
            if not found.next:
                return
            if found.next == cursor:
                raise UserError(f"The server at {self.address} is not a tracker: a page names itself as the next one")
            cursor = found.next

    def jobs(self, limit: int, **filters: Any) -> Iterator[Json]:
        """Up to `limit` jobs, newest first, over as many pages as that takes."""
        for page in self.pages(limit, **filters):
            yield from page["jobs"]

    def pages(self, limit: int, **filters: Any) -> Iterator[Json]:
        """The pages that hold the first `limit` jobs. Filters without an index may give many short pages."""
        cursor: str | None = None
        while limit > 0:
            page = self.get("/jobs", answers.JobsPage, limit=min(limit, PAGE), cursor=cursor, **filters)
            limit -= len(page["jobs"])
            yield page
            cursor = page["next"]
            if not cursor:
                return

    def job(self, job_id: str) -> Json:
        """One job with all fields.

        Raises:
            NotFound: the table does not hold it, or not yet.
        """
        return self.get(job_path(job_id), answers.JobAnswer)["job"]

    def history(self, job_id: str, most: int) -> History:
        """The first `most` events of a job, over as many pages as that takes."""
        events, last = self._collect(job_path(job_id, "events"), "events", answers.EventsPage, most)
        total = f"{last['total']:,}" if last["total_exact"] else f"more than {last['total']:,}"
        return History(events, total, bool(last["next"]))

    def items(self, job_id: str, most: int, **filters: Any) -> tuple[list[Json], bool]:
        """The first `most` items of a job that match, and whether there are more."""
        items, last = self._collect(job_path(job_id, "items"), "items", answers.ItemsPage, most, **filters)
        return items, bool(last["next"])

    def matches(self, most: int, **filters: Any) -> tuple[list[Json], Json]:
        """The first `most` matches, and their last page."""
        return self._collect("/matches", "matches", answers.MatchesPage, most, **filters)

    def schedules(self, most: int, **filters: Any) -> tuple[list[answers.Schedule], answers.SchedulesPage]:
        """The first `most` schedules, newest first, and their last page."""
        found, last = self._collect("/schedules", "schedules", answers.SchedulesPage, most, **filters)
        return msgspec.convert(found, list[answers.Schedule]), msgspec.convert(last, answers.SchedulesPage)

    def schedule(self, schedule_id: str, runs: int) -> answers.ScheduleWithRuns:
        """A schedule with its last runs.

        Raises:
            NotFound
        """
        return self.read(schedule_path(schedule_id), answers.ScheduleWithRuns, runs=runs)

    def add_schedule(self, body: Json) -> answers.Schedule:
        """POST a new schedule."""
        made = self._checked(self._request("POST", "/schedules", json=body), answers.ScheduleAnswer)
        return msgspec.convert(made, answers.ScheduleAnswer).schedule

    def delete_schedule(self, schedule_id: str) -> None:
        """DELETE a schedule."""
        self._request("DELETE", schedule_path(schedule_id))

    def total(self, path: str, **filters: Any) -> int:
        """How many entries a list with an exact total has."""
        return self.read(path, answers.Total, limit=1, **filters).total

    def _collect(self, path: str, name: str, shape: type[Struct], most: int, **filters: Any) -> tuple[list[Json], Json]:
        """The first `most` entries of a list, and their last page."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            page = self.get(path, shape, limit=min(most - len(found), PAGE), cursor=cursor, **filters)
            found += page[name]
            cursor = page["next"]
            if not cursor or len(found) >= most:
                return found, page

    def _request(self, method: str, path: str, **more: Any) -> Json:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise TrackerUnreachable(
                f"The tracker at {self.address} does not answer ({type(error).__name__}); is it up?"
            ) from None
        except UnicodeEncodeError:
            # Bytes from the shell that are not UTF-8 are lone surrogates, which a request cannot hold.
            raise UserError("The request holds bytes that are not UTF-8") from None
        try:
            # Strict: Python's own parser accepts NaN, which a request cannot hold.
            found = with_texts(msgspec.json.decode(answer.content), printable)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            found = None
        if isinstance(found, dict) and answers.lacks(found.get("freshness"), answers.Freshness) is None:
            self.freshness = found["freshness"]
        if not answer.is_success:
            raise PROBLEMS.get(answer.status_code, UserError)(_sentence(answer, found))
        if not isinstance(found, dict):
            raise UserError(f"The server at {self.address} is not a tracker: it sends no JSON object")
        return found

    def _checked(self, found: Json, shape: type[Struct]) -> Json:
        if lacking := answers.lacks(found, shape):
            raise UserError(f"The server at {self.address} is not a tracker that this command can read: {lacking}")
        return found


def shown(address: str) -> str:
    """An address without user and password, for output."""
    return str(httpx.URL(address).copy_with(username="", password=""))


PROBLEMS: dict[int, type[UserError]] = {404: NotFound, 503: TrackerUnreachable}


def job_path(job_id: str, part: str = "") -> str:
    """The path of a job or of a part of it, with the id quoted."""
    return f"/jobs/{_quoted(job_id)}" + (f"/{part}" if part else "")


def schedule_path(schedule_id: str, part: str = "") -> str:
    """The path of a schedule or of a command to it, with the id quoted."""
    return f"/schedules/{_quoted(schedule_id)}" + (f"/{part}" if part else "")


def account_path(tenant: str, account: str, verb: str) -> str:
    """The path of a command to an account, with the names quoted."""
    return f"/accounts/{_quoted(tenant)}/{_quoted(account)}/{verb}"


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")


def _sentence(answer: httpx.Response, problem: Any) -> str:
    try:
        said = str(problem.get("detail") or problem.get("title") or answer.reason_phrase)
        fields = [f"{e['field']}: {e['reason']}" for e in problem.get("errors", []) if e["reason"] not in said]
        sentence = f"{said} ({'; '.join(fields)})" if fields else said
        return sentence if len(sentence) <= LONGEST_SENTENCE else f"{sentence[:LONGEST_SENTENCE]} ..."
    except (KeyError, TypeError, AttributeError):
        return f"The tracker answered {answer.status_code} {answer.reason_phrase}"


def staleness(freshness: Json) -> str:
    """How far an answer is behind the log, and why; empty for a fresh answer and for one without freshness."""
    if not freshness:
        return ""
    alive, lag = freshness["alive"], freshness["lag_seconds"]
    if alive and lag is not None and lag < LATE_SECONDS:
        return ""
    since = "as of an unknown time" if lag is None else f"as of {freshness['as_of']}, {lag:,.0f} s behind"
    missing = f", {freshness['lag_events']:,} events missing" if freshness["lag_events"] else ""
    return since + missing + ("" if alive else f"; {NO_PROJECTOR}")
