"""Plan tokens: a job that stopped or held items gives one, with which a person approves exactly the changes shown."""

from typing import Any

from msgspec.structs import replace

from job_events.chains import Chain
from job_events.events import Then
from job_events.job_types import JOB_TYPES
from jobtrail.errors import UserError
from jobtrail.tracker import Json, Tracker

SEARCHED = 1000  # jobs of the account, newest first, that are searched for a token
SYNCS = ("PRODUCT_SYNC", "CUSTOMER_SYNC")


def token_of(job: Json) -> str | None:
    """The plan token of a finished job."""
    token = (job.get("metadata") or {}).get("planToken")
    return token if job["state"] == "finished" and isinstance(token, str) and token else None


def next_step(job: Json) -> str | None:
    """The command that approves the changes of a job; None without a plan token."""
    return f"jobtrail jobs confirm {job['job_id']}" if token_of(job) else None


def confirmation(job: Json) -> Json:
    """The request that approves the changes of `job`: the same type, account and parameters, with its plan token.

    Raises:
        UserError: it has no plan token, or its request is unknown.
    """
    token, job_id = token_of(job), job["job_id"]
    if job["state"] != "finished":
        raise UserError(f"{job_id} is {job['state']}: only a finished job can be confirmed")
    if token is None:
        raise UserError(f"{job_id} has no plan token: it neither stopped nor held items")
    if job.get("params") is None:
        raise UserError(f"The request of {job_id} is unknown, so it cannot be confirmed")
    params: Json = {name: value for name, value in job["params"].items() if name != "dry_run"} | {"confirm": token}
    return {"type": job["type"], "tenant": _tenant(job), "account": job["account"], "params": params}


def approved_text(job: Json) -> str:
    """`3 held items`, `12 changes`, or the reason why the job stopped."""
    metadata: dict[str, Any] = job.get("metadata") or {}
    held, would = metadata.get("held"), metadata.get("wouldUpdate")
    if isinstance(held, int) and held:
        return f"{held:,} held {'item' if held == 1 else 'items'}"
    if isinstance(would, int) and would:
        return f"{would:,} {'change' if would == 1 else 'changes'}"
    reason = metadata.get("tooLarge") or (job.get("error") or {}).get("message")
    return f"the changes shown ({reason})" if reason else "the changes shown"


def issuer(tracker: Tracker, tenant: str, account: str, token: str) -> str:
    """The type of the job of the account that has this plan token.

    Raises:
        UserError: none of the last SEARCHED jobs did.
    """
    for listed in tracker.jobs(SEARCHED, tenant=tenant, account=account):
        if listed["state"] != "finished" or not (listed.get("error_category") or listed.get("outcome") == "partial"):
            continue
        job = tracker.job(listed["job_id"])
        if token_of(job) == token:
            return job["type"]
    raise UserError(
        f"None of the newest {SEARCHED:,} jobs of {tenant}/{account} has the plan token {token!r}: jobtrail jobs list"
    )


def with_token(chain: Chain, job_type: str, token: str) -> tuple[dict[str, Json], tuple[Then, ...]]:
    """The parameters of the chain's first jobs by type, and its steps, with `token` at the step of `job_type`.

    Raises:
        UserError: the chain has no such step.
    """
    first: dict[str, Json] = {job.type: {"confirm": token} for job in chain.first if job.type == job_type}
    then = tuple(_confirmed(step, job_type, token) for step in chain.then)
    if not first and then == chain.then:
        raise UserError(f"The plan token belongs to a {job_type}, which this chain does not run")
    return first, then


def _confirmed(step: Then, job_type: str, token: str) -> Then:
    params = {**step.params, "confirm": token} if step.type == job_type else step.params
    return replace(step, params=params, then=tuple(_confirmed(each, job_type, token) for each in step.then))


def _tenant(job: Json) -> str:
    tenant = job.get("tenant")
    if not tenant:
        raise UserError(f"The tracker does not name the tenant of job {job['job_id']}")
    return tenant


def takes(job_type: str, name: str) -> bool:
    """Whether this job type has a parameter of this name."""
    return name in JOB_TYPES[job_type].params.__struct_fields__


def reversion(job: Json, only: list[str], dry_run: bool) -> Json:
    """The request that reverts what the sync `job` wrote; with `only`, the items with these Nhanh ids.

    Raises:
        UserError: the job is not a sync, is not finished, or was a dry run.
    """
    job_id = job["job_id"]
    if job["type"] not in SYNCS:
        raise UserError(f"{job_id} is a {job['type']}; only a sync can be reverted: {' or '.join(SYNCS)}")
    if job["state"] != "finished":
        raise UserError(f"{job_id} is {job['state']}: wait for its end, or cancel it first")
    if (job.get("params") or {}).get("dry_run"):
        raise UserError(f"{job_id} was a dry run: it wrote nothing")
    params: Json = {"job_id": job_id}
    if only:
        params["only"] = only
    if dry_run:
        params["dry_run"] = True
    return {"type": "REVERT_SYNC", "tenant": _tenant(job), "account": job["account"], "params": params}
