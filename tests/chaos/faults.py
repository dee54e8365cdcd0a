"""The faults, by name. Each is over when it returns: what it broke is mended, or on its way back by itself."""

import random
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient, NewPartitions
from tests.chaos.driver import Driver
from tests.chaos.members import BUSY_TOPICS, Fleet, Member
from tests.chaos.projections import ITEMS, JOBS
from tests.chaos.servers import Servers
from tests.chaos.tracker_process import POINTS
from tests.chaos.watch import Watch

_POLL = 0.02  # seconds
_PATIENCE = 120.0  # seconds for something that a fault waits for
_CHURN_SECONDS = 12.0
_REFUSED_WITHIN = 90.0  # seconds in which a zombie tries its batch; it asks Kafka first, on connections that went stale
_TRIES = 5


@dataclass(slots=True)
class World:
    """What a fault may touch, and what it tells."""

    servers: Servers
    fleet: Fleet
    driver: Driver
    watch: Watch
    prefix: str
    points: dict[str, int]  # kills at each named point
    killed: int = 0
    replayed: int = 0
    troubles: list[str] = field(default_factory=list)  # what a fault has waited for in vain


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
    member = chance.choice(world.fleet.everybody())
    member.signal(signal.SIGKILL)
    world.killed += 1


def kill_holder(part: str) -> Fault:
    """SIGKILL a member that holds partitions."""

    def kill(world: World, chance: random.Random) -> None:
        chance.choice(_holding(world, part)).signal(signal.SIGKILL)
        world.killed += 1

    return kill


def kill_at(part: str, point: str, name: str) -> Fault:
    """SIGKILL of itself by the first member of a part that comes to a named point; it counts under `name`."""

    def kill(world: World, chance: random.Random) -> None:
        members = world.fleet.of(part)
        _arm(members, "kill", point)
        if point == "in_rebalance":
            # A newcomer makes the group share anew; all are armed, so the first to hear of it dies.
            newcomer = world.fleet.join(part)
            hit = _first_hit(world, members)
            world.fleet.leave(newcomer)
        else:
            hit = _first_hit(world, members)
        for member in members:
            member.disarm()
        if hit:
            world.killed += 1
            world.points[name] += 1

    return kill


def zombie_at(part: str, point: str) -> Fault:
    """SIGSTOP with a batch in hand until another owner has moved on, then SIGCONT: the batch must be refused."""

    def pause(world: World, chance: random.Random) -> None:
        for _ in range(_TRIES):
            member = chance.choice(_holding(world, part))
            member.arm("stop", point)
            stopped = _until(member.is_stopped)
            member.disarm()
            if stopped and member.busy():
                return _come_back_as_zombie(world, member)
            # Its partitions went to another just before it stopped, in peace: it holds nothing that could be refused.
            member.signal(signal.SIGCONT)
        return None

    return pause


def zombie_anywhere(part: str) -> Fault:
    """SIGSTOP at any moment, in the middle of a COPY too."""

    def pause(world: World, chance: random.Random) -> None:
        member = chance.choice(_holding(world, part))
        member.signal(signal.SIGSTOP)
        _come_back_as_zombie(world, member)

    return pause


def _holding(world: World, part: str) -> list[Member]:
    members = world.fleet.of(part)
    _until(lambda: any(member.busy() for member in members))
    return [member for member in members if member.busy()] or members


def _come_back_as_zombie(world: World, member: Member) -> None:
    held = member.busy()
    positions = {partition: world.watch.position(partition) for partition in held}
    _must(
        world,
        lambda: all(world.watch.position(p) > positions[p] for p in held),
        f"I11: another owner to move on what a paused {member.name} held",
    )
    before = world.fleet.refused_batches(member.part)
    member.resume()
    _until(lambda: world.fleet.refused_batches(member.part) > before, _REFUSED_WITHIN)


# In the middle of a COPY PostgreSQL looks at no time-out.
for _part, _mark in (("projector", ""), ("items", "items_")):
    FAULTS[f"kill_{_part}"] = kill_holder(_part)
    for _point in POINTS:
        FAULTS[f"kill_{_mark}{_point}"] = kill_at(_part, _point, f"{_mark}{_point}")
    for _point in ("after_poll", "before_copy", "in_copy", "before_commit"):
        FAULTS[f"zombie_{_mark}{_point}"] = zombie_at(_part, _point)
    FAULTS[f"zombie_{_mark}anywhere"] = zombie_anywhere(_part)


@fault("churn")
def churn(world: World, chance: random.Random) -> None:
    """Members join and leave every few seconds, mostly projectors of the job table."""
    until = time.monotonic() + _CHURN_SECONDS
    while time.monotonic() < until:
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
    world.servers.kill("postgres")
    world.killed += 1
    world.servers.wait_postgres()


@fault("pause_postgres")
def pause_postgres(world: World, chance: random.Random) -> None:
    paused = world.servers.pause("postgres")
    time.sleep(chance.uniform(2, 6))
    paused.resume()


@fault("terminate_backends")
def terminate_backends(world: World, _chance: random.Random) -> None:
    world.servers.terminate_backends()


def cut_commit(projection: str) -> Fault:
    """The connection is cut between a COMMIT of one projection and its answer."""

    def cut(world: World, _chance: random.Random) -> None:
        before = world.servers.proxy.cut
        world.servers.proxy.cut_next_commit(projection)
        _must(world, lambda: world.servers.proxy.cut > before, f"a COMMIT of {projection} to cut off")

    return cut


FAULTS["cut_commit"], FAULTS["cut_items_commit"] = cut_commit(JOBS.name), cut_commit(ITEMS.name)


@fault("kill_kafka")
def kill_kafka(world: World, chance: random.Random) -> None:
    name = chance.choice(world.servers.kafka_names())
    world.servers.kill(name)
    world.killed += 1
    world.servers.wait_running(name)


@fault("pause_kafka")
def pause_kafka(world: World, chance: random.Random) -> None:
    paused = world.servers.pause(chance.choice(world.servers.kafka_names()))
    time.sleep(chance.uniform(3, 9))
    paused.resume()


def _leader(world: World, chance: random.Random) -> str:
    admin = AdminClient({"bootstrap.servers": world.servers.bootstrap_servers, "log_level": 0})
    topic = f"{world.prefix}jobs.events"
    partitions = admin.list_topics(topic, timeout=120).topics[topic].partitions
    leaders = [description.leader for description in partitions.values() if description.leader > 0]
    number = chance.choice(leaders) if leaders else 1
    return f"kafka-{number}"


@fault("kill_leader")
def kill_leader(world: World, chance: random.Random) -> None:
    """The leader of a partition of a three-broker cluster dies; another takes over before it is back."""
    name = _leader(world, chance)
    world.servers.kill(name)
    world.killed += 1
    world.servers.wait_running(name)


@fault("pause_leader")
def pause_leader(world: World, chance: random.Random) -> None:
    paused = world.servers.pause(_leader(world, chance))
    time.sleep(chance.uniform(5, 10))
    paused.resume()


@fault("replay")
def replay(world: World, _chance: random.Random) -> None:
    """The whole log comes again, between new events."""
    world.replayed += world.driver.replay(most=20_000)


@fault("add_partitions")
def add_partitions(world: World, _chance: random.Random) -> None:
    """Keys move to other partitions in the middle of their jobs."""
    admin = AdminClient({"bootstrap.servers": world.servers.bootstrap_servers, "log_level": 0})
    topics = [world.prefix + topic for topic in BUSY_TOPICS.values()]
    counts = {topic: len(admin.list_topics(topic, timeout=120).topics[topic].partitions) for topic in topics}
    more = [NewPartitions(topic, count + 2) for topic, count in counts.items()]
    for future in admin.create_partitions(more).values():
        future.result(120)


def _arm(members: Iterable[Member], deed: str, point: str) -> None:
    for member in members:
        member.arm(deed, point)


def _first_hit(world: World, members: list[Member]) -> bool:
    """Wait until one of the armed processes has done it."""
    return _until(lambda: any(not member.armed() for member in members))


def _must(world: World, condition: Callable[[], bool], what: str) -> None:
    if not _until(condition):
        world.troubles.append(f"{what}: waited {_PATIENCE:.0f} s in vain")


def _until(condition: Callable[[], bool], timeout: float = _PATIENCE) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
