"""The faults, by name. Each is over when it returns: the damage is repaired, or recovery has started.

A fault that returns has come about; one that has not raises `NotDone`.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient, NewPartitions
from tests.chaos.driver import Driver
from tests.chaos.members import BUSY_TOPICS, Fleet, Member
from tests.chaos.projections import ITEMS, JOBS
from tests.chaos.servers import Servers
from tests.chaos.tracker_process import POINTS
from tests.chaos.waiting import WAIT_SECONDS, until
from tests.chaos.watch import Watch

_CHURN_SECONDS = 12.0
_BACK_WITHIN = 90.0  # seconds in which a zombie comes back; it asks Kafka first, on connections that went stale
_TRIES = 5
_SOME = 20_000  # records


class NotDone(Exception):
    """The fault had no effect."""


@dataclass(slots=True)
class World:
    """The objects that a fault may change, and the record of its effects."""

    servers: Servers
    fleet: Fleet
    driver: Driver
    watch: Watch
    prefix: str
    points: dict[str, int]  # kills at each named point
    killed_members: int = 0
    killed_servers: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])  # batches of zombies, by their part


Fault = Callable[[World, random.Random], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return register


@fault("none")
def none(_world: World, _chance: random.Random) -> None:
    """A while without any fault, for runs where a guard is missing instead."""
    time.sleep(3)


@fault("kill_member")
def kill_member(world: World, chance: random.Random) -> None:
    """SIGKILL any process of the tracker at any moment."""
    _kill(world, chance.choice(world.fleet.everybody()))


def kill_holder(part: str) -> Fault:
    """SIGKILL a member that holds partitions."""

    def kill(world: World, chance: random.Random) -> None:
        _kill(world, chance.choice(_holding(world, part)))

    return kill


def _kill(world: World, member: Member) -> None:
    pid = member.kill()
    if pid is None:
        raise NotDone(f"{member.name} was dead already")
    _must(lambda: world.fleet.death_of(pid) is not None, f"the death of {member.name}")
    world.killed_members += 1


def kill_at(part: str, point: str, name: str) -> Fault:
    """The first member that reaches a named point kills itself with SIGKILL; counted under `name`."""

    def kill(world: World, _chance: random.Random) -> None:
        members = world.fleet.of(part)
        pids = {member.name: member.process.pid for member in members if member.process is not None}
        for member in members:
            member.arm("kill", point)
        # A newcomer makes the group share anew; all others are armed, so the first of them to hear of it dies.
        newcomer = world.fleet.join(part) if point == "in_rebalance" else None
        until(lambda: any(not member.armed() for member in members))
        if newcomer is not None:
            world.fleet.leave(newcomer)
        hit = [member for member in members if not member.disarm()]
        if not hit:
            raise NotDone(f"no {part} came to the point {point}")
        for member in hit:
            pid = pids[member.name]
            _must(lambda pid=pid: world.fleet.death_of(pid) is not None, f"the death of {member.name} at {point}")
            death = world.fleet.death_of(pid)
            assert death is not None
            if death.point != point:
                raise NotDone(f"{member.name} died, but not at {point}")
            world.killed_members += 1
            world.points[name] += 1

    return kill


def zombie_at(part: str, point: str) -> Fault:
    """SIGSTOP with a batch in hand until another owner has moved on, then SIGCONT: the batch must be refused."""

    def stop(member: Member) -> bool:
        member.arm("stop", point)
        stopped = until(member.is_stopped)
        return not member.disarm() and (stopped or until(member.is_stopped))

    return _zombie(part, stop, in_hand=True)


def zombie_anywhere(part: str) -> Fault:
    """SIGSTOP at any moment, in the middle of a COPY too; it may have no batch in hand, and then none is refused."""

    def stop(member: Member) -> bool:
        member.signal(signal.SIGSTOP)
        return until(member.is_stopped)

    return _zombie(part, stop, in_hand=False)


def _zombie(part: str, stop: Callable[[Member], bool], *, in_hand: bool) -> Fault:
    """Pause members by `stop` until one came back after others had gone on, and was refused what it had `in_hand`."""

    def pause(world: World, chance: random.Random) -> None:
        for _ in range(_TRIES):
            member = chance.choice(_holding(world, part))
            if stop(member) and _comes_back(world, member, in_hand=in_hand):
                return
        wanted = " with a batch to refuse" if in_hand else ""
        raise NotDone(f"of {_TRIES} paused members of the part {part} none came back{wanted}")

    return pause


def _comes_back(world: World, member: Member, *, in_hand: bool) -> bool:
    """Let another owner move on, continue the member: it begins anew, and is refused first what it had `in_hand`."""
    held = member.busy()
    if not held:  # its partitions went to another just before it stopped, in peace
        member.resume()
        return False
    try:
        world.watch.look_again()  # what it had written itself is no move of another owner
        positions = {partition: world.watch.positions.last(partition) for partition in held}
        _must(
            lambda: all(world.watch.positions.last(p) > positions[p] for p in held),
            f"I11: another owner to move on what a paused {member.name} held",
        )
    finally:
        continued = member.resume()
    came_back = until(lambda: continued.refused(held) > 0 or continued.began_anew(), _BACK_WITHIN)
    refused = continued.refused(held)
    world.refused[member.part] += refused
    return came_back and (refused > 0 or not in_hand)


def _holding(world: World, part: str) -> list[Member]:
    found: list[Member] = []

    def holding() -> bool:
        found[:] = [member for member in world.fleet.of(part) if member.busy()]
        return bool(found)

    _must(holding, f"a {part} to hold partitions")
    return found


for _part, _mark in (("projector", ""), ("items", "items_")):
    FAULTS[f"kill_{_part}"] = kill_holder(_part)
    for _point in POINTS:
        FAULTS[f"kill_{_mark}{_point}"] = kill_at(_part, _point, f"{_mark}{_point}")
    # In the middle of a COPY PostgreSQL looks at no time-out.
    for _point in ("after_poll", "before_copy", "in_copy", "before_commit"):
        FAULTS[f"zombie_{_mark}{_point}"] = zombie_at(_part, _point)
    FAULTS[f"zombie_{_mark}anywhere"] = zombie_anywhere(_part)


@fault("churn")
def churn(world: World, chance: random.Random) -> None:
    """Members join and leave every few seconds, mostly projectors of the job table."""
    end = time.monotonic() + _CHURN_SECONDS
    while time.monotonic() < end:
        part = chance.choice(["projector", "projector", "items"])
        newcomer = world.fleet.join(part)
        time.sleep(chance.uniform(1.5, 3.0))
        if chance.random() < 0.5:
            world.fleet.leave(newcomer)
        else:
            settled = world.fleet.of(part)[0]
            world.fleet.leave(settled)


@fault("kill_postgres")
def kill_postgres(world: World, _chance: random.Random) -> None:
    _kill_server(world, "postgres")
    world.servers.wait_postgres()


def _kill_server(world: World, name: str) -> None:
    world.servers.kill(name)
    world.killed_servers += 1
    world.servers.wait_running(name)


@fault("pause_postgres")
def pause_postgres(world: World, chance: random.Random) -> None:
    with world.servers.paused("postgres"):
        time.sleep(chance.uniform(2, 6))


@fault("terminate_backends")
def terminate_backends(world: World, _chance: random.Random) -> None:
    if world.servers.terminate_backends() == 0:
        raise NotDone("there was no session to end")


def cut_commit(projection: str) -> Fault:
    """The connection is cut between a COMMIT of one projection and its answer."""

    def cut(world: World, _chance: random.Random) -> None:
        before = world.servers.proxy.cut
        world.servers.proxy.cut_next_commit(projection)
        _must(lambda: world.servers.proxy.cut > before, f"a COMMIT of {projection} to cut off")

    return cut


FAULTS["cut_commit"], FAULTS["cut_items_commit"] = cut_commit(JOBS.name), cut_commit(ITEMS.name)


@fault("kill_kafka")
def kill_kafka(world: World, chance: random.Random) -> None:
    _kill_server(world, chance.choice(world.servers.kafka_names()))


@fault("pause_kafka")
def pause_kafka(world: World, chance: random.Random) -> None:
    with world.servers.paused(chance.choice(world.servers.kafka_names())):
        time.sleep(chance.uniform(3, 9))


def _leader(world: World, chance: random.Random) -> str:
    admin = AdminClient({"bootstrap.servers": world.servers.bootstrap_servers, "log_level": 0})
    topic = f"{world.prefix}jobs.events"
    partitions = admin.list_topics(topic, timeout=120).topics[topic].partitions
    leaders = [description.leader for description in partitions.values() if description.leader > 0]
    if not leaders:
        raise NotDone(f"no partition of {topic} has a leader")
    return f"kafka-{chance.choice(leaders)}"


@fault("kill_leader")
def kill_leader(world: World, chance: random.Random) -> None:
    """Kill the leader of a partition of a three-broker cluster; another takes over before it returns."""
    _kill_server(world, _leader(world, chance))


@fault("pause_leader")
def pause_leader(world: World, chance: random.Random) -> None:
    with world.servers.paused(_leader(world, chance)):
        time.sleep(chance.uniform(5, 10))


@fault("replay")
def replay(world: World, _chance: random.Random) -> None:
    """Send the whole log again, between new events."""
    _replay(world, None)


@fault("replay_some")
def replay_some(world: World, _chance: random.Random) -> None:
    """Send the oldest records again, where the whole log would be too large."""
    _replay(world, _SOME)


def _replay(world: World, most: int | None) -> None:
    if world.driver.replay(most) == 0:
        raise NotDone("there was nothing to replay")


@fault("add_partitions")
def add_partitions(world: World, _chance: random.Random) -> None:
    """Keys move to other partitions in the middle of their jobs."""
    admin = AdminClient({"bootstrap.servers": world.servers.bootstrap_servers, "log_level": 0})
    topics = [world.prefix + topic for topic in BUSY_TOPICS.values()]
    counts = {topic: len(admin.list_topics(topic, timeout=120).topics[topic].partitions) for topic in topics}
    more = [NewPartitions(topic, count + 2) for topic, count in counts.items()]
    for future in admin.create_partitions(more).values():
        future.result(120)


def _must(condition: Callable[[], bool], what: str) -> None:
    if not until(condition):
        raise NotDone(f"{what}: waited {WAIT_SECONDS:.0f} s in vain")
