"""The end of a pull: whether its list was complete, and which records are delisted."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid5

from platforms.accounts import AccountStore
from platforms.errors import SettingsUnreadable
from platforms.settings import AccountSettings
from puller.store import delisted
from puller.store.catalogue import CatalogueScope, mark_delisted
from worker.errors import JobFailed
from worker.job import Checkpoint
from worker.job_result import JobCounters

_TOO_LARGE, _PLAN = "tooLarge", "planToken"
_PLAN_NAMESPACE: Final = UUID("5a0e6a0c-8f0b-4f5e-9d35-0c8a3f1d7b21")
_IDLE_PAGES: Final = 100
"""A list may repeat records, because they move while it is read, and some of its pages may be empty."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of one job's pull of everything.

    confirmed: the plan token in the job's parameters; settings: the account's, for the guard.
    """

    scope: CatalogueScope
    job_id: str
    confirmed: str | None
    settings: AccountSettings

    def finish(self, checkpoint: Checkpoint, began: datetime, *, blind: bool) -> None:
        """Store that the pull is complete, and mark the records that it did not list as delisted, unless too many are
        missing.

        blind: it listed items without a readable id. The missing records may be among them, so none is marked.
        """
        delisted.note_complete_pull(checkpoint.connection, self.scope, self.job_id, began)
        if blind:
            return
        missing = delisted.missing(checkpoint.connection, self.scope, began, self.confirmed)
        known = missing.known - missing.approved - checkpoint.counters.metadata["created"]
        if not too_many_delisted(missing.others, known, self.settings.max_gone_share, self.settings.max_gone_floor):
            checkpoint.counters.count(gone=mark_delisted(checkpoint.connection, self.scope, began))
            return
        if self.confirmed is not None and missing.approved:
            checkpoint.counters.count(
                gone=delisted.mark_approved_delisted(checkpoint.connection, self.scope, began, self.confirmed)
            )
        token = plan_token(self.job_id)
        delisted.plan_delisted(checkpoint.connection, self.scope, began, token)
        # In the checkpoint, because the attempt may be killed before it ends with this.
        checkpoint.counters.metadata[_PLAN] = token
        checkpoint.counters.metadata[_TOO_LARGE] = (
            f"{missing.others} of {known} known {self.scope.kind}s are no longer listed"
        )


def stopped(counters: JobCounters) -> JobFailed | None:
    """The failure of a job whose pull missed too many records; None if it did not."""
    reason = counters.metadata.get(_TOO_LARGE)
    if reason is None:
        return None
    token = counters.metadata.get(_PLAN)  # a release without plan tokens may have written the last page
    again = "pull again" if token is None else f"pull again with confirm={token}"
    advice = f"None of these was marked as delisted. If they are, {again}"
    return JobFailed("CHANGE_TOO_LARGE", "CHANGE_TOO_LARGE", f"{reason}. {advice}.")


def settings_of(accounts: AccountStore, tenant: str, account: str) -> AccountSettings:
    """The account's settings; the defaults, which allow the least, where this version cannot read them."""
    try:
        return accounts.settings(tenant, account)
    except SettingsUnreadable:
        return AccountSettings()


def plan_token(job_id: str) -> str:
    """The token of the plan of a stopped job: the same one in each of its attempts."""
    return str(uuid5(_PLAN_NAMESPACE, job_id))


def too_many_delisted(missing: int, known: int, share: float, floor: int) -> bool:
    """Whether `missing` of `known` records are more than a pull may mark as delisted without confirmation."""
    return missing > floor and missing > Decimal(str(share)) * known


def is_endless(pages: int, idle: int) -> bool:
    """Whether a list of so many pages, of which the last `idle` held no new record, is taken for endless.

    A list that is read twice as a whole is not: all of its records may move to later pages once.
    """
    return idle > _IDLE_PAGES + (pages - idle)
