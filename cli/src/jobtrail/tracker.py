"""A client of the tracker's API for people's commands."""

from collections.abc import Iterator
from typing import Any

import httpx

from jobtrail.errors import Refused

Json = dict[str, Any]


class Tracker:
    """Talks to one tracker. Problems come back as one sentence with the field that is wrong."""

    def __init__(self, address: str, actor: str = "cli") -> None:
        self.address = address
        self._http = httpx.Client(base_url=address, timeout=15, headers={"Jobtrail-Actor": actor})

    def get(self, path: str, **params: Any) -> Json:
        """GET a resource; parameters that are None are left out."""
        return self._ask("GET", path, params={key: value for key, value in params.items() if value is not None})

    def post(self, path: str, body: Json | None = None, idempotency_key: str | None = None) -> Json:
        """POST a command."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._ask("POST", path, json=body or {}, headers=headers)

    def jobs(self, limit: int, **filters: Any) -> Iterator[Json]:
        """Up to `limit` jobs, newest first, over as many pages as that takes."""
        for page in self.pages(limit, **filters):
            yield from page["jobs"]

    def pages(self, limit: int, **filters: Any) -> Iterator[Json]:
        """The pages that hold the first `limit` jobs. Where no index serves the filters they may be many and short."""
        cursor: str | None = None
        while limit > 0:
            page = self.get("/jobs", limit=min(limit, 200), cursor=cursor, **filters)
            limit -= len(page["jobs"])
            yield page
            cursor = page["next"]
            if not cursor:
                return

    def _ask(self, method: str, path: str, **more: Any) -> Json:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"The tracker at {self.address} does not answer ({type(error).__name__}); is it up?"
            ) from None
        if answer.is_success:
            return answer.json()
        raise Refused(_sentence(answer))


class Unreachable(Refused):
    """The API did not answer at all; asking again may help."""


def _sentence(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        fields = "; ".join(f"{e['field']}: {e['reason']}" for e in problem.get("errors", []))
        said = problem.get("detail") or problem.get("title") or answer.reason_phrase
        return f"{said} ({fields})" if fields and fields not in said else str(said)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The tracker answered {answer.status_code} {answer.reason_phrase}"
