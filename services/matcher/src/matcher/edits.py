"""EDIT_MATCH: a person's word on one mapping. No automatic run ever overwrites it."""

from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.events import Action
from job_events.job_types import EditMatchParams
from matcher.domain.mappings import Match
from matcher.store import matches, snapshots
from matcher.store.matches import Scope
from matcher.store.snapshots import Platform
from worker.errors import JobFailed
from worker.job import Checkpoint, JobResult, RunningJob, params_of

_LINKED = frozenset({"auto", "confirmed"})
_SHOP: dict[Platform, str] = {"nhanh": "Nhanh", "shopify": "Shopify"}


def edit_match(job: RunningJob) -> JobResult | None:
    """Create, correct or delete one mapping. A job that was done before its worker died changes nothing more."""
    if job.cursor is not None:
        return None
    params = params_of(job, EditMatchParams)
    scope = Scope(job.tenant, job.account, params.kind)
    with job.checkpoint() as checkpoint:
        checkpoint.counters.total = 1
        matches.lock(checkpoint.connection, scope)
        edit = _Edit(checkpoint, scope, job.id, params)
        changed = edit.delete() if params.action == "delete" else edit.link(params.remote_id or "")
        checkpoint.counters.count(successful=1, created=0, updated=0, unchanged=0)
        checkpoint.counters.count(**{changed: 1})
        ids = {"nhanh": params.hub_id, **({"shopify": params.remote_id} if params.remote_id else {})}
        checkpoint.item(f"{params.kind}/{params.hub_id}", changed, ids)
        checkpoint.cursor = {"step": "written"}
    return None


class _Edit:
    """One edit inside its transaction."""

    def __init__(self, checkpoint: Checkpoint, scope: Scope, job_id: str, params: EditMatchParams) -> None:
        self._conn = checkpoint.connection
        self._scope = scope
        self._job_id = job_id
        self._params = params
        self._hub_id = params.hub_id
        self._rows = matches.touching(self._conn, scope, params.hub_id, params.remote_id)

    def link(self, remote_id: str) -> Action:
        """Confirm the pair; what became of the mapping: created, updated or unchanged."""
        self._must_exist("nhanh", self._hub_id)
        self._must_exist("shopify", remote_id)
        present = self._linked_to()
        if self._params.action == "correct" and present is None:
            raise JobFailed(
                "NOT_FOUND",
                "NO_MAPPING",
                f"The {self._scope.kind} {self._hub_id} of Nhanh has no mapping to correct; create one instead.",
            )
        if present is not None and present.remote_id != remote_id and self._params.action == "create":
            raise self._conflict("nhanh", self._hub_id, "shopify", present.remote_id)
        other = next(
            (row for row in self._rows if row.status in _LINKED and row.remote_id == remote_id and row != present),
            None,
        )
        if other is not None:
            raise self._conflict("shopify", remote_id, "nhanh", other.hub_id)
        pair = next((row for row in self._rows if row.pair == (self._hub_id, remote_id)), None)
        if pair is not None and pair.status == "confirmed":
            return "unchanged"
        if present is not None and present.pair != (self._hub_id, remote_id):
            self._put(Match(self._hub_id, present.remote_id, "rejected", present.method, present.score))
        # Suggestions for records that now have a partner are answered.
        matches.delete(self._conn, self._scope, [row for row in self._rows if row.status == "review"])
        self._put(Match(self._hub_id, remote_id, "confirmed", "manual", 1.0))
        return "created" if pair is None and present is None else "updated"

    def delete(self) -> Action:
        """Reject the named pair, or what the Nhanh record is linked to, or else all that was suggested for it."""
        named = self._params.remote_id
        ours = [row for row in self._rows if row.hub_id == self._hub_id]
        if named is not None:
            meant = [row for row in ours if row.remote_id == named]
        else:
            meant = [row for row in ours if row.status in _LINKED] or [row for row in ours if row.status == "review"]
        if not meant:
            whom = f" with {named}" if named is not None else ""
            raise JobFailed(
                "NOT_FOUND",
                "NO_MAPPING",
                f"The {self._scope.kind} {self._hub_id} of Nhanh has no mapping{whom} to delete.",
            )
        if all(row.status == "rejected" for row in meant):
            return "unchanged"
        for row in meant:
            self._put(Match(row.hub_id, row.remote_id, "rejected", row.method, row.score))
        return "updated"

    def _linked_to(self) -> Match | None:
        return next((row for row in self._rows if row.hub_id == self._hub_id and row.status in _LINKED), None)

    def _must_exist(self, platform: Platform, record_id: str) -> None:
        scope = self._scope
        try:
            found = snapshots.exists(self._conn, scope.kind, platform, scope.tenant, scope.account, record_id)
        except (UndefinedTable, InvalidSchemaName):
            raise nothing_pulled() from None
        if not found:
            raise JobFailed(
                "NOT_FOUND",
                "NO_RECORD",
                f"{_SHOP[platform]} has no {scope.kind} {record_id} in this account, as of the last pull.",
            )

    def _conflict(self, platform: Platform, record_id: str, partner_platform: Platform, partner: str) -> JobFailed:
        return JobFailed(
            "CONFLICT",
            "ALREADY_LINKED",
            f"The {self._scope.kind} {record_id} of {_SHOP[platform]} is already linked to {partner} of "
            f"{_SHOP[partner_platform]}; delete or correct that mapping first.",
        )

    def _put(self, row: Match) -> None:
        matches.put(self._conn, self._scope, self._job_id, [row])


def nothing_pulled() -> JobFailed:
    """The catalogue's views are not there."""
    return JobFailed("NOT_FOUND", "NO_CATALOGUE", "Nothing has ever been pulled: run the pulls of this account first.")
