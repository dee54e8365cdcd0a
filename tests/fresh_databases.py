"""Databases of one test each, copied from templates: a copy costs a tenth of the migrations."""

import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from platforms.migrate import migrate as migrate_accounts
from service_kit.database import migrate

_PACKAGES = {
    "tracker": ["job_tracker.store"],
    "puller": ["worker", "puller"],
    "matcher": ["worker", "matcher"],
    "syncer": ["worker", "syncer"],
}
_MIGRATIONS: dict[str, Callable[[str], object]] = {
    "accounts": migrate_accounts,
    **{schema: partial(migrate, schema=schema, packages=packages) for schema, packages in _PACKAGES.items()},
}


class FreshDatabases:
    """Creates databases on one server. Templates live until the context ends."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._templates: dict[frozenset[str], str] = {frozenset(): "template1"}

    def __enter__(self) -> "FreshDatabases":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._templates.values())[1:]:
            self._execute("drop database {} with (force)", name)

    @contextmanager
    def open(self, schemas: Sequence[str]) -> Generator[str]:
        """A database with these schemas, dropped at the end of the block."""
        wanted = frozenset(schemas)
        if wanted not in self._templates:
            self._templates[wanted] = self._migrated(sorted(wanted))
        name = self._create(self._templates[wanted])
        yield self._url(name)
        self._execute("drop database {} with (force)", name)

    def _migrated(self, schemas: Sequence[str]) -> str:
        name = self._create("template1")
        for schema in schemas:
            _MIGRATIONS[schema](self._url(name))
        return name

    def _create(self, template: str) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._execute("create database {} template {}", name, template)
        return name

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # pyright: ignore[reportArgumentType]
