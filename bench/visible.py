"""The time from the acknowledgement of an event until it can be read.

Samples are taken at fixed times, so that a stall counts for every sample within it. Events that are not yet visible are
queried repeatedly.
"""

import http.client
import json
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from bench.candidate import Candidate
from bench.stage import Stage
from bench.steady_load import Acknowledged, Load
from bench.workload import Shape, messages

SAMPLES_A_SECOND = 25
_PAUSE = 0.001  # seconds between two looks
_LAST_CALL = 20.0  # seconds that the last samples are waited for

Look = Callable[[Sequence[Acknowledged]], list[bool]]


@dataclass(frozen=True, slots=True)
class Visible:
    """Seconds from acknowledged to readable, one a sample; an event that never showed counts with the time waited.

    `pace` is how many events a second were acknowledged meanwhile.
    """

    seconds: list[float]
    pace: float


def watch(load: Load, look: Look, settle: float, seconds: float) -> Visible:
    """Sample a running load for so many `seconds`, those at the beginning left out that it needs to `settle`."""
    start = next_sample = time.monotonic() + settle
    end = start + seconds
    waiting: list[Acknowledged] = []
    taken: list[float] = []
    while (now := time.monotonic()) < end or (waiting and now < end + _LAST_CALL):
        while next_sample <= min(now, end):
            waiting.append(_last_before(next_sample, load.acknowledged))
            next_sample += 1 / SAMPLES_A_SECOND
        if waiting:
            seen = look(waiting)
            at = time.monotonic()
            taken += [at - sample.at for sample, there in zip(waiting, seen, strict=True) if there]
            waiting = [sample for sample, there in zip(waiting, seen, strict=True) if not there]
        time.sleep(_PAUSE)
    taken += [time.monotonic() - sample.at for sample in waiting]
    return Visible(taken, sum(start <= event.at < end for event in load.acknowledged) / seconds)


def _last_before(moment: float, acknowledged: Sequence[Acknowledged]) -> Acknowledged:
    return acknowledged[max(0, bisect_right(acknowledged, moment, key=lambda event: event.at) - 1)]


class Api:
    """Looks for events with `GET /jobs/{id}`."""

    def __init__(self, port: int) -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def look(self, waiting: Sequence[Acknowledged]) -> list[bool]:
        return [self._shows(sample) for sample in waiting]

    def _shows(self, sample: Acknowledged) -> bool:
        self._client.request("GET", f"/jobs/{sample.job_id}")
        answer = self._client.getresponse()
        body = answer.read()
        if answer.status == http.client.NOT_FOUND:
            return False
        if answer.status != http.client.OK:
            raise RuntimeError(f"the API answered {answer.status}: {body[:500]!r}")
        return json.loads(body)["job"]["counters"]["processed"] >= sample.processed


class Table:
    """Looks for events in a candidate's table, with one query for all samples."""

    def __init__(self, connection: psycopg.Connection, final: str) -> None:
        self._connection = connection
        self._query = f"SELECT job_id, processed FROM ({final}) AS final WHERE job_id = ANY(%s)".encode()

    def look(self, waiting: Sequence[Acknowledged]) -> list[bool]:
        try:
            rows = self._connection.execute(self._query, [[sample.job_id for sample in waiting]], prepare=True)
        except psycopg.errors.UndefinedTable:
            return [False] * len(waiting)
        done = {job: processed or 0 for job, processed in rows}
        return [done.get(sample.job_id, -1) >= sample.processed for sample in waiting]


def peer_visible(stage: Stage, candidate: Candidate, rate: int, settle: float, seconds: float) -> Visible:
    """The delays until a candidate's table shows events, at `rate` events a second."""
    topics = stage.new_topics()
    with stage.place(candidate, topics) as place:
        candidate.prepare(place)
        candidate.start(place)
        with (
            psycopg.connect(place.database_url, autocommit=True) as connection,
            Load(stage.kafka, topics.events, messages(Shape(jobs=1_000_000)), rate) as load,
        ):
            table = Table(connection, candidate.final)
            until_reading(candidate, load, table.look)
            return watch(load, table.look, settle, seconds)


def until_reading(candidate: Candidate, load: Load, look: Look, limit: float = 300) -> None:
    """Wait until the first event shows: joining a group and starting up are not what is measured.

    Raises:
        RuntimeError: it never does.
    """
    deadline = time.monotonic() + limit
    while not load.acknowledged or not all(look(load.acknowledged[:1])):
        candidate.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{candidate.name} shows nothing")
        time.sleep(0.05)
