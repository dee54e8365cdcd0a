"""EDIT_MATCH: a person's decision about one match. No automatic run changes it."""

from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.events import Action
from job_events.job_params import EditMatchParams
from matcher.domain.mappings import Match
from matcher.scope import nothing_pulled, scope_of
from matcher.store import matches, snapshots
from matcher.store.snapshots import Scope
from platforms import registry
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of
from worker.job_result import JobResult

_LINKED = frozenset({"auto", "confirmed"})


def edit_match(job: RunningJob) -> JobResult | None:
    """Create, correct or delete one match. A job that was done before its worker crashed changes nothing more."""
    if job.cursor is not None:
        return None
    params = params_of(job, EditMatchParams)
    scope = scope_of(job, params.kind, params.platform)
    with job.checkpoint() as checkpoint:
        checkpoint.counters.total = 1
        matches.lock(checkpoint.connection, scope)
        edit = _Edit(checkpoint, scope, job.id, params)
        changed = edit.delete() if params.action == "delete" else edit.link(params.remote_id or "")
        checkpoint.counters.count(successful=1, created=0, updated=0, unchanged=0)
        checkpoint.counters.count(**{changed: 1})
        ids = {scope.hub: params.hub_id, **({scope.platform: params.remote_id} if params.remote_id else {})}
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
        """Confirm the pair; whether the match was created, updated or unchanged."""
        self._require_record(self._scope.hub, self._hub_id)
        self._require_record(self._scope.platform, remote_id)
        present = self._link()
        if self._params.action == "correct" and present is None:
            raise JobFailed(
                "NOT_FOUND",
                "NO_MAPPING",
                f"The {self._scope.kind} {self._hub_id} of {self._title(self._scope.hub)} has no mapping to correct; "
                "create one instead.",
            )
        if present is not None and present.remote_id != remote_id and self._params.action == "create":
            raise self._conflict(self._scope.hub, self._hub_id, self._scope.platform, present.remote_id)
        other = next(
            (row for row in self._rows if row.status in _LINKED and row.remote_id == remote_id and row != present),
            None,
        )
        if other is not None:
            raise self._conflict(self._scope.platform, remote_id, self._scope.hub, other.hub_id)
        pair = next((row for row in self._rows if row.pair == (self._hub_id, remote_id)), None)
        if pair is not None and pair.status == "confirmed":
            return "unchanged"
        if present is not None and present.pair != (self._hub_id, remote_id):
            self._put(Match(self._hub_id, present.remote_id, "rejected", present.method, present.score))
        # Records that have a partner now need no suggestions.
        matches.delete(self._conn, self._scope, [row for row in self._rows if row.status == "review"])
        self._put(Match(self._hub_id, remote_id, "confirmed", "manual", 1.0))
        return "created" if pair is None and present is None else "updated"

    def delete(self) -> Action:
        """Reject the named pair, or the link of the hub record, or else all that was suggested for it."""
        remote_id = self._params.remote_id
        of_record = [row for row in self._rows if row.hub_id == self._hub_id]
        if remote_id is not None:
            to_reject = [row for row in of_record if row.remote_id == remote_id]
        else:
            links = [row for row in of_record if row.status in _LINKED]
            to_reject = links or [row for row in of_record if row.status == "review"]
        if not to_reject:
            partner = f" with {remote_id}" if remote_id is not None else ""
            raise JobFailed(
                "NOT_FOUND",
                "NO_MAPPING",
                f"The {self._scope.kind} {self._hub_id} of {self._title(self._scope.hub)} has no mapping{partner} to "
                "delete.",
            )
        if all(row.status == "rejected" for row in to_reject):
            return "unchanged"
        for row in to_reject:
            self._put(Match(row.hub_id, row.remote_id, "rejected", row.method, row.score))
        return "updated"

    def _link(self) -> Match | None:
        return next((row for row in self._rows if row.hub_id == self._hub_id and row.status in _LINKED), None)

    def _require_record(self, platform: str, record_id: str) -> None:
        try:
            found = snapshots.exists(self._conn, self._scope, platform, record_id)
        except (UndefinedTable, InvalidSchemaName):
            raise nothing_pulled() from None
        if not found:
            raise JobFailed(
                "NOT_FOUND",
                "NO_RECORD",
                f"{self._title(platform)} has no {self._scope.kind} {record_id} in this account, as of the last pull.",
            )

    def _conflict(self, platform: str, record_id: str, partner_platform: str, partner: str) -> JobFailed:
        return JobFailed(
            "CONFLICT",
            "ALREADY_LINKED",
            f"The {self._scope.kind} {record_id} of {self._title(platform)} is already linked to {partner} of "
            f"{self._title(partner_platform)}; delete or correct that mapping first.",
        )

    def _title(self, platform: str) -> str:
        return registry.platforms()[platform].title

    def _put(self, row: Match) -> None:
        matches.put(self._conn, self._scope, self._job_id, [row])
