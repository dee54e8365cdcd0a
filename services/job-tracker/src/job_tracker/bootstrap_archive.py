"""Wires the commands on the archive: write finished days, prune, verify."""

from itertools import groupby
from pathlib import Path

import psycopg
from rich.console import Console

from job_events.topics import Topics
from job_tracker import bootstrap
from job_tracker.archive.catalogue import ArchiveCatalogue
from job_tracker.archive.days import finished_days, write_day
from job_tracker.archive.files import exclusive_lock, no_readers, verify
from job_tracker.archive.prune import MOST_DAYS, days_to_prune, prune_day, remove_former_files, set_horizon
from job_tracker.domain.horizon import NEVER
from job_tracker.errors import ArchiveBusy
from job_tracker.log.broker import Broker
from job_tracker.log.records import Span
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.rebuild.plan import missing
from job_tracker.rebuild.report import RebuildReport
from job_tracker.rebuild.sources import Sources
from job_tracker.settings import Settings
from job_tracker.store.horizon import kept_jobs, stored_horizon
from job_tracker.store.offsets import live_earlier, live_positions
from job_tracker.store.postgres import Connection, connect
from service_kit.clock import Clock


def run_archive(settings: Settings, clock: Clock, console: Console, folder: Path) -> None:
    """Write every finished day that the archive does not have yet.

    Raises:
        ArchiveBusy, ArchiveDamaged, NotArchived, LogBroken, LogTimeout, BrokerAway
    """
    topics = _archived_topics(settings)
    folder.mkdir(parents=True, exist_ok=True)
    broker = Broker(settings.kafka, attempts=10)
    days = 0
    with exclusive_lock(folder), RebuildReport(console) as report:
        catalogue = ArchiveCatalogue(folder, topics)
        for topic in topics:
            for day in finished_days(catalogue, broker, topic, clock.now()):
                done = report.progress(f"{topic} {day.day}", day.offsets)
                manifest = write_day(folder, settings.kafka, broker, day, done)
                days += 1
                report.say(f"{topic} {day.day}: {sum(part.records for part in manifest.parts):,} messages")
        report.say(f"{days} days written; the archive in {folder} is up to date.")
        try:
            _prune(settings, folder, report, MOST_DAYS)
        except (psycopg.Error, ArchiveBusy) as error:
            report.say(f"Not pruned, which the next run does: {str(error).strip()}")


def run_prune(settings: Settings, console: Console, folder: Path) -> None:
    """Remove all that is behind the horizon of finished jobs from the archive.

    Raises:
        ArchiveBusy, ArchiveDamaged
    """
    bootstrap.migrate_schema(settings)
    with exclusive_lock(folder), RebuildReport(console) as report:
        _prune(settings, folder, report, None)


def run_verify(settings: Settings, console: Console, folder: Path) -> None:
    """Read the whole archive and check every file against its manifest.

    Raises:
        ArchiveDamaged
    """
    catalogue = ArchiveCatalogue(folder, _archived_topics(settings))
    unfinished = catalogue.check_folders()
    segments = list(catalogue.all_segments())
    with RebuildReport(console) as report:
        verify(segments, report.progress("verifying", len(segments)))
        for (topic, topic_id), days in groupby(segments, lambda segment: (segment.topic, segment.topic_id)):
            held = list(days)
            records = sum(segment.part.records for segment in held)
            report.say(f"{topic} ({topic_id}): {held[0].day} to {held[-1].day}, {records:,} messages")
        records = sum(segment.part.records for segment in segments)
        report.say(f"{len(segments):,} files with {records:,} messages are as their manifests say.")
        for day in unfinished:
            report.say(f"{day.relative_to(folder)} has no manifest and is not read: the next `archive` writes it anew.")


def _prune(settings: Settings, folder: Path, report: RebuildReport, most: int | None) -> None:
    """Prune up to `most` days of a topic each (None: all). The lock of the archive is held."""
    catalogue = ArchiveCatalogue(folder, _archived_topics(settings))
    lifecycle = Topics(settings.jobtrail_topic_prefix).lifecycle()
    with connect(settings.database_url) as connection:
        stored = stored_horizon(connection)
        if stored.ended_before == NEVER:
            return
        with no_readers(folder):
            horizon, ended_before = catalogue.horizon, stored.ended_before.date()
            if horizon is None or horizon.ended_before < ended_before:
                if not stored.swept:
                    report.say("Not pruned: the sweep of the table has not ended; run it again later.")
                    return
                if unread := _unread_by_table(connection, settings, folder):
                    report.say(f"Not pruned: the table does not hold what the archive holds of {', '.join(unread)}.")
                    return
                horizon = set_horizon(folder, ended_before, kept_jobs(connection, stored.ended_before))
            days = list(days_to_prune(catalogue, horizon))
            chosen = days[:most]
            gone = 0
            for manifest, place in chosen:
                records = sum(part.records for part in manifest.parts)
                done = report.progress(f"pruning {manifest.topic} {manifest.day}", records)
                gone += prune_day(manifest, place, horizon, lifecycle, done)
            for manifest, place in catalogue.manifests():
                if manifest.pruned and (manifest, place) not in chosen:
                    remove_former_files(manifest, place)
            if chosen:
                left = f"; {len(days) - len(chosen):,} more wait for the next run" if len(days) > len(chosen) else ""
                report.say(
                    f"Pruned {len(chosen):,} days before {horizon.ended_before}: {gone:,} messages of forgotten jobs "
                    f"removed{left}."
                )


def _unread_by_table(connection: Connection, settings: Settings, folder: Path) -> list[str]:
    """The partitions of the archive of which the live table may not hold everything."""
    projection = JobsProjection(Topics(settings.jobtrail_topic_prefix))
    live, earlier = live_positions(connection, projection.name), live_earlier(connection, projection.name)
    unread: list[str] = []
    for topic_id, spans in Sources(
        ArchiveCatalogue(folder, projection.topics), settings.kafka, projection.topics
    ).archived.items():
        for partition, span in spans.items():
            held = [one.span for one in earlier if (one.topic_id, one.partition) == (topic_id, partition)]
            position = live.get(partition)
            if position is not None and position.topic_id == topic_id:
                held.append(Span(position.first_offset, position.next_offset))
            if missing(span, *sorted(held)):
                unread.append(f"{partition[0]}[{partition[1]}]")
    return sorted(unread)


def _archived_topics(settings: Settings) -> list[str]:
    topics = Topics(settings.jobtrail_topic_prefix)
    return [*topics.lifecycle(), topics.items, topics.dead_letters]
