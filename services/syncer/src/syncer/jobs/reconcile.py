"""RECONCILE_PRODUCTS: every linked product read now in the hub and in the channel, and compared. Writes to no shop.

A batch is read from both, outside of any transaction, and compared as a sync does right before it writes. One
transaction stores its drifts, their events, the counters and the cursor. So a job that is killed reads its last batch
again, and has told nothing of it before.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from job_events.events import Action, ErrorInfo
from job_events.job_params import ReconcileParams
from platforms import registry
from platforms.accounts import AccountStore
from platforms.adapter import CallCounts, ChosenReader, PullSource, RemoteRecord, Writer
from platforms.buckets import Buckets
from platforms.connections import Connection
from platforms.errors import MalformedRecord
from platforms.json_fields import identifier, mapping
from platforms.records import ProductRecord, Variant
from platforms.results import Exchange
from platforms.settings import AccountSettings
from service_kit.database import refresh_statistics
from syncer.domain.drift import Drift, find_drift
from syncer.domain.plan import ConflictRules, LastWritten
from syncer.jobs.accounts import marked_if_refused, needs_views, read_account, writer_of
from syncer.jobs.batches import NOT_IN_CHANNEL
from syncer.jobs.item_results import field_changes
from syncer.jobs.products import ProductTarget
from syncer.jobs.targets import Pair
from syncer.store import reconciliations, rows, written
from syncer.store.reconciliations import Figures
from syncer.store.rows import Row, Scope
from worker.errors import JobFailed
from worker.job import Checkpoint, RunningJob, params_of

_NOT_IN_HUB: Final = ErrorInfo("NOT_FOUND", "GONE_FROM_HUB", "the linked product no longer exists in Nhanh")


class ReconcileCursor(Struct, frozen=True, omit_defaults=True):
    """The job's cursor. after: the channel's id of the last pair that was read; chosen: how many of the chosen ids
    were; done: the figures are stored.
    """

    after: str = ""
    chosen: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of one linked product. error: why it could not be compared; missing: one of both is gone.

    skipped: it counts as skipped, not as failed. Without an error and a drift it is as it should be.
    """

    pair: Pair
    drift: Drift | None = None
    error: ErrorInfo | None = None
    missing: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Reconcile:
    """The handler of RECONCILE_PRODUCTS."""

    accounts: AccountStore
    buckets: Buckets

    def __call__(self, job: RunningJob) -> None:
        """Run one attempt. Raises JobFailed, PlatformError, Interrupted."""
        params, hub = params_of(job, ReconcileParams), registry.hub()
        chosen = tuple(dict.fromkeys(params.only))
        scope = Scope(job.tenant, job.account, "product", params.platform, hub.name, chosen or None)
        source, open_writer = hub.pulls["product"], writer_of(scope)
        if source.chosen is None:
            raise JobFailed("VALIDATION_FAILED", "NOT_OFFERED", f"{hub.name} lists no products by their ids")
        settings, connections = read_account(self.accounts, job, [hub.name, scope.platform])
        of_hub, of_channel = connections
        reader = source.chosen(of_hub, job.wait, self.buckets)
        with closing(reader.client), closing(open_writer(of_channel, job.wait, self.buckets, _unlogged)) as writer:
            both = _BothSides(self.accounts, source, reader, of_hub, writer, of_channel)
            _Run(job, scope, settings, both).run()


@dataclass(frozen=True, slots=True)
class _BothSides:
    """What hub and channel hold now. A platform that refuses its credentials is marked."""

    accounts: AccountStore
    source: PullSource
    reader: ChosenReader
    of_hub: Connection
    writer: Writer
    of_channel: Connection

    def hub(self, ids: Sequence[str]) -> dict[str, Variant | MalformedRecord]:
        """What the hub sells under these ids, or why it cannot be read; "": a record without a readable id."""
        found: dict[str, Variant | MalformedRecord] = {}
        with marked_if_refused(self.accounts, self.of_hub):
            for start in range(0, len(ids), self.reader.size):
                for item in self.reader.read(ids[start : start + self.reader.size]):
                    found |= self._variants(item)
        return found

    def channel(self, ids: Sequence[str]) -> dict[str, RemoteRecord]:
        """The records that the channel has."""
        found: dict[str, RemoteRecord] = {}
        with marked_if_refused(self.accounts, self.of_channel):
            for start in range(0, len(ids), self.writer.batch_size):
                found |= self.writer.read(ids[start : start + self.writer.batch_size])
        return found

    def _variants(self, item: Mapping[str, Any]) -> Mapping[str, Variant | MalformedRecord]:
        try:
            record = self.source.read(mapping(item, "item"))
        except MalformedRecord as error:
            return {_id_of(item): error}
        return {one.variant_id: one for one in record.variants} if isinstance(record, ProductRecord) else {}


class _Run:
    """One attempt of a job."""

    def __init__(self, job: RunningJob, scope: Scope, settings: AccountSettings, both: _BothSides) -> None:
        self._job, self._scope, self._both = job, scope, both
        self._settings = settings
        self._rules = ConflictRules(settings.conflict_rule, settings.stock_conflict_rule)
        self._target = ProductTarget()
        self._calls = (CallCounts(both.reader.client), CallCounts(both.writer))

    def run(self) -> None:
        """Compare batch by batch from the cursor on, then store the figures."""
        job = self._job
        with needs_views(job), marked_if_refused(self._both.accounts, self._both.of_channel):
            self._target.prepare(self._both.writer, self._settings, job.context.pool, self._scope)
            if job.cursor is None:
                self._begin()
            if job.counters.total:
                self._target.check_writable()
        position = msgspec.convert(job.cursor, ReconcileCursor)
        while not position.done:
            job.check()
            job.progress("comparing")
            position = self._next_batch(position)
        with job.context.pool.connection() as conn:
            refresh_statistics(conn, "drift")

    def _begin(self) -> None:
        with self._job.checkpoint() as checkpoint:
            count, only = rows.count_pairs(checkpoint.connection, self._scope), self._scope.only
            checkpoint.counters.total = count if only is None else len(only)
            checkpoint.counters.count(
                batches=0, checked=0, drifted=0, driftStock=0, driftPrice=0, missing=0, notCompared=0
            )
            checkpoint.cursor = msgspec.to_builtins(ReconcileCursor())

    def _next_batch(self, position: ReconcileCursor) -> ReconcileCursor:
        """Compare the next batch, or end where there is none; where the job goes on."""
        ids, following = self._next_ids(position)
        if not ids:
            self._end(following)
            return following
        found = self._rows(ids)
        compared = self._compare(found)
        linked = {row["hub_id"] for row in found}
        with self._job.checkpoint() as checkpoint:
            self._record(checkpoint, compared)
            if self._scope.only is not None:
                self._record_absent(checkpoint, ids, linked)
            checkpoint.counters.count(batches=1)
            self._count_calls(checkpoint)
            checkpoint.cursor = msgspec.to_builtins(following)
        return following

    def _next_ids(self, position: ReconcileCursor) -> tuple[Sequence[str], ReconcileCursor]:
        """The hub's ids of the next batch, and the cursor behind it."""
        size, only = self._both.reader.size, self._scope.only
        if only is not None:
            ids = only[position.chosen : position.chosen + size]
            return ids, structs.replace(position, chosen=position.chosen + len(ids), done=not ids)
        with self._job.context.pool.connection() as conn:
            links = reconciliations.linked_after(conn, self._scope, position.after, size)
        after = links[-1][1] if links else position.after
        return [hub_id for hub_id, _ in links], structs.replace(position, after=after, done=not links)

    def _rows(self, hub_ids: Sequence[str]) -> list[Row]:
        scope = replace(self._scope, only=tuple(hub_ids))
        with self._job.context.pool.connection() as conn:
            return [row for page in rows.pages_of_pairs(conn, scope) for row in page]

    def _compare(self, found: Sequence[Row]) -> list[Compared]:
        hub = self._both.hub([row["hub_id"] for row in found])
        places = (place for one in hub.values() if isinstance(one, Variant) for place in one.places)
        self._target.check_depots(place.place_id for place in places)
        remote_ids = [row["remote_id"] for row in found]
        channel = self._both.channel(remote_ids)
        with self._job.context.pool.connection() as conn:
            last_written = written.load(conn, self._scope, remote_ids)
        return [
            self._compared(
                row,
                # A record without a readable id may be any of those that were not found.
                hub.get(row["hub_id"], hub.get("")),
                channel.get(row["remote_id"]),
                last_written.get(row["remote_id"], LastWritten()),
            )
            for row in found
        ]

    def _compared(
        self,
        row: Row,
        hub: Variant | MalformedRecord | None,
        channel: RemoteRecord | None,
        last_written: LastWritten,
    ) -> Compared:
        if not isinstance(hub, Variant):
            pair = self._target.pair(self._scope, row, [])
            if hub is None:
                return Compared(pair, error=_NOT_IN_HUB, missing=True)
            reason = f"Nhanh's record cannot be read: {hub}"[:4096]
            return Compared(pair, error=ErrorInfo("VALIDATION_FAILED", "MALFORMED_RECORD", reason), skipped=True)
        stocks = [(place.place_id, place.available) for place in hub.places]
        pair = self._target.pair(self._scope, _as_read(row, hub), stocks)
        if channel is None:
            return Compared(pair, error=NOT_IN_CHANNEL, missing=True)
        if pair.problem is not None:
            return Compared(pair, error=pair.problem, skipped=pair.skipped)
        return Compared(pair, find_drift(pair.desired, channel.fields, last_written, self._rules))

    def _record(self, checkpoint: Checkpoint, compared: Sequence[Compared]) -> None:
        """Store a batch: since when what differs, an event for each product that differs or could not be compared."""
        drifts = {(one.pair.hub_id, one.pair.remote_id): one.drift for one in compared if one.drift is not None}
        known = [one.pair.remote_id for one in compared if one.error is None or one.missing]
        since = reconciliations.note(checkpoint.connection, self._scope, known, drifts)
        for one in compared:
            checkpoint.counters.count(**_counts(one))
            pair = one.pair
            ids = {self._scope.hub: pair.hub_id, self._scope.platform: pair.remote_id}
            if one.error is not None:
                action: Action = "skipped" if one.skipped else "failed"
                checkpoint.item(pair.hub_id, action, ids, error=one.error, about=pair.about)
            elif one.drift is not None:
                about = pair.about | _about_drift(one.drift, since[pair.remote_id])
                changes = field_changes(one.drift.changes)
                checkpoint.item(pair.hub_id, "would_update", ids, changes=changes, about=about)

    def _record_absent(self, checkpoint: Checkpoint, chosen: Sequence[str], linked: Collection[str]) -> None:
        """Chosen ids that are not linked fail alone, as they do in a sync."""
        scope = replace(self._scope, only=tuple(chosen))
        for pairs in self._target.absent(checkpoint.connection, scope, linked):
            for pair in pairs:
                checkpoint.counters.count(failed=1)
                checkpoint.item(pair.hub_id, "failed", {scope.hub: pair.hub_id}, error=pair.problem)

    def _end(self, cursor: ReconcileCursor) -> None:
        with self._job.checkpoint() as checkpoint:
            metadata = checkpoint.counters.metadata
            figures = Figures(
                metadata["checked"],
                metadata["drifted"],
                metadata["driftStock"],
                metadata["driftPrice"],
                metadata["missing"],
                metadata["notCompared"],
            )
            if self._scope.only is None:
                reconciliations.complete(checkpoint.connection, self._scope, self._job.id, figures)
            self._count_calls(checkpoint)
            checkpoint.cursor = msgspec.to_builtins(cursor)

    def _count_calls(self, checkpoint: Checkpoint) -> None:
        for calls in self._calls:
            checkpoint.counters.count(**calls.since_last())


def _id_of(item: Any) -> str:
    try:
        return identifier(mapping(item, "item").get("id"), "id")
    except MalformedRecord:
        return ""


def _as_read(row: Row, variant: Variant) -> Row:
    """A pair's row of the catalogue with what the hub has just answered in place of what the last pull read."""
    return {
        **row,
        "on_hub": True,
        "hub_stale": None,
        "remote_stale": None,
        "prices": variant.prices,
        "vat_mode": variant.vat_mode,
    }


def _counts(one: Compared) -> dict[str, int]:
    if one.error is not None:
        counts = {"missing": 1} if one.missing else {"notCompared": 1}
        return {**counts, "skipped" if one.skipped else "failed": 1}
    if one.drift is None:
        return {"successful": 1, "checked": 1}
    stock, price = int(one.drift.of_stock), int(one.drift.of_price)
    return {"successful": 1, "checked": 1, "drifted": 1, "driftStock": stock, "driftPrice": price}


def _about_drift(drift: Drift, since: datetime) -> dict[str, str]:
    found = {"since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "last_write": drift.last_write}
    if drift.kept:
        found["note"] = f"a sync leaves {', '.join(drift.kept)} as it is, by the account's conflict rule"
    return found


def _unlogged(exchange: Exchange) -> None:
    """Exchanges of a job that only reads are not kept, as those of a pull are not."""
    del exchange
