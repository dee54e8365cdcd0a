"""What a case talks to: the API of the running system, the control API of its sandbox, and the store of accounts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from platforms.accounts import AccountStore

TENANT = "safety"
PATIENCE_SECONDS = 400.0
POLL_SECONDS = 0.5
PAGE = 200
Json = dict[str, Any]


class Impossible(Exception):
    """The case cannot go on: something refused what it asks for, or did not come in time."""


def until(found: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """What `found` returns once it is true. Raises Impossible after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            raise Impossible(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return value


def _checked(response: httpx.Response) -> Any:
    if not response.is_success:
        raise Impossible(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
    return response.json()


@dataclass(frozen=True, slots=True)
class World:
    """The system that all cases share. Its clients may be used by several threads."""

    api: httpx.Client
    sandbox: httpx.Client
    accounts: AccountStore

    # --- the sandbox

    def control(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call the sandbox's control API."""
        return _checked(self.sandbox.request(method, f"/_sandbox/{path}", json=body, params=query))

    def calls(self, account: str, after: int) -> list[Json]:
        """The entries of the sandbox's log behind `after`, oldest first."""
        return self.control("GET", "requests", account=account, after=after)

    def records(self, account: str, platform: str, kind: str) -> list[Json]:
        """The stored documents of a kind."""
        return self.control("GET", f"records/{account}/{platform}/{kind}")

    # --- the system

    def get(self, path: str, **query: Any) -> Json:
        """One answer of the API."""
        return _checked(self.api.get(path, params=query))

    def every(self, path: str, name: str, **query: Any) -> list[Json]:
        """All members of a list."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            page = self.get(path, limit=PAGE, **query, **({"cursor": cursor} if cursor else {}))
            found += page[name]
            cursor = page["next"]
            if not cursor:
                return found

    def request(self, account: str, job_type: str, **body: Any) -> str:
        """Request a job; its id."""
        asked = {"type": job_type, "tenant": TENANT, "account": account, **body}
        return _checked(self.api.post("/jobs", json=asked))["job_id"]

    def finished(self, job_id: str) -> Json:
        """A job once it has finished."""

        def ended() -> Json | None:
            response = self.api.get(f"/jobs/{job_id}")
            if response.status_code == 404:
                return None  # requested, and not yet in the table
            job = _checked(response)["job"]
            return job if job["state"] == "finished" else None

        return until(ended, f"the end of job {job_id}")

    def finished_chain(self, chain: str, types: set[str]) -> list[Json]:
        """The jobs of a chain once all its types have finished."""

        def ended() -> bool:
            jobs = self.get("/jobs", tenant=TENANT, chain=chain, limit=PAGE)["jobs"]
            return types <= {job["type"] for job in jobs if job["state"] == "finished"}

        until(ended, f"the end of {', '.join(sorted(types))} of chain {chain}")
        return [self.finished(job["job_id"]) for job in self.every("/jobs", "jobs", tenant=TENANT, chain=chain)]

    def items(self, job_id: str) -> list[Json]:
        """What happened to each item of a job, as far as the item projection has come."""
        return self.every(f"/jobs/{job_id}/items", "items")

    def matches(self, account: str, kind: str) -> list[Json]:
        """Links and reviews of an account."""
        return self.every("/matches", "matches", tenant=TENANT, account=account, kind=kind)

    def hub_ids(self, account: str, kind: str, text: str) -> list[str]:
        """The ids of the hub's records that a search finds."""
        id_of = "variant_id" if kind == "product" else "customer_id"
        query = {"tenant": TENANT, "account": account, "platform": "nhanh", "text": text}
        return sorted(record[id_of] for record in self.every(f"/{kind}s", f"{kind}s", **query))


@dataclass(slots=True)
class Found:
    """What a step led to, in the names of the case."""

    jobs: dict[str, Json] = field(default_factory=dict[str, Json])
    writes: dict[str, dict[str, list[str]]] = field(default_factory=dict[str, dict[str, list[str]]])
    calls: list[Json] = field(default_factory=list[Json])
