"""AUTO_MATCH_PRODUCTS and AUTO_MATCH_CUSTOMERS: plan chunks, watch agents score them, decide, write.

1. Plan, in one page: snapshot of both sides, chunk rows, a message a chunk, cursor {"step": "scoring"}.
2. Watch the rows. What is overdue is sent again; a message lost or doubled on the way costs time, never a result.
3. Decide, in one page: resolve one-to-one under the account's lock, write mappings, cursor {"step": "written"}.
A worker that dies anywhere is followed by one that goes on at the cursor with the same snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.events import Action, ErrorInfo
from job_events.job_types import MatchParams
from matcher.domain.candidates import EXACT
from matcher.domain.mappings import Changes, Match, compare, earlier_links, known
from matcher.domain.resolution import RESOLVERS, Bands, Decision, LinkByName
from matcher.edits import nothing_pulled
from matcher.messages import chunk_key, encode_chunk
from matcher.store import chunks, matches, snapshots
from matcher.store.matches import Scope
from matcher.store.snapshots import Kind
from platforms.errors import InvalidAccount
from service_kit.database import refresh_statistics
from worker.errors import JobFailed
from worker.inbox import SQL as INBOX
from worker.job import Checkpoint, JobResult, RunningJob, params_of

_WHY = "agents score the chunks"
_SHORTEST_LOOK, _LONGEST_LOOK = 0.1, 2.0  # seconds between looks at the rows


@dataclass(frozen=True, slots=True)
class Planning:
    """How a job is cut up. `overdue`: how long a chunk may be silent before it is sent again."""

    chunk_size: int
    overdue: timedelta


class AutomaticMatch:
    """The handler of one automatic match job type."""

    def __init__(self, kind: Kind, planning: Planning) -> None:
        self._kind: Kind = kind
        self._planning = planning

    def __call__(self, job: RunningJob) -> JobResult | None:
        if job.cursor is None:
            self._plan(job)
        cursor: Any = job.cursor  # a dictionary since the plan's page
        if cursor["step"] == "scoring":
            broken = self._watch(job)
            if broken is not None:
                return JobResult("error", ErrorInfo("INTERNAL", "CHUNK_FAILED", broken))
            job.progress("deciding")
            self._decide(job)
        return None

    def _plan(self, job: RunningJob) -> None:
        job.progress("planning")
        with job.checkpoint() as checkpoint:
            try:
                left, right = snapshots.take(checkpoint.connection, self._kind, job.id, job.tenant, job.account)
            except (UndefinedTable, InvalidSchemaName):
                raise nothing_pulled() from None
            number = chunks.plan(checkpoint.connection, job.id, left, self._planning.chunk_size)
            _send(checkpoint.connection, job, range(number))
            name = self._kind.capitalize()
            checkpoint.counters.total = left
            checkpoint.counters.metadata.update(
                {f"nhanh{name}sLoaded": left, f"shopify{name}sLoaded": right, "chunks": number, "chunksResent": 0}
            )
            checkpoint.cursor = {"step": "scoring"}

    def _watch(self, job: RunningJob) -> str | None:
        """Block until all chunks are scored; why not, if one never will be."""
        # The same words as the wait's, so that looking is no news.
        job.progress(f"waiting: {_WHY}")
        pause = _SHORTEST_LOOK
        while True:
            with job.context.pool.connection() as conn:
                look = chunks.look(conn, job.id, self._planning.overdue)
            if look.failure is not None:
                return look.failure
            if look.scored != job.counters.pending:
                with job.checkpoint() as checkpoint:
                    checkpoint.counters.pending = look.scored
                pause = _SHORTEST_LOOK
            if look.finished == look.total:
                return None
            if look.overdue:
                with job.checkpoint() as checkpoint:
                    numbers = chunks.resend(checkpoint.connection, job.id, look.overdue)
                    _send(checkpoint.connection, job, numbers)
                    checkpoint.counters.count(chunksResent=len(numbers))
            job.wait(pause, _WHY)
            pause = min(pause * 1.5, _LONGEST_LOOK)

    def _decide(self, job: RunningJob) -> None:
        scope = Scope(job.tenant, job.account, self._kind)
        params = params_of(job, MatchParams)
        with job.checkpoint() as checkpoint:
            conn = checkpoint.connection
            results = chunks.results(conn, job.id)
            candidates = [one for result in results for one in result.candidates]
            matches.lock(conn, scope)
            rows = matches.read_all(conn, scope)
            remembered = matches.read_former(conn, scope)
            former = snapshots.former_links(conn, job.id, earlier_links(rows, remembered))
            people = known(rows, former)
            bands = Bands.of(params.auto, params.review, _link_by_name(conn, scope))
            decision = RESOLVERS[self._kind](candidates, people, bands)
            changes = compare(rows, decision)
            matches.apply(conn, scope, job.id, changes)
            matches.keep_former(conn, scope, remembered, decision.former)
            confirmed = snapshots.both_present(conn, job.id, people.confirmed.items())
            _record(checkpoint, self._kind, changes)
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
    """Promise a message a chunk; it leaves with the page."""
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


def _record(checkpoint: Checkpoint, kind: Kind, changes: Changes) -> None:
    written: list[tuple[Action, list[Match]]] = [("created", changes.new_links), ("updated", changes.changed_links)]
    for action, rows in written:
        for row in rows:
            checkpoint.item(f"{kind}/{row.hub_id}", action, {"nhanh": row.hub_id, "shopify": row.remote_id})


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
