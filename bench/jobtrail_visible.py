"""From an event's acknowledgement to `GET /jobs/{id}` and to a client of `GET /stream`, by Jobtrail's own processes."""

import http.client
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.jobtrail import Jobtrail, part
from bench.stage import Stage
from bench.steady_load import Load
from bench.stream import StreamReader
from bench.visible import Api, Visible, until_reading, watch
from bench.workload import Shape, messages
from local_stack import free_port

_START = 300.0  # seconds until the API must answer


@dataclass(frozen=True, slots=True)
class Live:
    """`visible`: by the API. `stream`: seconds until the stream sent each event."""

    visible: Visible
    stream: list[float]


def jobtrail_visible(stage: Stage, rate: int, settle: float, seconds: float) -> Live:
    """Run a projector and an API at `rate` events a second."""
    topics, candidate = stage.new_topics(), Jobtrail()
    with stage.place(candidate, topics) as place, ExitStack() as stack:
        candidate.start(place)
        port = free_port()
        api = part("api", place, JOBTRAIL_API_PORT=str(port))
        stack.callback(api.end)
        _wait_for_answer(port)
        load = stack.enter_context(Load(stage.kafka, topics.events, messages(Shape(jobs=1_000_000)), rate))
        reader = Api(port)
        until_reading(candidate, load, reader.look)
        with StreamReader(port) as stream:
            start = time.monotonic() + settle
            visible = watch(load, reader.look, settle, seconds)
            counted = [event for event in load.acknowledged if start <= event.at < start + seconds]
            return Live(visible, stream.delays(counted))


def _wait_for_answer(port: int) -> None:
    """Return as soon as an API answers.

    Raises:
        RuntimeError: it does not.
    """
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", "/healthz")
            client.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            client.close()
    raise RuntimeError("the API did not start")
