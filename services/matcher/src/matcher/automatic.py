"""AUTO_MATCH_PRODUCTS and AUTO_MATCH_CUSTOMERS: plan chunks, wait until agents have scored them, decide, write.

1. Plan, in one checkpoint: snapshot of both platforms, chunk rows, a message a chunk, cursor {"step": "scoring"}.
2. Poll the rows. An overdue chunk is sent again: a message that is lost or doubled costs time, never a result.
3. Decide, in one checkpoint: resolve one-to-one under the account's lock, write matches, cursor {"step": "written"}.
A worker that takes over after a crash goes on at the cursor with the same snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.events import Action, ErrorInfo
from job_events.job_params import MatchParams
from matcher.domain.candidates import EXACT
from matcher.domain.mappings import Changes, Match, compare, earlier_links, known
from matcher.domain.resolution import RESOLVERS, Bands, Decision, LinkByName
from matcher.messages import chunk_key, encode_chunk
from matcher.scope import nothing_pulled, scope_of
from matcher.store import chunks, matches, snapshots
from matcher.store.snapshots import Scope
from platforms.adapter import Kind
from platforms.errors import InvalidAccount
from service_kit.database import refresh_statistics
from worker.errors import JobFailed
from worker.inbox import SQL as INBOX
from worker.job import Checkpoint, RunningJob, params_of
from worker.job_result import JobResult

_REASON = "agents score the chunks"
_SHORTEST_POLL, _LONGEST_POLL = 0.1, 2.0  # seconds between two polls of the rows


@dataclass(frozen=True, slots=True)
class Planning:
    """How a job is split into chunks. overdue: time without a result after which a chunk is sent again."""

    chunk_size: int
    overdue: timedelta


class AutomaticMatch:
    """The handler of one automatic match job type."""

    def __init__(self, kind: Kind, planning: Planning) -> None:
        self._kind: Kind = kind
        self._planning = planning

    def __call__(self, job: RunningJob) -> JobResult | None:
        params = params_of(job, MatchParams)
        scope = scope_of(job, self._kind, params.platform)
        if job.cursor is None:
            self._plan(job, scope)
        cursor: Any = job.cursor  # a dictionary since the checkpoint of the plan
        if cursor["step"] == "scoring":
            failure = self._wait_for_scores(job)
            if failure is not None:
                return JobResult("error", ErrorInfo("INTERNAL", "CHUNK_FAILED", failure))
            job.progress("deciding")
            self._decide(job, scope, params)
        return None

    def _plan(self, job: RunningJob, scope: Scope) -> None:
        job.progress("planning")
        with job.checkpoint() as checkpoint:
            try:
                of_hub, of_channel = snapshots.take(checkpoint.connection, scope, job.id)
            except (UndefinedTable, InvalidSchemaName):
                raise nothing_pulled() from None
            number = chunks.plan(checkpoint.connection, job.id, of_hub, self._planning.chunk_size)
            _send(checkpoint.connection, job, range(number))
            loaded = f"{self._kind.capitalize()}sLoaded"
            checkpoint.counters.total = of_hub
            checkpoint.counters.metadata.update(
                {
                    f"{scope.hub}{loaded}": of_hub,
                    f"{scope.platform}{loaded}": of_channel,
                    "chunks": number,
                    "chunksResent": 0,
                }
            )
            checkpoint.cursor = {"step": "scoring"}

    def _wait_for_scores(self, job: RunningJob) -> str | None:
        """Block until all chunks are scored; the reason if one cannot be scored."""
        # The same words as those of the wait below, so that a poll makes no progress event.
        job.progress(f"waiting: {_REASON}")
        pause = _SHORTEST_POLL
        while True:
            with job.context.pool.connection() as conn:
                state = chunks.state(conn, job.id, self._planning.overdue)
            if state.failure is not None:
                return state.failure
            if state.scored != job.counters.pending:
                with job.checkpoint() as checkpoint:
                    checkpoint.counters.pending = state.scored
                pause = _SHORTEST_POLL
            if state.finished == state.total:
                return None
            if state.overdue:
                with job.checkpoint() as checkpoint:
                    numbers = chunks.resend(checkpoint.connection, job.id, state.overdue)
                    _send(checkpoint.connection, job, numbers)
                    checkpoint.counters.count(chunksResent=len(numbers))
            job.pause_between_polls(pause, _REASON)
            pause = min(pause * 1.5, _LONGEST_POLL)

    def _decide(self, job: RunningJob, scope: Scope, params: MatchParams) -> None:
        with job.checkpoint() as checkpoint:
            conn = checkpoint.connection
            results = chunks.results(conn, job.id)
            candidates = [one for result in results for one in result.candidates]
            matches.lock(conn, scope)
            rows = matches.read_all(conn, scope)
            stored = matches.read_former(conn, scope)
            former = snapshots.former_links(conn, scope, job.id, earlier_links(rows, stored))
            decided = known(rows, former)
            bands = Bands.of(params.auto, params.review, _link_by_name(conn, scope))
            decision = RESOLVERS[self._kind](candidates, decided, bands)
            changes = compare(rows, decision)
            matches.apply(conn, scope, job.id, changes)
            matches.keep_former(conn, scope, stored, decision.former)
            confirmed = snapshots.both_present(conn, scope, job.id, decided.confirmed.items())
            _record(checkpoint, scope, changes)
            _count(checkpoint, decision, changes, confirmed)
            checkpoint.counters.metadata["potentialMatches"] = sum(
                one.method in EXACT or one.score >= bands.review for one in candidates
            )
            for result in results:
                checkpoint.counters.count(**result.counts)
            snapshots.drop(conn, job.id)
            refresh_statistics(conn, "match")
            checkpoint.cursor = {"step": "written"}


def _link_by_name(conn: Connection, scope: Scope) -> LinkByName:
    try:
        return matches.settings(conn, scope.tenant, scope.account).link_by_name
    except InvalidAccount as error:
        reason = f"{error}: stored for {scope.tenant}/{scope.account} by another version; store its settings anew"
        raise JobFailed("VALIDATION_FAILED", "SETTINGS_UNREADABLE", reason) from None


def _send(conn: Connection, job: RunningJob, numbers: Iterable[int]) -> None:
    """Put a message a chunk into the outbox; it is sent after the checkpoint is committed."""
    time = job.context.clock.now()
    for number in numbers:
        value = encode_chunk(
            job.id,
            number,
            moment=f"{job.attempt}.{job.next_seq()}",
            source=job.context.source,
            time=time,
            tenant=job.tenant,
            correlationid=job.request.correlationid,
        )
        row = {"topic": job.context.topics.chunks, "key": chunk_key(job.id, number), "value": value}
        conn.execute(INBOX["put_outbox"], row)


def _record(checkpoint: Checkpoint, scope: Scope, changes: Changes) -> None:
    written: list[tuple[Action, list[Match]]] = [("created", changes.new_links), ("updated", changes.changed_links)]
    for action, rows in written:
        for row in rows:
            ids = {scope.hub: row.hub_id, scope.platform: row.remote_id}
            checkpoint.item(f"{scope.kind}/{row.hub_id}", action, ids)


def _count(checkpoint: Checkpoint, decision: Decision, changes: Changes, confirmed: int) -> None:
    """matched = created + updated + unchanged; people's links count as unchanged."""
    counters = checkpoint.counters
    matched = len(decision.links) + confirmed
    counters.pending = 0
    counters.count(successful=matched, skipped=(counters.total or 0) - matched)
    counters.metadata.update(
        {
            "exactMatches": sum(one.method in EXACT for one in decision.links),
            "matched": matched,
            "skipped": counters.skipped,
            "created": len(changes.new_links),
            "updated": len(changes.changed_links),
            "unchanged": changes.unchanged_links + confirmed,
            "removed": changes.lost_links,
            "review": len({one.hub_id for one in decision.reviews}),
            "waitingByName": decision.waiting_by_name,
        }
    )
