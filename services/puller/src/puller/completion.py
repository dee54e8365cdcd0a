"""What the last page of a pull decides, in its own transaction: what is gone, what is stale, what waits."""

from dataclasses import dataclass
from datetime import datetime

from platforms.accounts import AccountStore
from platforms.errors import SettingsUnreadable
from platforms.settings import AccountSettings
from puller.domain.completeness import plan_token, too_many_delisted
from puller.store import delisted
from puller.store.catalogue import CatalogueScope, mark_delisted
from worker.errors import JobFailed
from worker.job import Checkpoint
from worker.job_result import JobCounters

_TOO_LARGE, _PLAN = "tooLarge", "planToken"


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of one job's pull of everything.

    confirmed: the plan token that the job was given; settings: the account's, for the guard.
    """

    shelf: CatalogueScope
    job_id: str
    confirmed: str | None
    settings: AccountSettings

    def finish(self, checkpoint: Checkpoint, began: datetime, *, blind: bool) -> None:
        """Note the pull, and mark what it did not meet as gone, unless too much is missing.

        blind: it met items that cannot be told by an id. What it missed may be among them, so nothing is marked.
        """
        delisted.note_complete_pull(checkpoint.connection, self.shelf, self.job_id, began)
        if blind:
            return
        missing = delisted.missing(checkpoint.connection, self.shelf, began, self.confirmed)
        known = missing.known - missing.approved - checkpoint.counters.metadata["created"]
        if not too_many_delisted(missing.others, known, self.settings.max_gone_share, self.settings.max_gone_floor):
            checkpoint.counters.count(gone=mark_delisted(checkpoint.connection, self.shelf, began))
            return
        if self.confirmed is not None and missing.approved:
            checkpoint.counters.count(
                gone=delisted.mark_approved_delisted(checkpoint.connection, self.shelf, began, self.confirmed)
            )
        token = plan_token(self.job_id)
        delisted.plan_delisted(checkpoint.connection, self.shelf, began, token)
        # In the checkpoint, because the attempt may be killed before it ends with this.
        checkpoint.counters.metadata[_PLAN] = token
        checkpoint.counters.metadata[_TOO_LARGE] = (
            f"{missing.others} of {known} known {self.shelf.kind}s are not listed any more"
        )


def stopped(counters: JobCounters) -> JobFailed | None:
    """How a job ends whose pull missed too much; None where it did not."""
    reason = counters.metadata.get(_TOO_LARGE)
    if reason is None:
        return None
    token = counters.metadata.get(_PLAN)  # a release without plan tokens may have written the last page
    again = "pull again" if token is None else f"pull again with confirm={token}"
    advice = f"None of these was marked as delisted. If they are, {again}"
    return JobFailed("CHANGE_TOO_LARGE", "CHANGE_TOO_LARGE", f"{reason}. {advice}.")


def settings_of(accounts: AccountStore, tenant: str, account: str) -> AccountSettings:
    """The account's settings; the defaults, which are the careful ones, where this version cannot read them."""
    try:
        return accounts.settings(tenant, account)
    except SettingsUnreadable:
        return AccountSettings()
