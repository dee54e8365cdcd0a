"""Plans which ranges of each partition are read, and finds what neither log nor archive holds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from job_tracker.log.records import Span, TopicPartition
from job_tracker.store.offsets import LivePosition, Stretch


@dataclass(frozen=True, slots=True)
class LogRange:
    """What the broker holds of a partition."""

    topic_id: str
    span: Span


TopicIds = Mapping[TopicPartition, str]
Spans = Mapping[TopicPartition, Span]


def offsets(spans: Spans) -> int:
    """How many there are in all of them."""
    return sum(span.high - span.low for span in spans.values())


Stretches = Mapping[str, Mapping[TopicPartition, Span]]
"""Offsets by topic id and partition: what the archive holds."""


@dataclass(slots=True)
class Plan:
    """The `earlier` stretches, which only the archive has; then each partition from its `start` to its `target`.

    In the `detached` ones the live position belongs to a log that is no longer there: the shadow does not follow it.
    `losses` must be accepted; `beginnings` is only reported: no table held what was before. `gone` is what the live
    table has read and that cannot be read again.
    """

    earlier: dict[str, dict[TopicPartition, Span]] = field(default_factory=dict)
    topic_ids: dict[TopicPartition, str] = field(default_factory=dict)
    start: dict[TopicPartition, int] = field(default_factory=dict)
    target: dict[TopicPartition, int] = field(default_factory=dict)
    detached: set[TopicPartition] = field(default_factory=set)
    losses: list[str] = field(default_factory=list)
    gone: list[Stretch] = field(default_factory=list[Stretch])
    beginnings: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """What an operator must know of this plan, one sentence each."""
        return [*(f"Lost: {loss}" for loss in self.losses), *self.beginnings]

    def spans(self) -> dict[TopicPartition, Span]:
        return {partition: Span(self.start[partition], self.target[partition]) for partition in self.start}


def make_plan(
    *,
    live: Mapping[TopicPartition, LivePosition],
    live_earlier: Sequence[Stretch],
    log: Mapping[TopicPartition, LogRange],
    archived: Stretches,
    archived_ids: Mapping[str, Sequence[str]],
    whole_log: bool,
) -> Plan:
    """The stretches that give the live table once more.

    `live_earlier` is what the live table holds besides its positions' stretches, and `archived_ids` names each
    topic's ids in the archive, oldest first. With `whole_log`, partitions that no projector has begun are read to
    their present ends too. `losses` has one sentence for each stretch that the live table may hold and that is gone.
    """
    plan = Plan()
    today = {topic: held.topic_id for (topic, _), held in log.items()}
    for topic, ids in archived_ids.items():
        plan.earlier |= {topic_id: dict(archived[topic_id]) for topic_id in ids if topic_id != today.get(topic)}
    for partition in sorted(log):
        begun = live.get(partition)
        if begun is not None or whole_log:
            _plan_partition(plan, partition, begun, log[partition], archived, whole_log)
    for partition in sorted(live.keys() - log.keys()):
        plan.detached.add(partition)
        _check_old(plan, partition, live[partition], archived, "is in the table, but the broker does not have it")
    for topic_id, partition, span in live_earlier:
        for gone in missing(span, _kept(archived, topic_id, partition)):
            plan.losses.append(
                f"{_name(partition)}: the table holds offsets {gone.low} to {gone.high} from an archive that is "
                "not here, or from before a gap"
            )
            plan.gone.append(Stretch(topic_id, partition, gone))
    return plan


def _plan_partition(
    plan: Plan,
    partition: TopicPartition,
    live: LivePosition | None,
    log: LogRange,
    archived: Stretches,
    whole_log: bool,
) -> None:
    low, high = log.span
    kept = _kept(archived, log.topic_id, partition)
    start = target = low
    if kept is not None and kept.low < low:
        if kept.high >= low:
            start = kept.low
        else:
            plan.earlier.setdefault(log.topic_id, {})[partition] = kept  # a gap lies behind it
    if live is not None and live.topic_id == log.topic_id:
        wanted = Span(live.first_offset, max(live.next_offset, high))
        # A projector that stands before the log's beginning cannot go on from there.
        target = min(max(live.next_offset, low) if whole_log else live.next_offset, high)
        if live.next_offset > high:
            plan.detached.add(partition)
    else:
        wanted, target = Span(min(kept.low, low) if kept is not None else low, high), high
        if live is not None:
            plan.detached.add(partition)
            _check_old(plan, partition, live, archived, "was recreated")
        elif 0 < wanted.low < high:
            plan.beginnings.append(
                f"{_name(partition)}: the table begins at offset {wanted.low}; neither archive nor log holds what was "
                "before"
            )
    if kept is not None and kept.high > high:
        plan.losses.append(
            f"{_name(partition)}: the log ends at {high}, but the archive holds messages up to {kept.high}: the broker "
            "has lost them, and their offsets will be given once more"
        )
    for gone in missing(wanted, kept, log.span):
        plan.losses.append(f"{_name(partition)}: {_lost(gone, high, archived=kept is not None)}")
        if live is not None and live.topic_id == log.topic_id:
            read = Span(max(gone.low, live.first_offset), min(gone.high, live.next_offset))
            if read.low < read.high:
                plan.gone.append(Stretch(log.topic_id, partition, read))
    plan.topic_ids[partition] = log.topic_id
    plan.start[partition], plan.target[partition] = min(start, target), target


def _check_old(plan: Plan, partition: TopicPartition, live: LivePosition, archived: Stretches, what: str) -> None:
    """The table holds what the broker held before: only the archive can still have that."""
    kept = _kept(archived, live.topic_id, partition)
    for gone in missing(Span(live.first_offset, live.next_offset), kept):
        plan.losses.append(f"{_name(partition)} {what}: its old offsets {gone.low} to {gone.high} are in no archive")
        plan.gone.append(Stretch(live.topic_id, partition, gone))


def missing(wanted: Span, *held: Span | None) -> list[Span]:
    """The parts of a stretch that are in none of those that are held, which come in order."""
    missing: list[Span] = []
    low = wanted.low
    for span in held:
        if span is None:
            continue
        if low < min(span.low, wanted.high):
            missing.append(Span(low, min(span.low, wanted.high)))
        low = max(low, span.high)
    return [*missing, Span(low, wanted.high)] if low < wanted.high else missing


def _lost(gone: Span, end: int, *, archived: bool) -> str:
    if gone.low >= end:
        return f"the log ends at {end}, but the table has read up to {gone.high}"
    if archived:
        return f"offsets {gone.low} to {gone.high} are neither in the archive nor in the log"
    return f"offsets {gone.low} to {gone.high} have left the log, and no archive has them"


def _kept(archived: Stretches, topic_id: str, partition: TopicPartition) -> Span | None:
    return archived.get(topic_id, {}).get(partition)


def _name(partition: TopicPartition) -> str:
    return f"{partition[0]}[{partition[1]}]"
