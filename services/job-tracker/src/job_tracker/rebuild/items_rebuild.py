"""Rebuilds the sync log: archive and log are merged into the live tables, while the projector and readers work.

The merge is idempotent and commutative, so there is no shadow and no swap, and no row is deleted. It commits as the
projector does, under positions of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from job_tracker.archive.files import verify
from job_tracker.log.broker import Broker
from job_tracker.log.records import TopicPartition
from job_tracker.projector.items_projection import ItemsContent
from job_tracker.rebuild.checks import check_topics, look_at_log, refuse_losses, take_lock
from job_tracker.rebuild.fill import Filler
from job_tracker.rebuild.plan import LogRange, Plan, Spans, Stretches, TopicIds, make_plan, offsets
from job_tracker.rebuild.projection import ItemsReplay
from job_tracker.rebuild.report import Progress
from job_tracker.rebuild.sources import Sources
from job_tracker.store.offsets import (
    LivePosition,
    delete_ends,
    delete_positions,
    delete_projection,
    live_positions,
    lock_positions,
    set_positions,
)
from job_tracker.store.postgres import Connection


@dataclass(slots=True)
class ItemsRebuild:
    """One reading of all that archive and log hold; `live` names the projection whose tables it completes.

    `connection` commits each statement by itself and finds the live tables.
    """

    connection: Connection
    broker: Broker
    sources: Sources
    projection: ItemsReplay
    live: str
    filler: Filler[ItemsContent]
    progress: Progress
    _held: dict[TopicPartition, LivePosition] = field(default_factory=dict, init=False)
    _plan: Plan = field(default_factory=Plan, init=False)
    _locked: bool = field(default=False, init=False)

    def begin(self, *, accept_loss: bool) -> list[str]:
        """Plan what is read; returns what an operator must know.

        Raises:
            RebuildRefused: records that no table holds are neither in the log nor in the archive.
            BrokerAway
        """
        take_lock(self.connection, self.projection.name)
        self._locked = True
        self._held = live_positions(self.connection, self.live)
        log = look_at_log(self.broker, self.projection.topics)
        self._plan = make_plan(
            live=_to_be_read(self._held, log, self.sources.archived),
            live_earlier=[],
            log=log,
            archived=self.sources.archived,
            archived_ids=self.sources.archived_ids,
            whole_log=True,
        )
        if not accept_loss:
            refuse_losses(self._plan, may_accept=True)
        return self._plan.sentences()

    def check_archive(self) -> None:
        """What reaches a live table stays there: so every file is read to its end before the first row is written.

        Raises:
            ArchiveDamaged
        """
        segments = self.sources.segments()
        verify(segments, self.progress("checking the archive", len(segments)))

    def read(self) -> None:
        """Merge everything up to where the projector stood when this began, and to the end where it cannot go on.

        Raises:
            RebuildRefused: a topic was recreated meanwhile.
            ArchiveDamaged, LogBroken, LogTimeout, BrokerAway, PositionsMoved
        """
        for topic_id, spans in self._plan.earlier.items():
            self._read("reading what only the archive has", dict.fromkeys(spans, topic_id), spans)
        self._read("reading the log", self._plan.topic_ids, self._plan.spans())
        check_topics(self.broker, self._plan.topic_ids)

    def move_positions(self) -> list[TopicPartition]:
        """Move positions that the log cannot serve to where this run ended; returns their partitions.

        A position that a projector has moved in the meantime stays.
        """
        plan = self._plan
        broken = [p for p, held in self._held.items() if p in plan.detached or held.next_offset != plan.target[p]]
        with self.connection.transaction():
            now = lock_positions(self.connection, self.live)
            broken = [p for p in broken if now.get(p) == self._held[p]]
            ended = {
                p: LivePosition(plan.topic_ids[p], plan.start[p], plan.target[p]) for p in broken if p in plan.target
            }
            set_positions(self.connection, self.live, ended)
            delete_positions(self.connection, self.live, [p for p in broken if p not in ended])
            delete_ends(self.connection, broken)
        return broken

    def end(self, connection: Connection) -> None:
        """Leave no position of this run, or of one that was killed, unless another process is at work.

        `connection` is one like the own: an interrupt may have met that within a command, and it answers nothing more.
        """
        if self._locked:
            delete_projection(connection, self.projection.name)

    def _read(self, title: str, topic_ids: TopicIds, spans: Spans) -> None:
        places = {
            partition: LivePosition(topic_ids[partition], span.low, span.low) for partition, span in spans.items()
        }
        set_positions(self.connection, self.projection.name, places)
        self.filler.fill(topic_ids, spans, self.progress(title, offsets(spans)))


def _to_be_read(
    held: Mapping[TopicPartition, LivePosition], log: Mapping[TopicPartition, LogRange], archived: Stretches
) -> dict[TopicPartition, LivePosition]:
    """What was read stays in the table: only what follows the position can be lost.

    Where the log is no longer there, the archive must reach as far as the position, or it is unknown what follows.
    """
    found = dict(held)
    for partition, live in held.items():
        today, kept = log.get(partition), archived.get(live.topic_id, {}).get(partition)
        if today is not None and today.topic_id == live.topic_id:
            found[partition] = replace(live, first_offset=min(live.next_offset, today.span.high))
        elif kept is not None:
            found[partition] = replace(live, first_offset=max(live.first_offset, min(kept.low, live.next_offset)))
    return found
