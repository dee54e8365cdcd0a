"""From where to where each partition is read, and what neither the log nor the archive holds any more. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from job_tracker.projector.broker import Span
from job_tracker.projector.records import TopicPartition


@dataclass(frozen=True, slots=True)
class Live:
    """Where the live table stands in a partition: it holds [first_offset, next_offset) of the topic with that id."""

    topic_id: str
    first_offset: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Log:
    """What the broker holds of a partition."""

    topic_id: str
    span: Span


Archived = Mapping[str, Mapping[TopicPartition, Span]]
"""What the archive holds, by topic id."""


@dataclass(slots=True)
class Plan:
    """`earlier` topic ids, whose archived days are read first; then each partition from its `start` to its `target`."""

    earlier: list[str] = field(default_factory=list)
    topic_ids: dict[TopicPartition, str] = field(default_factory=dict)
    start: dict[TopicPartition, int] = field(default_factory=dict)
    target: dict[TopicPartition, int] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    def spans(self) -> dict[TopicPartition, Span]:
        return {partition: Span(self.start[partition], self.target[partition]) for partition in self.start}


def make_plan(
    live: Mapping[TopicPartition, Live],
    log: Mapping[TopicPartition, Log],
    archived: Archived,
    archived_ids: Mapping[str, Sequence[str]],
    whole_log: bool,
) -> Plan:
    """The stretches that give the live table once more.

    `archived_ids` names each topic's ids in the archive, oldest first. With `whole_log`, partitions that no
    projector has begun are read to their present ends too. `losses` has one sentence for each stretch that the
    live table may hold and that is gone.
    """
    plan = Plan()
    today = {topic: held.topic_id for (topic, _), held in log.items()}
    for topic, ids in archived_ids.items():
        plan.earlier += [topic_id for topic_id in ids if topic_id != today.get(topic)]
    for partition in sorted(log):
        begun = live.get(partition)
        if begun is not None or whole_log:
            _plan_partition(plan, partition, begun, log[partition], archived)
    for topic, number in sorted(live.keys() - log.keys()):
        plan.losses.append(f"{topic}[{number}] is in the table, but the broker does not have it")
    return plan


def _plan_partition(plan: Plan, partition: TopicPartition, live: Live | None, log: Log, archived: Archived) -> None:
    name = f"{partition[0]}[{partition[1]}]"
    low, high = log.span
    kept = archived.get(log.topic_id, {}).get(partition)
    start = min(kept.low, low) if kept is not None else low
    if kept is not None and kept.high < low:
        plan.losses.append(f"{name}: offsets {kept.high} to {low} are neither in the archive nor in the log")
    target = high
    if live is not None and live.topic_id == log.topic_id:
        target = min(live.next_offset, high)
        if live.next_offset > high:
            plan.losses.append(f"{name}: the log ends at {high}, but the table has read up to {live.next_offset}")
        if live.first_offset < start:
            gone = min(start, live.next_offset)
            plan.losses.append(
                f"{name}: offsets {live.first_offset} to {gone} have left the log, and no archive has them"
            )
    elif live is not None:
        _check_recreated(plan, name, partition, live, archived)
    plan.topic_ids[partition] = log.topic_id
    plan.start[partition], plan.target[partition] = min(start, target), target


def _check_recreated(plan: Plan, name: str, partition: TopicPartition, live: Live, archived: Archived) -> None:
    """The table holds what the topic held before it was recreated: only the archive can still have that."""
    kept = archived.get(live.topic_id, {}).get(partition, Span(live.next_offset, live.next_offset))
    if live.next_offset > live.first_offset and kept.low > live.first_offset:
        plan.losses.append(f"{name} was recreated: its old offsets {live.first_offset} to {kept.low} are in no archive")
    if kept.high < live.next_offset:
        plan.losses.append(f"{name} was recreated: its old offsets {kept.high} to {live.next_offset} are in no archive")
