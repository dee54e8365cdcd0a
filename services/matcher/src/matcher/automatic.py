"""AUTO_MATCH_PRODUCTS and AUTO_MATCH_CUSTOMERS: plan chunks, wait until agents have scored them, decide, write.

1. Plan, in one checkpoint: snapshot of both platforms, chunk rows, a message a chunk, cursor {"step": "scoring"}.
2. Poll the rows. An overdue chunk is sent again: a message that is lost or doubled costs time, never a result.
3. Decide, in one checkpoint: resolve one-to-one under the account's lock, write matches, cursor {"step": "written"}.
A worker that takes over after a crash goes on at the cursor with the same snapshot.

With `since` or `only` the agents score what changed (rescoring.py), and the decision takes the stored candidates of all
other records: it is the decision of a run that scores everything. `only` writes the rows of the chosen records alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from psycopg import Connection
from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.events import Action, ErrorInfo
from job_events.job_params import MatchParams
from matcher.domain.candidates import EXACT, Candidate
from matcher.domain.chosen import former_of_chosen, of_chosen
from matcher.domain.mappings import Changes, Match, compare, earlier_links, known
from matcher.domain.resolution import RESOLVERS, Bands, Decision, LinkByName
from matcher.messages import chunk_key, encode_chunk
from matcher.rescoring import Cursor, plan_scoring
from matcher.scope import nothing_pulled, scope_of
from matcher.store import candidate_lists, chunks, known_records, matches, snapshots
from matcher.store.known_records import Memory
from matcher.store.snapshots import Scope
from matcher.versions import scoring_version
from platforms.adapter import Kind
from platforms.errors import InvalidAccount
from platforms.registry import platforms as all_platforms
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
        chosen = frozenset(params.only)
        if job.cursor is None:
            self._plan(job, scope, params)
        cursor = msgspec.convert(job.cursor, Cursor)
        if cursor.step == "scoring":
            failure = self._wait_for_scores(job, counted=not chosen)
            if failure is not None:
                return JobResult("error", ErrorInfo("INTERNAL", "CHUNK_FAILED", failure))
            job.progress("deciding")
            _Deciding(job, scope, cursor, chosen).decide(params)
        if chosen and job.counters.failed == len(chosen):
            reason = f"none of the {len(chosen)} chosen records is in the catalogue, as of the last pull"
            return JobResult("failure", ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", reason))
        return None

    def _plan(self, job: RunningJob, scope: Scope, params: MatchParams) -> None:
        job.progress("planning")
        with job.checkpoint() as checkpoint:
            conn = checkpoint.connection
            settings = _settings(Bands.of(params.auto, params.review, link_by_name(conn, scope)))
            try:
                plan = plan_scoring(
                    conn, scope, job.id, params, settings, chunk_size=self._planning.chunk_size, check=job.check
                )
            except (UndefinedTable, InvalidSchemaName):
                raise nothing_pulled() from None
            _send(conn, job, plan.numbers)
            loaded = f"{self._kind.capitalize()}sLoaded"
            checkpoint.counters.total = len(set(params.only)) or plan.catalogue.of_hub
            checkpoint.counters.metadata.update(
                {
                    f"{scope.hub}{loaded}": plan.catalogue.of_hub,
                    f"{scope.platform}{loaded}": plan.catalogue.of_channel,
                    "chunks": len(plan.numbers),
                    "chunksResent": 0,
                    **plan.metadata,
                }
            )
            checkpoint.cursor = msgspec.to_builtins(plan.cursor)

    def _wait_for_scores(self, job: RunningJob, *, counted: bool) -> str | None:
        """Block until all chunks are scored; the reason if one cannot be scored.

        counted: what is scored counts as processed.
        """
        # The same words as those of the wait below, so that a poll makes no progress event.
        job.progress(f"waiting: {_REASON}")
        pause = _SHORTEST_POLL
        scored = job.counters.metadata.get("scored", 0)
        while True:
            with job.context.pool.connection() as conn:
                state = chunks.state(conn, job.id, self._planning.overdue)
            if state.failure is not None:
                return state.failure
            if state.scored != scored:
                with job.checkpoint() as checkpoint:
                    checkpoint.counters.metadata["scored"] = scored = state.scored
                    checkpoint.counters.pending = state.scored if counted else 0
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


class _Deciding:
    """The last step of one job. chosen: the records that it is limited to; empty = all."""

    def __init__(self, job: RunningJob, scope: Scope, cursor: Cursor, chosen: frozenset[str]) -> None:
        self._job, self._scope, self._cursor, self._chosen = job, scope, cursor, chosen

    def decide(self, params: MatchParams) -> None:
        """Resolve one-to-one, write the matches, and store the candidates for the next run."""
        scope, job = self._scope, self._job
        with job.checkpoint() as checkpoint:
            conn = checkpoint.connection
            matches.lock(conn, scope)
            memory = known_records.memory(conn, scope)
            current = self._is_current(conn, memory)
            bands = Bands.of(params.auto, params.review, link_by_name(conn, scope))
            candidates, counts = self._candidates(conn, memory if current else None, _settings(bands))
            rows = matches.read_all(conn, scope)
            stored = matches.read_former(conn, scope)
            earlier = earlier_links(rows, stored)
            former = (
                known_records.former_links(conn, scope, earlier)
                if current
                else snapshots.former_links(conn, scope, job.id, earlier)
            )
            decided = known(rows, former)
            decision = RESOLVERS[scope.kind](candidates, decided, bands)
            people = [pair for pair in decided.confirmed.items() if not self._chosen or pair[0] in self._chosen]
            if self._chosen:
                decision = of_chosen(decision, rows, self._chosen)
                rows = [row for row in rows if row.hub_id in self._chosen]
                kept = former_of_chosen(stored, decision, self._chosen).items()
                self._count_unknown(checkpoint)
                candidates = [one for one in candidates if one.hub_id in self._chosen]
            else:
                kept = decision.former
            changes = compare(rows, decision)
            matches.apply(conn, scope, job.id, changes)
            matches.keep_former(conn, scope, stored, kept)
            confirmed = (
                known_records.both_present(conn, scope, people)
                if current
                else snapshots.both_present(conn, scope, job.id, people)
            )
            record_links(checkpoint, scope, changes)
            count_links(checkpoint, decision, changes, confirmed)
            checkpoint.counters.metadata["potentialMatches"] = sum(
                one.method in EXACT or one.score >= bands.review for one in candidates
            )
            checkpoint.counters.metadata.update(counts)
            snapshots.drop(conn, job.id)
            refresh_statistics(conn, "match")
            checkpoint.cursor = {"step": "written"}

    def _is_current(self, conn: Connection, memory: Memory) -> bool:
        """Whether the known records are still those that were scored, and code of this version scored them."""
        read_again = self._cursor.generation != memory.generation
        other_code = not chunks.all_of_version(conn, self._job.id, scoring_version())
        if not self._cursor.everything and (read_again or other_code):
            what = "another match read the catalogue" if read_again else "agents of another version scored"
            reason = f"While this job waited {what}, so its scores do not fit the stored ones; start it again."
            raise JobFailed("CONFLICT", "SCORES_OUTDATED", reason)
        return not (read_again or other_code)

    def _candidates(
        self, conn: Connection, memory: Memory | None, settings: str
    ) -> tuple[list[Candidate], dict[str, int]]:
        """All candidates, those of records that were not scored again too, and what the job counts of them.

        memory: of the stored candidates, which are replaced; None where they must stay as they are.
        """
        scope, job = self._scope, self._job
        results = chunks.results(conn, job.id)
        candidates = [one for result in results for one in result.candidates]
        counts: dict[str, int] = {}
        for result in results:
            for name, number in result.counts.items():
                counts[name] = counts.get(name, 0) + number
        if memory is None:
            return candidates, counts
        scored = set(candidate_lists.scored(conn, scope, job.id))
        candidates = [one for one in candidates if one.hub_id in scored]
        others = [] if self._cursor.everything else candidate_lists.others(conn, scope, scored)
        candidate_lists.replace(conn, scope, scored, candidates)
        match_settings = memory.settings if self._chosen and memory.settings else settings
        remembered = Memory(scoring_version(), match_settings, self._cursor.time)
        known_records.remember(conn, scope, job.id, remembered)
        if scope.kind == "customer":
            counts = known_records.phone_counts(conn, scope)
        return [*others, *candidates], counts

    def _count_unknown(self, checkpoint: Checkpoint) -> None:
        """Record an item for each chosen record that the catalogue does not have."""
        scope = self._scope
        title = all_platforms()[scope.hub].title
        for hub_id in sorted(self._chosen - known_records.present(checkpoint.connection, scope, self._chosen)):
            reason = f"{title} has no {scope.kind} {hub_id} in this account, as of the last pull."
            error = ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", reason)
            checkpoint.item(f"{scope.kind}/{hub_id}", "failed", {scope.hub: hub_id}, error=error)
            checkpoint.counters.count(failed=1)


def link_by_name(conn: Connection, scope: Scope) -> LinkByName:
    """The account's setting.

    Raises:
        JobFailed: another version stored settings that this one cannot read.
    """
    try:
        return matches.settings(conn, scope.tenant, scope.account).link_by_name
    except InvalidAccount as error:
        reason = f"{error}: stored for {scope.tenant}/{scope.account} by another version; store its settings anew"
        raise JobFailed("VALIDATION_FAILED", "SETTINGS_UNREADABLE", reason) from None


def record_links(checkpoint: Checkpoint, scope: Scope, changes: Changes) -> None:
    """Record an item for each link that is new or changed."""
    written: list[tuple[Action, list[Match]]] = [("created", changes.new_links), ("updated", changes.changed_links)]
    for action, rows in written:
        for row in rows:
            ids = {scope.hub: row.hub_id, scope.platform: row.remote_id}
            checkpoint.item(f"{scope.kind}/{row.hub_id}", action, ids)


def count_links(checkpoint: Checkpoint, decision: Decision, changes: Changes, confirmed: int) -> None:
    """matched = created + updated + unchanged; people's links count as unchanged."""
    counters = checkpoint.counters
    matched = len(decision.links) + confirmed
    counters.pending = 0
    counters.count(successful=matched, skipped=(counters.total or 0) - counters.failed - matched)
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


def _settings(bands: Bands) -> str:
    return f"{bands.auto}/{bands.review}/{bands.link_by_name}"


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
