"""The steps of a rebuild and of an audit: plan, fill the shadow, compare, and perhaps swap."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader

from job_tracker.domain.horizon import NEVER
from job_tracker.log.broker import Broker
from job_tracker.log.records import Positions, Span, TopicPartition
from job_tracker.projector.jobs_projection import refill_rollups
from job_tracker.rebuild import compare
from job_tracker.rebuild.checks import check_topics, look_at_log, refuse_losses, take_lock
from job_tracker.rebuild.compare import Difference
from job_tracker.rebuild.keep import EVERY_JOB, RowKeeper
from job_tracker.rebuild.plan import Plan, Spans, TopicIds, make_plan, offsets
from job_tracker.rebuild.projection import Sample, ShadowProjection
from job_tracker.rebuild.report import Progress
from job_tracker.rebuild.shadow import ShadowTables
from job_tracker.rebuild.shares import SharedFiller
from job_tracker.rebuild.sources import Sources
from job_tracker.rebuild.swap import Swap, drop_replaced, refuse_blockers
from job_tracker.store.horizon import delete_forgotten_of_shadow, move_horizon, sweeps_locked
from job_tracker.store.offsets import (
    LivePosition,
    insert_earlier,
    live_earlier,
    live_positions,
    lock_positions,
    set_positions,
)
from job_tracker.store.postgres import Connection, connect
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "shadow.sql")
_NEAR = 20_000  # records behind the live table at which the shadow is close enough to be compared


@dataclass(slots=True)
class ShadowRebuild:
    """One shadow on its way from an empty schema to the live table's positions."""

    database_url: str
    connection: Connection
    broker: Broker
    sources: Sources
    projection: ShadowProjection
    shadow: ShadowTables
    filler: SharedFiller
    sample: Sample | None
    history_since: Callable[[], datetime]
    dead_letters_since: Callable[[], datetime]
    progress: Progress
    ensure_days: Callable[[set[date]], None]
    horizon: Callable[[], datetime]
    _plan: Plan = field(default_factory=Plan, init=False)
    _positions: Positions = field(default_factory=dict, init=False)
    _locked: bool = field(default=False, init=False)

    def begin(self, *, whole_log: bool, accept_loss: bool, lost_jobs: Collection[str] = ()) -> list[str]:
        """Plan, make the shadow, and read everything up to where the live table stands now; what an operator must know.

        Where the log is incomplete, the live rows that know more are taken over, but those of `lost_jobs`; of none if
        EVERY_JOB is among these.

        Raises:
            RebuildRefused: the log has lost what the table may hold, and no archive has it.
            ArchiveDamaged, LogBroken, LogTimeout, BrokerAway
        """
        take_lock(self.connection, self.shadow.name)
        self._locked = True
        if whole_log:  # an audit may run beside a swap
            drop_replaced(self.connection)
        self._plan = self._make_plan(whole_log)
        if not accept_loss:
            refuse_losses(self._plan, may_accept=whole_log)
        self.shadow.create()
        for topic_id, spans in self._plan.earlier.items():
            self._fill_earlier(topic_id, spans)
        self._positions = dict(self._plan.start)
        self._settle()
        self._fill(self._plan.target)
        while self._behind(live := self.live()) > _NEAR:
            self.advance(live)
        return [*self._plan.sentences(), *self._kept(lost_jobs), *self._days_left_out()]

    def live(self, connection: Connection | None = None) -> dict[TopicPartition, LivePosition]:
        """Where the live table stands, as `connection` sees it."""
        return live_positions(connection or self.connection, self.projection.name)

    def advance(self, live: Mapping[TopicPartition, LivePosition]) -> None:
        """Read on to the live table's positions, and stand exactly there."""
        for partition in live.keys() - self._positions.keys() - self._plan.detached:
            # A projector has begun it since.
            begun = live[partition]
            self._plan.topic_ids[partition] = begun.topic_id
            self._plan.start[partition] = self._positions[partition] = begun.first_offset
        self._settle()
        self._fill(self._targets(live))

    def differences(self, *, history_rows: bool) -> Iterator[Difference]:
        """Bring the shadow to one state of the live tables, and say where they differ from it in that state.

        The history is counted; with `history_rows` its rows are compared too.
        """
        with ExitStack() as opened:
            live, shadow = (opened.enter_context(self._one_state(name)) for name in ("tracker", self.shadow.name))
            with sweeps_locked(self.database_url):
                self.advance(self.live(live))
                self._forget()
            # As of now: what retention took from the live tables since this began is in the shadow still.
            history_since, dead_letters_since = self.history_since(), self.dead_letters_since()
            done = self.progress("comparing jobs", compare.count_jobs(live))
            yield from compare.job_differences(live, shadow, self.sample, done)
            if self.sample is not None:
                yield from compare.miscounted(live)
            else:
                self.progress("comparing counts, history and dead letters", 0)
                yield from compare.rollup_differences(live, shadow)
                yield from compare.history_differences(live, shadow, history_since, rows=history_rows)
                yield from compare.dead_letter_differences(live, shadow, dead_letters_since, self.projection.topics)

    def swap(self) -> None:
        """Put the shadow in the live table's place.

        Raises:
            SwapBlocked: nothing has changed.
        """
        self.check_swap()
        self.progress("building indexes", 0)
        with connect(self.database_url, self.shadow.name) as other:
            self.shadow.index(other)
        self.shadow.forget_deleted()
        self.advance(self.live())
        with sweeps_locked(self.database_url), connect(self.database_url) as exchanging:
            self._forget()
            self.progress("swapping", 0)
            Swap(exchanging, self.connection, self.shadow.name, self.projection.name).run(
                self.projection.topics, self._plan.detached, self.advance, self.dead_letters_since()
            )
            move_horizon(exchanging, self.horizon())  # of a database that is newer than its archive

    def check_swap(self) -> None:
        """Before a long run: refuse if there are dependent objects that no swap can preserve.

        Raises:
            SwapBlocked
        """
        refuse_blockers(self.connection)

    def end(self, connection: Connection) -> None:
        """Drop the shadow, unless it belongs to another process.

        `connection` is one like the own: an interrupt may have met that within a command, and it answers nothing more.
        """
        if not self._locked:
            return
        if self.connection.info.transaction_status == TransactionStatus.ACTIVE:
            self.connection.cancel_safe()
        self.shadow.drop(connection)

    def _forget(self) -> None:
        """Delete from the shadow what is behind the horizon, as the sweep has done or will do in the live table."""
        horizon = self.horizon()
        if horizon > NEVER:
            delete_forgotten_of_shadow(self.connection, horizon, lossy=bool(self._plan.losses))

    def _kept(self, lost_jobs: Collection[str]) -> list[str]:
        if not self._plan.losses or EVERY_JOB in lost_jobs:
            return []
        with connect(self.database_url) as holding, connect(self.database_url, self.shadow.name) as keeping:
            keeping.execute(self.projection.session)
            keeper = RowKeeper(keeping, self.projection, self.ensure_days)
            with holding.transaction():  # projectors wait: what differs now differs because of the log
                self.advance(lock_positions(holding, self.projection.name))
                return keeper.keep(self._plan.gone, lost_jobs, self.history_since())

    def _days_left_out(self) -> list[str]:
        since = self.history_since()
        (first,) = self.connection.execute(_SQL["first_day_before"], {"since": since.date()}).fetchone() or (None,)
        if first is None:
            return []
        return [
            f"The live history has days before {since.date()}, from {first} on. JOBTRAIL_HISTORY_DAYS of this "
            "command keeps none of them: they are not compared, and a swap leaves them out."
        ]

    def _make_plan(self, whole_log: bool) -> Plan:
        # In this order: what a projector reads meanwhile is in the log then. The other way round it would seem lost.
        live, earlier = self.live(), live_earlier(self.connection, self.projection.name)
        return make_plan(
            live=live,
            live_earlier=earlier,
            log=look_at_log(self.broker, self.projection.topics),
            archived=self.sources.archived,
            archived_ids=self.sources.archived_ids,
            whole_log=whole_log,
        )

    def _fill_earlier(self, topic_id: str, spans: Mapping[TopicPartition, Span]) -> None:
        self._stand({partition: LivePosition(topic_id, span.low, span.low) for partition, span in spans.items()})
        insert_earlier(self.connection, self.projection.name, topic_id, spans)
        self._read("reading what only the archive has", dict.fromkeys(spans, topic_id), spans)

    def _fill(self, targets: Positions) -> None:
        spans = {p: Span(self._positions[p], end) for p, end in targets.items() if end > self._positions[p]}
        if not spans:
            return
        self._read("reading the log", self._plan.topic_ids, spans)
        check_topics(self.broker, self._plan.topic_ids)
        self._positions |= {partition: span.high for partition, span in spans.items()}
        self._settle()

    def _read(self, what: str, topic_ids: TopicIds, spans: Spans) -> None:
        if not self.filler.fill(topic_ids, spans, self.progress(what, offsets(spans))):
            self.progress("counting jobs", 0)
            refill_rollups(self.connection)

    def _settle(self) -> None:
        """The shadow stands where it was read to, also behind offsets that hold no record."""
        plan = self._plan
        self._stand(
            {p: LivePosition(plan.topic_ids[p], plan.start[p], position) for p, position in self._positions.items()}
        )

    def _stand(self, places: Mapping[TopicPartition, LivePosition]) -> None:
        set_positions(self.connection, self.projection.name, places)

    def _targets(self, live: Mapping[TopicPartition, LivePosition]) -> Positions:
        return {p: held.next_offset for p, held in live.items() if p not in self._plan.detached}

    def _behind(self, live: Mapping[TopicPartition, LivePosition]) -> int:
        targets = self._targets({p: held for p, held in live.items() if p in self._positions})
        return sum(max(0, end - self._positions[p]) for p, end in targets.items())

    @contextmanager
    def _one_state(self, schema: str) -> Generator[Connection]:
        """A transaction that sees one state; of the shadow, the one after `advance`."""
        with connect(self.database_url, schema) as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The days of the history are counted in memory, where they would else be sorted on disk.
            connection.execute("SET LOCAL work_mem TO '64MB'")
            for kind in ("date", "timestamptz"):  # some of PostgreSQL's Python does not have
                connection.adapters.register_loader(kind, TextLoader)
            yield connection
