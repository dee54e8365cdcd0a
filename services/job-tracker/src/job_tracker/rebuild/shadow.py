"""A second set of the projection's tables, in a schema of its own, alike to the last index and name."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from psycopg import sql

from job_events.sql_files import queries
from job_tracker.projector.broker import Span
from job_tracker.projector.postgres import SCHEMA as LIVE
from job_tracker.projector.records import Connection, TopicPartition
from job_tracker.rebuild import carry
from job_tracker.rebuild.plan import Live, Stretches

_SQL = queries("job_tracker", "shadow.sql")

REPLACED = ("job", "rollup", "event")  # the tables that a swap exchanges whole
# The load looks for what is there already.
_MERGED = ("job", "rollup", "dead_letter", "consumer_offset", "earlier_stretch")
_TABLES = (*_MERGED, "event")


class Shadow:
    """Owns the schema `name`. The connection commits each statement by itself and finds unqualified tables in it."""

    def __init__(self, connection: Connection, name: str, projection: str) -> None:
        self._connection = connection
        self.name = name
        self._projection = projection
        self._days: set[date] = set()

    def create(self) -> None:
        """Make empty tables; what an earlier run left is dropped."""
        self.drop()
        self._run("CREATE SCHEMA {shadow}")
        for table in _TABLES:
            self._create(table)
        for table in _MERGED:
            self._add_keys(table)
        self._run("CREATE TABLE {shadow}.event_default PARTITION OF {shadow}.event DEFAULT")

    def drop(self) -> None:
        self._run("DROP SCHEMA IF EXISTS {shadow} CASCADE")

    def ensure_days(self, days: Iterable[date]) -> None:
        """History of these UTC days gets tables of its own, as the live history has them."""
        for day in sorted(set(days) - self._days):
            name = f"event_{day:%Y%m%d}"
            self._run(
                "CREATE TABLE {shadow}.{day} PARTITION OF {shadow}.event FOR VALUES FROM ({begin}) TO ({end})",
                day=sql.Identifier(name),
                begin=sql.Literal(f"{day} 00:00:00+00"),
                end=sql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
            )
            self._days.add(day)

    def index(self) -> None:
        """Build the keys and indexes that the load did not need, and let the planner know the tables.

        Sorting once is cheaper than finding each row's place.
        """
        self._run("SET maintenance_work_mem TO '256MB'")
        self._add_keys("event")
        for table in _TABLES:
            for (definition,) in self._ask("indexes", table):
                text = str(definition)
                for only in (f" ON ONLY {LIVE}.", f" ON {LIVE}."):
                    text = text.replace(only, f" ON {self.name}.", 1)
                self._connection.execute(sql.SQL(text))  # pyright: ignore[reportArgumentType] - from the catalogue
        for table in _TABLES:
            self._run("ANALYZE {shadow}.{table}", table=sql.Identifier(table))

    def set_positions(self, places: Mapping[TopicPartition, Live]) -> None:
        """Say where the shadow stands."""
        self._connection.execute(
            _SQL["set_positions"],
            {
                "projection": self._projection,
                "topics": [topic for topic, _ in places],
                "partitions": [number for _, number in places],
                "topic_ids": [place.topic_id for place in places.values()],
                "first_offsets": [place.first_offset for place in places.values()],
                "next_offsets": [place.next_offset for place in places.values()],
            },
        )

    def note_earlier(self, topic_id: str, spans: Mapping[TopicPartition, Span]) -> None:
        """Say what the shadow holds besides the stretches of its positions."""
        self._connection.execute(
            _SQL["note_earlier"],
            {
                "projection": self._projection,
                "topic_id": topic_id,
                "topics": [topic for topic, _ in spans],
                "partitions": [number for _, number in spans],
                "first_offsets": [span.low for span in spans.values()],
                "next_offsets": [span.high for span in spans.values()],
            },
        )

    def forget_deleted(self) -> None:
        """Drop the history of deleted jobs, of which the live table keeps the tombstones alone."""
        self._run("DELETE FROM {shadow}.event USING {shadow}.job WHERE event.job_id = job.job_id AND job.deleted")

    def _create(self, table: str) -> None:
        options, partitioned = self._ask("table_options", table)[0]
        statement = "CREATE TABLE {shadow}.{table} (LIKE {live}.{table} INCLUDING ALL EXCLUDING INDEXES)"
        if partitioned:
            statement += f" PARTITION BY {partitioned}"
        if options:
            statement += f" WITH ({options})"
        self._run(statement, table=sql.Identifier(table))
        for statement in carry.column_settings(self._connection, table, self.name):
            self._connection.execute(statement)

    def _add_keys(self, table: str) -> None:
        for name, definition in self._ask("keys", table):
            self._run(
                f"ALTER TABLE {{shadow}}.{{table}} ADD CONSTRAINT {{name}} {definition}",
                table=sql.Identifier(table),
                name=sql.Identifier(str(name)),
            )

    def _ask(self, query: str, table: str) -> list[tuple[object, ...]]:
        return self._connection.execute(_SQL[query], {"table": f"{LIVE}.{table}"}).fetchall()

    def _run(self, statement: str, **names: sql.Composable) -> None:
        # The text is written here or comes from the server's own catalogue.
        text = sql.SQL(statement)  # pyright: ignore[reportArgumentType]
        self._connection.execute(text.format(shadow=sql.Identifier(self.name), live=sql.Identifier(LIVE), **names))


def live_positions(connection: Connection, projection: str) -> dict[TopicPartition, Live]:
    """Where the live table stands, by partition."""
    return as_positions(connection.execute(_SQL["live_positions"], {"projection": projection}).fetchall())


def live_earlier(connection: Connection, projection: str) -> Stretches:
    """What the live table holds besides the stretches of its positions."""
    found: dict[str, dict[TopicPartition, Span]] = {}
    rows = connection.execute(_SQL["live_earlier"], {"projection": projection}).fetchall()
    for topic, number, topic_id, first, following in rows:
        span = Span(int(str(first)), int(str(following)))
        found.setdefault(str(topic_id), {})[str(topic), int(str(number))] = span
    return found


def as_positions(rows: list[tuple[object, ...]]) -> dict[TopicPartition, Live]:
    """Rows of (topic, partition, topic_id, first_offset, next_offset)."""
    return {
        (str(topic), int(str(number))): Live(str(topic_id), int(str(first)), int(str(following)))
        for topic, number, topic_id, first, following in rows
    }
