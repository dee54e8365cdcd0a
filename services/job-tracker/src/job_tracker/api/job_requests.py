"""Requests for jobs: the checks that need other tables, and sending a request once for each idempotency key."""

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response
from msgspec.structs import asdict
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from job_events.events import JobInfo, RequestedData
from job_events.job_params import RetryFailedParams
from job_events.job_types import JOB_TYPES, read_params
from job_tracker.api.command_publisher import Identity, check_request, request_hash
from job_tracker.api.deps import Parts
from job_tracker.api.idempotency import IdempotencyClaim
from job_tracker.api.listing import exists
from job_tracker.api.problems import Json
from job_tracker.errors import IdempotencyKeyReused, NotAcknowledged, Problem
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")
Row = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=128)]


def _as_written(value: str) -> str:
    """Headers are read as Latin-1; what is sent is UTF-8, which was checked before."""
    return value.encode("latin-1").decode()


Actor = Annotated[str, Header(alias="Jobtrail-Actor", max_length=128), AfterValidator(_as_written)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


class StrictBody(BaseModel):
    """A body that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid")


async def check_account(parts: Parts, tenant: str, job: JobInfo) -> None:
    """Refuse a job of an unknown account, unless its type runs for any.

    Raises:
        Problem: 422.
    """
    if not (JOB_TYPES[job.type].any_account and parts.scope.holds(tenant)):
        await check_account_exists(parts, tenant, job.account)


async def check_account_exists(parts: Parts, tenant: str, account: str, status: int = 422) -> None:
    """Refuse what is asked of an account that does not exist, or that the caller may not see.

    Raises:
        Problem: `status`.
    """
    async with parts.reader.snapshot() as connection:
        known = (
            parts.scope.holds(tenant)
            and await exists(connection, ("accounts", "api_accounts"))
            and await (
                await connection.execute(_SQL["account_exists"], {"tenant": tenant, "account": account})
            ).fetchone()
        )
    if not known:
        reason = f"tenant {tenant!r} has no account {account!r}"
        raise Problem(status, reason, [("account", reason)])


async def request_job(
    parts: Parts,
    tenant: str,
    data: RequestedData,
    *,
    key: str | None,
    asked: Row,
    chain: str | None = None,
    **more: str,
) -> Response:
    """Request a job, once for each key. `asked` identifies the request; `more` is added to the answer."""
    made, replayed = await request_once(parts, tenant, data, key=key, asked=asked, chain=chain)
    assert made.token is not None  # noqa: S101 - Kafka has acknowledged it
    body = {"job_id": made.identity.job_id, "chain": made.identity.chain, **more, "token": made.token}
    return accepted(body, replayed=replayed)


async def request_once(
    parts: Parts, tenant: str, data: RequestedData, *, key: str | None, asked: Row, chain: str | None = None
) -> tuple[IdempotencyClaim, bool]:
    """The acknowledged request, and whether an earlier one with the key was it.

    Raises:
        Problem: 409 for a retry of failed items where none has failed, 422 where the key belongs to another request,
            503 without Kafka.
    """
    await _check_failed_items(parts, tenant, data, key)
    claim = IdempotencyClaim(parts.requests.identity(chain=chain), None)
    if key is not None:
        check_request(claim.identity, tenant, data)  # a key that comes with what is refused stays free
        claim = await _claim(parts, tenant, key, asked, claim.identity)
    if claim.token is not None:
        return claim, True
    token = await acknowledged(parts.requests.request(claim.identity, tenant, data), key)
    if key is not None:
        await parts.keys.settle(tenant, key, token)
    return IdempotencyClaim(claim.identity, token), False


async def _check_failed_items(parts: Parts, tenant: str, data: RequestedData, key: str | None) -> None:
    """Refuse a retry of failed items where none has failed. The job says so itself where the view does not exist yet.

    Raises:
        Problem: 409.
    """
    params, account = read_params(data.job.type, data.params), data.job.account
    if not isinstance(params, RetryFailedParams) or params.confirm is not None:
        return  # a plan token approves changes that were held back, of items that have not failed
    if key is not None and await parts.keys.holds(tenant, key):
        return  # sent again, after the job has begun
    wanted = {"tenant": tenant, "account": account} | asdict(params)
    async with parts.reader.snapshot() as connection:
        if not await exists(connection, ("syncer", "api_failed_items")):
            return
        if await (await connection.execute(_SQL["has_failed_items"], wanted)).fetchone():
            return
    narrowed = [f"{name} {wanted[name]}" for name in ("job_id", "category", "kind") if wanted[name] is not None]
    which = f" ({', '.join(narrowed)})" if narrowed else ""
    nothing = f"{account} has no item whose last sync to {params.platform} failed{which}: nothing to retry"
    whole = f"; a job that failed as a whole is run again with `jobtrail jobs retry {params.job_id}`"
    raise Problem(409, nothing + (whole if params.job_id is not None else ""))


async def _claim(parts: Parts, tenant: str, key: str, asked: Row, fresh: Identity) -> IdempotencyClaim:
    try:
        return await parts.keys.claim(tenant, key, request_hash(asked), fresh)
    except IdempotencyKeyReused:
        detail = "this Idempotency-Key came with another body before"
        raise Problem(422, detail, [("Idempotency-Key", "belongs to another request")]) from None


async def acknowledged(sending: Awaitable[str], key: str | None = None) -> str:
    """The token of what is sent.

    Raises:
        Problem: 503.
    """
    try:
        return await sending
    except NotAcknowledged as error:
        then = "ask again with the same key" if key else "it may come all the same: look before you ask again"
        raise Problem(503, f"Kafka has not acknowledged the request: {error}; {then}") from None


def accepted(body: Row, *, status: int = 202, token: str | None = None, replayed: bool = False) -> Response:
    """The answer to a command, with its token in the headers, too."""
    headers = {"Jobtrail-Freshness": token or str(body["token"])}
    return Json(body, status, headers | ({"Idempotent-Replayed": "true"} if replayed else {}))
