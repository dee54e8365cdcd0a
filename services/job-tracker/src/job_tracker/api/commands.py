"""Commands: start and retry jobs, control jobs, queues and accounts, delete jobs, and edit matches.

Every answer is 202 with a token; `wait_for=TOKEN` waits until it is applied, on all routes that read the tables of the
tracker. Routes that read tables of other services (matches, products, queues) refuse it.
"""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field, model_validator

from job_events.chains import check_then
from job_events.events import JOB_ID_PATTERN, JobInfo, Priority, RequestedData, Then
from job_events.job_params import DEFAULT_CHANNEL, renamed_match_fields
from job_events.job_types import JOB_TYPES, default_priority, job_type
from job_events.request_checks import check_address, check_params, check_steps, read_steps
from job_events.topics import SERVICES
from job_tracker.api.command_publisher import Verb
from job_tracker.api.deps import Parts, PartsNow
from job_tracker.api.job_requests import (
    Actor,
    Key,
    Name,
    StrictBody,
    accepted,
    acknowledged,
    check_account,
    check_account_exists,
    request_job,
)
from job_tracker.api.jobs import find_job
from job_tracker.domain.job_view import parents
from job_tracker.errors import Problem
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "reads.sql")
Row = dict[str, Any]
Params = dict[str, Any]
Kind = Literal["product", "customer"]
Service = Literal["puller", "matcher", "syncer"]
router = APIRouter(tags=["commands"])


class JobBody(StrictBody):
    """A job to run. `then` lists what follows; `chain` joins jobs that start together.

    priority: normal if it is left out, and high for a job of one chosen record.
    """

    type: Name
    tenant: Name
    account: Name
    params: Params = Field(default_factory=dict)
    priority: Priority | None = None
    then: list[Params] = Field(default_factory=list[dict[str, Any]], max_length=20)
    chain: Annotated[str, Field(pattern=JOB_ID_PATTERN)] | None = None
    batch: Annotated[str, Field(max_length=512)] | None = None
    about: dict[Name, Annotated[str, Field(max_length=512)]] | None = None


class ReasonBody(StrictBody):
    """Why something is cancelled or paused."""

    reason: Annotated[str, Field(max_length=4096)] = ""


class RetryBody(StrictBody):
    """`params` are laid over those of the job that is retried, such as {"confirm": TOKEN}; null leaves one out.

    TOKEN is the plan token that a stopped run, or one that held items back, has handed out in its metadata. priority:
    that of the job that is retried if it is left out.
    """

    params: Params = Field(default_factory=dict)
    priority: Priority | None = None


class _MatchFields(StrictBody):
    """The fields of a match; their former names nhanh_id and shopify_id are read, too."""

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, value: Any) -> Any:
        return renamed_match_fields(value) if isinstance(value, dict) else value


class MatchBody(_MatchFields):
    """A match to create: a record of the hub and a record of the channel `platform`."""

    tenant: Name
    account: Name
    kind: Kind
    hub_id: Name
    platform: Name = DEFAULT_CHANNEL
    remote_id: Name


class CorrectionBody(_MatchFields):
    """The record of the channel `platform` to which a record of the hub moves."""

    tenant: Name
    account: Name
    platform: Name = DEFAULT_CHANNEL
    remote_id: Name


@router.post("/jobs", status_code=202)
async def start_job(*, parts: PartsNow, body: JobBody, actor: Actor = "api", key: Key = None) -> Response:
    """Ask for a job. 202 once Kafka has acknowledged it, 503 if it cannot."""
    then = read_steps(body.then)
    check_params(body.type, body.params)
    check_then(then, body.type)
    check_steps(then)
    if body.chain is not None:
        check_address(body.chain, "chain")
    data = RequestedData(
        params=body.params,
        priority=body.priority or default_priority(body.type, body.params),
        then=then,
        requested_by=actor,
        job=JobInfo(body.type, body.account, body.batch, body.about),
    )
    await check_account(parts, body.tenant, data.job)
    # As keys have always been stored: a request without a priority is the same as one with "normal".
    asked = body.model_dump() | {"priority": body.priority or "normal"}
    return await request_job(parts, body.tenant, data, key=key, asked=asked, chain=body.chain)


@router.post("/jobs/{job_id}/retry", status_code=202)
async def retry_job(
    *, parts: PartsNow, job_id: str, body: RetryBody | None = None, actor: Actor = "api", key: Key = None
) -> Response:
    """A new job that does the same again, with other parameters where the body has some; the finished one stays."""
    row = await _job(parts, job_id)
    if row["state"] != "finished":
        raise Problem(409, f"{job_id} is {row['state']}; only a finished job can be retried")
    if row["requested_at"] is None:
        raise Problem(409, f"the request of {job_id} is not known, so nobody knows what to repeat")
    asked = msgspec.json.decode(row["r_body"])
    changes = body or RetryBody()
    params = _laid_over(asked["params"], changes.params, row["job_type"])
    check_params(row["job_type"], params)
    data = RequestedData(
        params=params,
        priority=changes.priority or asked["priority"],
        then=msgspec.convert(asked["then"], tuple[Then, ...]),
        requested_by=actor,
        retryof=row["job_id"],
        parents=tuple(parents(row)),
        job=msgspec.convert(asked["job"], JobInfo),
    )
    same: Row = {"retry_of": job_id, "params": changes.params}
    if changes.priority is not None:
        same["priority"] = changes.priority
    return await request_job(parts, row["tenant"], data, key=key, asked=same, chain=row["chain"], retry_of=job_id)


@router.post("/jobs/{job_id}/{verb}", status_code=202)
async def control_job(
    *, parts: PartsNow, job_id: str, verb: Verb, body: ReasonBody | None = None, actor: Actor = "api"
) -> Response:
    """Cancel, pause or resume a job that is not finished; seen by its worker between two items."""
    row, service = await _held_by(parts, job_id)
    if row["state"] == "finished":
        raise Problem(409, f"{job_id} is already finished ({row['outcome']})")
    if service is None:
        raise Problem(
            409,
            f"no service runs jobs of type {row['job_type']!r}, and no request of {job_id} names one, so nothing can "
            f"{verb} it; DELETE /jobs/{job_id} takes it out of the table",
        )
    reason = body.reason if body else ""
    sending = parts.requests.control_job(
        verb, row=row, job=_info(row), service=service, requested_by=actor, reason=reason
    )
    return accepted({"job_id": job_id, "token": await acknowledged(sending)})


@router.delete("/jobs/{job_id}", status_code=202)
async def delete_job(
    *,
    parts: PartsNow,
    job_id: str,
    reason: Annotated[str, Query(max_length=4096)] = "",
    actor: Actor = "api",
) -> Response:
    """Take a finished job out of the table for good: no late event and no rebuild brings it back.

    A job that no service could end is taken out as it is.
    """
    row, service = await _held_by(parts, job_id)
    if row["state"] != "finished" and service is not None:
        raise Problem(409, f"{job_id} is {row['state']}; only a finished job can be deleted: cancel it first")
    sending = parts.requests.delete_jobs([(row, _info(row))], requested_by=actor, reason=reason)
    return accepted({"job_id": job_id, "token": await acknowledged(sending)})


@router.post("/queues/{service}/{verb}", status_code=202)
async def control_queue(
    *,
    parts: PartsNow,
    service: Service,
    verb: Literal["pause", "resume"],
    body: ReasonBody | None = None,
    actor: Actor = "api",
) -> Response:
    """Pause or resume all jobs of one service.

    A queue holds jobs of all tenants, so a caller of some of them may not pause it.
    """
    if parts.scope.tenants is not None:
        raise Problem(403, f"the queue of {service} holds jobs of all tenants; {verb} accounts or jobs instead")
    reason = body.reason if body else ""
    sending = parts.requests.control_queue(verb, tenant="all", service=service, requested_by=actor, reason=reason)
    return accepted({"service": service, "token": await acknowledged(sending)})


@router.post("/accounts/{tenant}/{account}/{verb}", status_code=202)
async def control_account(
    *,
    parts: PartsNow,
    tenant: str,
    account: str,
    verb: Literal["pause", "resume"],
    body: ReasonBody | None = None,
    actor: Actor = "api",
) -> Response:
    """Pause or resume all jobs of one account, at every service."""
    await check_account_exists(parts, tenant, account, status=404)
    sending = parts.requests.control_account(
        verb,
        tenant=tenant,
        account=account,
        services=SERVICES,
        requested_by=actor,
        reason=body.reason if body else "",
    )
    return accepted({"tenant": tenant, "account": account, "token": await acknowledged(sending)})


@router.post("/matches", status_code=202, tags=["matches"])
async def create_match(*, parts: PartsNow, body: MatchBody, actor: Actor = "api", key: Key = None) -> Response:
    """Confirm that a record of the hub and a record of a channel are the same thing."""
    ids = {"hub_id": body.hub_id, "platform": body.platform, "remote_id": body.remote_id}
    params = {"action": "create", "kind": body.kind, **ids}
    return await _edit(parts, body.tenant, body.account, params, actor, key)


@router.patch("/matches/{kind}/{hub_id:path}", status_code=202, tags=["matches"])
async def correct_match(
    *, parts: PartsNow, kind: Kind, hub_id: str, body: CorrectionBody, actor: Actor = "api", key: Key = None
) -> Response:
    """Move a record of the hub to another record of the channel."""
    ids = {"hub_id": hub_id, "platform": body.platform, "remote_id": body.remote_id}
    params = {"action": "correct", "kind": kind, **ids}
    return await _edit(parts, body.tenant, body.account, params, actor, key)


@router.delete("/matches/{kind}/{hub_id:path}", status_code=202, tags=["matches"])
async def delete_match(
    *,
    parts: PartsNow,
    kind: Kind,
    hub_id: str,
    tenant: Annotated[str, Query(min_length=1, max_length=128)],
    account: Annotated[str, Query(min_length=1, max_length=128)],
    platform: Annotated[str, Query(min_length=1, max_length=128)] = DEFAULT_CHANNEL,
    actor: Actor = "api",
    key: Key = None,
) -> Response:
    """Reject the match of a record of the hub with any record of the channel."""
    params = {"action": "delete", "kind": kind, "hub_id": hub_id, "platform": platform}
    return await _edit(parts, tenant, account, params, actor, key)


async def _edit(
    parts: Parts, tenant: str, account: str, params: dict[str, Any], actor: str, key: str | None
) -> Response:
    check_params("EDIT_MATCH", params)
    await check_account_exists(parts, tenant, account)
    data = RequestedData(params=params, priority="high", requested_by=actor, job=JobInfo("EDIT_MATCH", account))
    return await request_job(parts, tenant, data, key=key, asked={"account": account, **params})


async def _job(parts: Parts, job_id: str) -> Row:
    async with parts.reader.snapshot() as connection:
        row = await find_job(connection, job_id, parts.scope)
    job_type(row["job_type"])
    return row


async def _held_by(parts: Parts, job_id: str) -> tuple[Row, str | None]:
    """The row of a job, and the service that runs it: its type's, or the one that it was requested from.

    None where neither is known: no service could act on the job then.

    Raises:
        Problem: 404.
    """
    async with parts.reader.snapshot() as connection:
        row = await find_job(connection, job_id, parts.scope)
        known = JOB_TYPES.get(row["job_type"])
        if known is not None:
            return row, known.service
        rows = await (await connection.execute(_SQL["request_topics"], {"job_id": job_id})).fetchall()
    found = (parts.requests.service_of(row["topic"]) for row in rows)
    return row, next((service for service in found if service is not None), None)


def _laid_over(params: Params, changes: Params, type_name: str) -> Params:
    """The parameters of a job with those that a retry changes; both may name the fields of a match as before."""
    if type_name == "EDIT_MATCH":
        params, changes = renamed_match_fields(params), renamed_match_fields(changes, "params.")
    return {name: value for name, value in (params | changes).items() if changes.get(name, value) is not None}


def _info(row: Row) -> JobInfo:
    return msgspec.convert(msgspec.json.decode(row["r_body"])["job"], JobInfo)
