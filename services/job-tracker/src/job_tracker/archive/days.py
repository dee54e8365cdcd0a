"""The days of a topic that are finished and not archived yet, and the writing of one of them."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from job_tracker.archive.catalogue import FORMAT, ArchiveCatalogue, Manifest, day_folder, sealed
from job_tracker.archive.files import PartWriter, write_manifest
from job_tracker.archive.lines import to_archived
from job_tracker.errors import NotArchived
from job_tracker.log.broker import Broker
from job_tracker.log.reader import read_log
from job_tracker.log.records import Span, TopicPartition
from service_kit.kafka_security import Kafka

FIRST_DAY = date(1970, 1, 1)
_BATCH = 10_000
_LAG = timedelta(hours=1)  # a day is closed this long after its end: brokers' clocks differ a little


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A finished day of a topic with the stretch of each partition that belongs to it."""

    topic: str
    topic_id: str
    day: date
    spans: Mapping[TopicPartition, Span]

    @property
    def offsets(self) -> int:
        return sum(span.high - span.low for span in self.spans.values())


def finished_days(catalogue: ArchiveCatalogue, broker: Broker, topic: str, now: datetime) -> Iterator[OpenDay]:
    """The days to write, oldest first. Days on which nothing was appended have no files.

    Raises:
        NotArchived: there is no such topic, or the log begins or ends elsewhere than where the archive can go on.
        BrokerAway
    """
    found = broker.topic_ids([topic])
    if topic not in found:
        raise NotArchived(
            f"the broker has no topic {topic}: start the tracker first, or set JOBTRAIL_TOPIC_PREFIX as it is set there"
        )
    topic_id, count = found[topic]
    partitions = [(topic, number) for number in range(count)]
    # The ends are asked for first: what is appended meanwhile belongs to a later day.
    held = broker.spans(partitions, stable=True)
    reached = {segment.partition: segment.part.end for segment in catalogue.segments(topic, topic_id)}
    last = catalogue.last_day(topic, topic_id)
    # A partition of which an archive has nothing was empty from its beginning on, or its beginning is noted.
    starts = {partition: reached.get(partition, held[partition].low if last is None else 0) for partition in partitions}
    for (name, number), start in starts.items():
        if start < held[name, number].low:
            raise NotArchived(
                f"{name}[{number}]: offsets {start} to {held[name, number].low} left the log before they were "
                f"archived; what follows them needs a folder of its own, because {catalogue.folder} would have a gap"
            )
        if start > held[name, number].high:
            raise NotArchived(
                f"{name}[{number}]: the log ends at {held[name, number].high}, but {catalogue.folder} holds messages "
                f"up to {start}: the broker has lost them, and what follows needs a folder of its own"
            )
    first = FIRST_DAY if last is None else last + timedelta(days=1)
    days = ((now - _LAG).astimezone(UTC).date() - first).days

    def ends(day: date) -> dict[TopicPartition, int]:
        midnight = datetime.combine(day + timedelta(days=1), time(), UTC)
        found = broker.offsets_at(partitions, midnight)
        # What an open transaction has written is in no archive before the transaction ends.
        return {p: held[p].high if end is None else min(end, held[p].high) for p, end in found.items()}

    number = 0
    while number < days:
        # Ends only grow from day to day, so the next day that holds anything is found by halving.
        number += bisect_left(
            range(days - number),
            True,
            key=lambda n, begun=number: any(
                end > starts[partition] for partition, end in ends(first + timedelta(days=begun + n)).items()
            ),
        )
        if number == days:
            return
        day = first + timedelta(days=number)
        spans = {partition: Span(starts[partition], end) for partition, end in ends(day).items()}
        spans = {
            partition: span
            for partition, span in spans.items()
            if span.low < span.high or (last is None and span.low > 0)  # empty: the beginning is noted
        }
        last = day
        yield OpenDay(topic, topic_id, day, spans)
        starts |= {partition: span.high for partition, span in spans.items()}
        number += 1


def write_day(folder: Path, kafka: Kafka, broker: Broker, day: OpenDay, done: Callable[[int], None]) -> Manifest:
    """Write the files of a day, then its manifest. `done` is told of offsets that have been passed.

    What an interrupted run left of the day is written over.

    Raises:
        NotArchived: the topic was recreated meanwhile.
        LogBroken, LogTimeout, BrokerAway
    """
    place = day_folder(folder, day.topic, day.topic_id, day.day)
    place.mkdir(parents=True, exist_ok=True)
    passed = {partition: span.low for partition, span in day.spans.items()}
    with ExitStack() as unfinished:
        writers = {partition: PartWriter(place, partition[1]) for partition in day.spans}
        for writer in writers.values():
            unfinished.callback(writer.discard)
        filled = {partition: span for partition, span in day.spans.items() if span.low < span.high}
        for batch in read_log(kafka, filled, _BATCH, to_archived):
            before = sum(passed.values())
            for archived in batch:
                record = archived.record
                partition = (record.topic, record.partition)
                writers[partition].write(archived)
                passed[partition] = record.offset + 1
            done(sum(passed.values()) - before)
        if broker.recreated([(day.topic, day.topic_id)]):
            raise NotArchived(f"topic {day.topic} was recreated while it was read; begin again")
        parts = [writers[partition].close(*day.spans[partition]) for partition in sorted(writers)]
    manifest = sealed(Manifest(FORMAT, day.topic, day.topic_id, day.day, parts))
    write_manifest(place, manifest)
    return manifest
