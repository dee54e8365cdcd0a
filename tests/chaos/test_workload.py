"""The producers' stream: it is never empty, however soon it shall end, and follows from its seed."""

from tests.chaos.messages import Message
from tests.chaos.workload import Workload


def ended_at_once(seed: str) -> list[Message]:
    return list(Workload(seed, "p0").messages(lambda: False))


def test_who_asks_for_an_end_at_once_gets_whole_jobs_all_the_same() -> None:
    events = [message for message in ended_at_once("1") if message.topic == "jobs.events"]
    assert len({message.key for message in events}) >= 30


def test_a_seed_gives_the_same_stream_again() -> None:
    assert ended_at_once("1") == ended_at_once("1") != ended_at_once("2")
