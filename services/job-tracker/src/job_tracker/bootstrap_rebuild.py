"""Wires the commands that read the whole log: rebuild, audit, skip-gap."""

import sys
import time
from collections.abc import Callable, Collection, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import LiteralString

from confluent_kafka import KafkaException
from rich.console import Console
from rich.prompt import Confirm

from job_events.topics import Topics
from job_tracker import bootstrap
from job_tracker.archive.catalogue import ArchiveCatalogue, ArchiveHorizon, read_horizon
from job_tracker.archive.files import reading
from job_tracker.domain.horizon import Lateness
from job_tracker.errors import ShareLost
from job_tracker.log.broker import Broker
from job_tracker.log.messages import to_record
from job_tracker.log.reader import read_log
from job_tracker.log.records import Span, TopicPartition
from job_tracker.projector.commit import Committer
from job_tracker.projector.items_projection import ItemsContent, ItemsProjection
from job_tracker.projector.jobs_projection import JobsContent, JobsProjection
from job_tracker.rebuild.compare import count_jobs
from job_tracker.rebuild.days import Days
from job_tracker.rebuild.fill import Filler
from job_tracker.rebuild.items_rebuild import ItemsRebuild
from job_tracker.rebuild.plan import Spans, TopicIds
from job_tracker.rebuild.projection import ItemsReplay, Sample, ShadowProjection
from job_tracker.rebuild.report import RebuildReport
from job_tracker.rebuild.run import ShadowRebuild
from job_tracker.rebuild.shadow import ShadowTables
from job_tracker.rebuild.shares import SharedFiller
from job_tracker.rebuild.skip import GapSkipper, LogGap
from job_tracker.rebuild.sources import Sources
from job_tracker.retention import dead_letters_since, history_since
from job_tracker.settings import Settings
from job_tracker.store.horizon import stored_horizon, stored_rules
from job_tracker.store.postgres import SCHEMA, Connection, RetryingConnection, connect
from job_tracker.store.status import Status
from service_kit.bootstrap import configure_logging
from service_kit.clock import Clock

REBUILD, AUDIT = "tracker_rebuild", "tracker_audit"  # the shadows' schemas
DIFFERENT = 1  # exit status


def run_rebuild(
    settings: Settings,
    clock: Clock,
    console: Console,
    *,
    archive: Path,
    swap: bool,
    accept_loss: bool,
    lost_jobs: Collection[str] = (),
) -> int:
    """Rebuild beside the live table, print what differs, and swap if asked; the exit status.

    `accept_loss`: go on over an incomplete log. No row becomes older then but those of `lost_jobs` (`*`: of all jobs).

    0: nothing differs, or the rebuilt table is in place. 1: something differs and the live table stays.

    Raises:
        RebuildRefused, SwapBlocked, PositionsMoved, ArchiveDamaged, LogBroken, LogTimeout, BrokerAway
        KeyboardInterrupt: its text says which table stands now.
    """
    bootstrap.migrate_schema(settings)
    with _shadow_rebuild(settings, clock, console, REBUILD, archive, None) as (rebuild, report):
        if swap:
            rebuild.check_swap()
        for sentence in rebuild.begin(whole_log=True, accept_loss=accept_loss, lost_jobs=lost_jobs):
            report.say(sentence)
        found = report.show(rebuild.differences(history_rows=False))
        report.say(_verdict(found, "the table rebuilt from the log"))
        if not swap and console.is_interactive and sys.stdin.isatty():
            report.__exit__(None, None, None)
            swap = _asked("Put the rebuilt table in the live one's place?", console)
        if not swap:
            return DIFFERENT if found else 0
        rebuild.swap()
        report.say("The rebuilt table is in place; the replaced one is dropped.")
        return 0


def run_items_rebuild(settings: Settings, clock: Clock, console: Console, *, archive: Path, accept_loss: bool) -> None:
    """Merge the items and dead letters that archive and log hold into the live tables; say what was missing there.

    Raises:
        RebuildRefused, PositionsMoved, ArchiveDamaged, LogBroken, LogTimeout, BrokerAway
        KeyboardInterrupt: its text says what has become of the tables.
    """
    bootstrap.migrate_schema(settings)
    with _items_rebuild(settings, clock, console, archive) as (rebuild, committer, report):
        for sentence in rebuild.begin(accept_loss=accept_loss):
            report.say(sentence)
        rebuild.check_archive()
        rebuild.read()
        if moved := rebuild.move_positions():
            places = ", ".join(f"{topic}[{number}]" for topic, number in moved)
            report.say(f"The items projector goes on from where this reading ended: {places}")
        held = f"the log and {archive} hold" if archive.is_dir() else "the log holds"
        report.say(
            f"{committer.rows:,} item rows written, {committer.dead_letters:,} dead letters added."
            if committer.rows or committer.dead_letters
            else f"Nothing was missing: the tables hold what {held}."
        )


def run_skip_gap(settings: Settings, console: Console, *, yes: bool) -> int:
    """Report what the log has lost before what it still holds, and skip it after a confirmation; the exit status.

    0: there is no gap, or it is skipped. 1: there is one, and it stays. No row of the tables changes.

    Raises:
        RebuildRefused, LogBroken, LogTimeout, BrokerAway
    """
    bootstrap.migrate_schema(settings)
    topics = Topics(settings.jobtrail_topic_prefix)
    broker = Broker(settings.kafka, attempts=10)

    def first_time(partition: TopicPartition, span: Span) -> datetime | None:
        with closing(read_log(settings.kafka, {partition: span}, 1, to_record)) as records:
            return next((record.appended_at for batch in records for record in batch), None)

    with connect(settings.database_url) as connection, RebuildReport(console) as report:
        found: list[tuple[GapSkipper, list[LogGap]]] = []
        for projection in (JobsProjection(topics), ItemsProjection(topics)):
            skipper = GapSkipper(connection, broker, projection.name, projection.topics, first_time)
            gaps, missing = skipper.find()
            for topic in missing:
                report.say(f"{topic}: the broker does not have it. Make it again; until then nothing can be skipped.")
            for gap in gaps:
                report.say(f"Lost: {gap.sentence()}")
                count, jobs = skipper.affected(gap) if isinstance(projection, JobsProjection) else (0, [])
                if count:
                    more = f" and {count - len(jobs):,} more" if count > len(jobs) else ""
                    report.say(f"  {count:,} unfinished jobs may have events there: {', '.join(jobs)}{more}")
            if gaps:
                found.append((skipper, gaps))
        if not found:
            report.say("There is no gap: the log holds every position.")
            return 0
        if not yes:
            report.__exit__(None, None, None)
            asked = console.is_interactive and sys.stdin.isatty()
            if not (asked and _asked("Go on behind what is lost?", console)):
                report.say("Nothing has changed; --yes goes on behind what is lost.")
                return DIFFERENT
        for skipper, gaps in found:
            skipper.skip(gaps)
        report.say("Reading goes on behind what is lost. No row has changed; a job that never ends can be cancelled.")
        return 0


def run_audit(settings: Settings, clock: Clock, console: Console, *, archive: Path, jobs: int | None, seed: int) -> int:
    """Fold `jobs` jobs (None: all) once more and compare them with the live rows; the exit status."""
    bootstrap.migrate_schema(settings)
    with connect(settings.database_url) as connection:
        among = count_jobs(connection)
    sample = Sample.of_size(seed, jobs, among) if jobs is not None else None
    with _shadow_rebuild(settings, clock, console, AUDIT, archive, sample) as (rebuild, report):
        looked = "all jobs" if sample is None else f"about {min(jobs or 0, among):,} of {among:,} jobs (seed {seed})"
        report.say(f"Folding {looked} once more from the log{f' and {archive}' if archive.is_dir() else ''}")
        rebuild.begin(whole_log=False, accept_loss=False)
        found = report.show(rebuild.differences(history_rows=True))
        report.say(_verdict(found, "a fold of the log"))
        return DIFFERENT if found else 0


@dataclass(frozen=True, slots=True)
class _ShadowWork:
    """What a process needs to know to fold the log, or a share of it, into the shadow `schema`."""

    settings: Settings
    schema: str
    archive: Path
    history_since: datetime
    now: datetime
    sample: Sample | None
    lateness: Lateness

    def projection(self, *, with_rollups: bool = True) -> ShadowProjection:
        topics = Topics(self.settings.jobtrail_topic_prefix)
        return ShadowProjection(
            topics, self.history_since, self.sample, with_rollups=with_rollups, lateness=self.lateness
        )

    def sources(self) -> Sources:
        return _sources(self.settings, self.archive, self.projection().topics)

    def connect(self) -> Connection:
        return connect(self.settings.database_url, self.schema)

    def writer(self) -> RetryingConnection:
        # A lost shadow is built again; the commit of the swap waits for the disk.
        return _unsynced_connection(self.settings, ShadowProjection.session, self.schema)

    def filler(
        self, sources: Sources, connection: Connection, writer: RetryingConnection, *, with_rollups: bool = True
    ) -> Filler[JobsContent]:
        projection = self.projection(with_rollups=with_rollups)
        days = Days(connection, self.schema, self.history_since, self.now)
        return Filler(
            sources, Committer(writer, projection), projection, self.settings.jobtrail_batch_events, days.ensure
        )


def _share(work: _ShadowWork, topic_ids: TopicIds, spans: Spans) -> None:
    """Fold these stretches, in a process of its own."""
    configure_logging("job-tracker share")
    with bootstrap.garbage_collection_disabled(), work.connect() as connection, closing(work.writer()) as writer:
        try:
            work.filler(work.sources(), connection, writer, with_rollups=False).fill(topic_ids, spans, lambda _: None)
        except KafkaException as error:  # it cannot be sent to another process
            raise ShareLost(f"Kafka: {error}") from None


@contextmanager
def _shadow_rebuild(
    settings: Settings, clock: Clock, console: Console, schema: str, archive: Path, sample: Sample | None
) -> Generator[tuple[ShadowRebuild, RebuildReport]]:
    """A rebuild whose shadow is dropped at the end in any case."""
    now = clock.now().astimezone(UTC)
    with (
        bootstrap.garbage_collection_disabled(),
        reading(archive),
        connect(settings.database_url, schema) as connection,
        RebuildReport(console) as report,
    ):
        pruned = read_horizon(archive)
        horizon = partial(_horizon, connection, pruned)
        lateness = _lateness(connection, pruned)
        work = _ShadowWork(settings, schema, archive, history_since(now, settings, horizon()), now, sample, lateness)
        projection, sources = work.projection(), work.sources()
        shadow, writer = ShadowTables(connection, schema), work.writer()
        own = work.filler(sources, connection, writer)
        rebuild = ShadowRebuild(
            database_url=settings.database_url,
            connection=connection,
            broker=Broker(settings.kafka, attempts=10),
            sources=sources,
            projection=projection,
            shadow=shadow,
            filler=SharedFiller(own, partial(_share, work), connection, projection.name),
            sample=sample,
            history_since=lambda: history_since(clock.now(), settings, horizon()),
            dead_letters_since=lambda: dead_letters_since(clock.now(), settings, horizon()),
            progress=report.progress,
            ensure_days=Days(connection, schema, work.history_since, now).ensure_days,
            horizon=horizon,
        )

        def standing() -> str:
            with work.connect() as another:
                swapped = shadow.is_live(another)
            return "the rebuilt table is in the live one's place" if swapped else "the live table is as it was"

        with _explained_when_interrupted(standing):
            try:
                yield rebuild, report
            finally:
                writer.close()
                with work.connect() as another:
                    rebuild.end(another)


@contextmanager
def _items_rebuild(
    settings: Settings, clock: Clock, console: Console, archive: Path
) -> Generator[tuple[ItemsRebuild, Committer[ItemsContent], RebuildReport]]:
    """A rebuild of the items whose positions are deleted at the end in any case."""
    topics = Topics(settings.jobtrail_topic_prefix)
    with (
        bootstrap.garbage_collection_disabled(),
        reading(archive),
        connect(settings.database_url) as connection,
        RebuildReport(console) as report,
    ):
        since = dead_letters_since(clock.now().astimezone(UTC), settings, _horizon(connection, read_horizon(archive)))
        projection = ItemsReplay(topics, since)
        sources = _sources(settings, archive, projection.topics)
        # What a crash takes is read again; the last commit, of the positions, waits for the disk and takes all with it.
        writer = _unsynced_connection(settings, projection.session)
        committer = Committer(writer, projection)
        rebuild = ItemsRebuild(
            connection=connection,
            broker=Broker(settings.kafka, attempts=10),
            sources=sources,
            projection=projection,
            live=ItemsProjection(topics).name,
            filler=Filler(sources, committer, projection, settings.jobtrail_batch_events),
            progress=report.progress,
        )
        with _explained_when_interrupted(lambda: "what was merged until then stays; run it again for the rest"):
            try:
                yield rebuild, committer, report
            finally:
                writer.close()
                with connect(settings.database_url) as another:
                    rebuild.end(another)


def _lateness(connection: Connection, pruned: ArchiveHorizon | None) -> Lateness:
    rules = stored_rules(connection)
    return Lateness(rules) if pruned is None else Lateness(rules, pruned.midnight(), frozenset(pruned.jobs))


def _horizon(connection: Connection, pruned: ArchiveHorizon | None) -> datetime:
    """The later one of those of the live table and of the archive."""
    stored = stored_horizon(connection).ended_before
    return stored if pruned is None else max(stored, pruned.midnight())


def _sources(settings: Settings, archive: Path, topics: list[str]) -> Sources:
    return Sources(ArchiveCatalogue(archive, topics), settings.kafka, topics)


def _unsynced_connection(settings: Settings, session: LiteralString, schema: str = SCHEMA) -> RetryingConnection:
    """A connection whose commits do not wait for the disk."""
    session = f"SET synchronous_commit TO off; {session}"
    return RetryingConnection(settings.database_url, Status(time.monotonic), _sleep, schema=schema, session=session)


@contextmanager
def _explained_when_interrupted(standing: Callable[[], str]) -> Generator[None]:
    """Add the state of the tables after the clean-up to a KeyboardInterrupt."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(standing()) from None


def _verdict(found: int, compared: str) -> str:
    if not found:
        return f"No difference: the live table is {compared}, byte for byte."
    return f"{found:,} difference{'s' if found > 1 else ''} between the live table and {compared}."


def _asked(question: str, console: Console) -> bool:
    try:
        return Confirm.ask(question, console=console, default=False)
    except EOFError:
        return False


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
