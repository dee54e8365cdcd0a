"""The table of processes: what a whole system runs. A new service is one entry here and one in docker-compose.yml.

The local stack (`jobtrail up`) starts these processes, `jobtrail check` looks for their consumer groups, and a test
compares docker-compose.yml with the table.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpServer:
    """An HTTP server of a process: `port` is its default port, `health` the path that answers 200 when it is ready."""

    name: str
    health: str
    port: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process. It is ready when its `group` has a member, its `http` answers, or its `view` has a row.

    command: behind `python -m`. `options` follow it on one machine: {port} is the HTTP port, {state} a folder.
    group: its Kafka consumer group.
    view: the view in PostgreSQL that has a row for each of its instances at work.
    needs: the servers that it connects to.
    profile: the profile of docker-compose.yml that it belongs to; without one it always runs.
    """

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...] = ()
    group: str | None = None
    view: str | None = None
    http: HttpServer | None = None
    needs: tuple[str, ...] = ("kafka", "postgres")
    profile: str | None = None


API = HttpServer("api", "/readyz", 8400)
SANDBOX = HttpServer("sandbox", "/_sandbox/health", 8490)

PROCESSES = (
    Process(
        "sandbox",
        ("sandbox",),
        options=("--port", "{port}", "--state", "{state}"),
        http=SANDBOX,
        needs=(),
        profile="sandbox",
    ),
    Process("tracker-projector", ("job_tracker", "projector"), group="tracker-jobs"),
    Process("tracker-items", ("job_tracker", "items"), group="tracker-items"),
    Process("tracker-api", ("job_tracker", "api"), http=API),
    Process("tracker-scheduler", ("job_tracker", "scheduler"), view="tracker.api_schedulers"),
    Process("puller", ("puller",), group="puller"),
    Process("matcher", ("matcher",), group="matcher"),
    Process("matcher-agent", ("matcher", "agent"), group="matcher-agent"),
    Process("syncer", ("syncer",), group="syncer"),
)
CONSUMER_GROUPS = tuple(process.group for process in PROCESSES if process.group is not None)
