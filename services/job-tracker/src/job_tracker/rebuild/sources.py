"""Reads the ranges of a plan: from the archive where it has them, else from the log."""

from collections import defaultdict
from collections.abc import Generator, Iterable

from job_tracker.archive.catalogue import ArchiveCatalogue, Segment
from job_tracker.archive.files import read_segment
from job_tracker.log.messages import to_record
from job_tracker.log.reader import read_log
from job_tracker.log.records import Record, Span, TopicPartition
from job_tracker.rebuild.plan import Spans, Stretches, TopicIds
from service_kit.kafka_security import Kafka

# Records read at once: the fewer, the more of a record is still in the processor's cache when it is folded.
_PIECE = 1000


class Sources:
    """One archive (it may be empty) and one cluster."""

    def __init__(self, catalogue: ArchiveCatalogue, kafka: Kafka, topics: list[str]) -> None:
        self._catalogue = catalogue
        self._kafka = kafka
        self.archived_ids = {topic: catalogue.topic_ids(topic) for topic in topics}
        self.archived = self._archived()

    def read(self, topic_ids: TopicIds, spans: Spans) -> Generator[list[Record]]:
        """Each partition's records in [low, high), in order within the partition.

        Raises:
            ArchiveDamaged, LogBroken, LogTimeout
        """
        rest: dict[TopicPartition, Span] = {}
        archived: list[tuple[Segment, Span]] = []
        for partition, span in spans.items():
            kept = self.archived.get(topic_ids[partition], {}).get(partition)
            if kept is None or not kept.low <= span.low < kept.high:
                rest[partition] = span
                continue
            archived += [(segment, span) for segment in self._segments(topic_ids[partition], partition)]
            rest[partition] = Span(min(kept.high, span.high), span.high)
        yield from self._read_archived(archived)
        yield from read_log(self._kafka, rest, _PIECE, to_record)

    def segments(self) -> list[Segment]:
        """All that the archive holds of these topics."""
        return list(self._catalogue.all_segments())

    def _read_archived(self, segments: Iterable[tuple[Segment, Span]]) -> Generator[list[Record]]:
        for segment, span in segments:
            if segment.part.end <= span.low or segment.part.start >= span.high:
                continue
            whole = span.low <= segment.part.start and segment.part.end <= span.high
            for records in read_segment(segment, _PIECE):
                yield records if whole else [record for record in records if span.low <= record.offset < span.high]

    def _segments(self, topic_id: str, partition: TopicPartition) -> list[Segment]:
        found = self._catalogue.segments(partition[0], topic_id)
        return [segment for segment in found if segment.partition == partition]

    def _archived(self) -> Stretches:
        archived: dict[str, dict[TopicPartition, Span]] = defaultdict(dict)
        for segment in self.segments():
            held = archived[segment.topic_id].get(segment.partition)
            low = segment.part.start if held is None else held.low
            archived[segment.topic_id][segment.partition] = Span(low, segment.part.end)
        return {
            topic_id: {partition: span for partition, span in spans.items() if span.low < span.high}
            for topic_id, spans in archived.items()
        }
