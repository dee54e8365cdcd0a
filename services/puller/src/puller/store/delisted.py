"""What a complete pull changes: records that are delisted, and plans for those that need a confirmation first."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from puller.store.catalogue import CatalogueScope
from service_kit.sql_files import queries

_SQL = queries("puller", "catalogue.sql")


@dataclass(frozen=True, slots=True)
class Missing:
    """How many records a pull did not list: `approved` by the plan that was confirmed, and `others`.

    known: all records of the scope that are not delisted.
    """

    others: int
    approved: int
    known: int


def missing(connection: Connection, scope: CatalogueScope, began: datetime, plan: str | None) -> Missing:
    """Count what no pull has seen since `began`. plan: the token that was confirmed, if any."""
    values = {**scope.key(), "began": began, "token": plan}
    row = connection.execute(_SQL["missing"], values).fetchone()
    assert row is not None  # noqa: S101  an aggregate always gives a row
    return Missing(*row)


def mark_approved_delisted(connection: Connection, scope: CatalogueScope, began: datetime, plan: str) -> int:
    """Mark what no pull has seen since `began`, of the records that `plan` names and that none has seen since it was
    made; returns how many records that were."""
    values = {**scope.key(), "began": began, "token": plan}
    return connection.execute(_SQL["mark_approved_delisted"], values).rowcount


def plan_delisted(connection: Connection, scope: CatalogueScope, began: datetime, token: str) -> None:
    """Keep the ids of what no pull has seen since `began` under `token`; plans of more than 14 days are deleted."""
    connection.execute(_SQL["delete_old_plans"])
    connection.execute(_SQL["plan_delisted"], {**scope.key(), "began": began, "token": token})


def knows_plan(connection: Connection, scope: CatalogueScope, token: str) -> bool:
    """Whether `token` was issued for this scope within the last 14 days."""
    row = connection.execute(_SQL["knows_plan"], {**scope.key(), "token": token}).fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM always gives a row
    return row[0]


def note_complete_pull(connection: Connection, scope: CatalogueScope, job_id: str, began: datetime) -> None:
    """Store that a pull of everything is complete: records that were last seen before it began are stale."""
    connection.execute(_SQL["note_complete_pull"], {**scope.key(), "job_id": job_id, "began": began})
