"""From an event's acknowledgement to `GET /jobs/{id}` and to a client of `GET /stream`, by Jobtrail's own processes."""

import http.client
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.jobtrail import Jobtrail, part
from bench.live import Load
from bench.stage import Stage
from bench.stream import StreamReader
from bench.visible import Api, Visible, until_reading, watch
from bench.workload import Shape, messages
from local_stack import free_port

_START = 300.0  # seconds until the API must answer


@dataclass(frozen=True, slots=True)
class Live:
    """`visible` by the API, and the seconds until the stream told of each event; None where there is no stream."""

    visible: Visible
    stream: list[float] | None


def jobtrail_visible(stage: Stage, rate: int, settle: float, seconds: float) -> Live:
    """Run a projector and an API at `rate` events a second."""
    topics, candidate = stage.new_topics(), Jobtrail()
    with stage.place(candidate, topics) as place, ExitStack() as stack:
        candidate.start(place)
        port = free_port()
        api = part("api", place, JOBTRAIL_API_PORT=str(port))
        stack.callback(api.end)
        paths = _paths(port)
        load = stack.enter_context(Load(stage.kafka, topics.events, messages(Shape(jobs=1_000_000)), rate))
        reader = Api(port)
        until_reading(candidate, load, reader.look)
        if "/stream" not in paths:
            return Live(watch(load, reader.look, settle, seconds), None)
        with StreamReader(port) as stream:
            start = time.monotonic() + settle
            visible = watch(load, reader.look, settle, seconds)
            counted = [event for event in load.acknowledged if start <= event.at < start + seconds]
            return Live(visible, stream.delays(counted))


def _paths(port: int) -> dict[str, object]:
    """The routes of an API, as soon as it answers.

    Raises:
        RuntimeError: it does not.
    """
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", "/openapi.json")
            paths: dict[str, object] = json.loads(client.getresponse().read())["paths"]
            return paths
        except OSError:
            time.sleep(0.1)
        finally:
            client.close()
    raise RuntimeError("the API did not start")
