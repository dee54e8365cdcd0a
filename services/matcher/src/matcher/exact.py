"""MATCH_EXACT_PRODUCTS and MATCH_EXACT_CUSTOMERS: match by keys alone, without agents.

1. Read, in one checkpoint: bring the stored keys up to date, cursor {"step": "deciding"}.
2. Decide, in one checkpoint: SQL finds the records that share a key, the rules of the automatic match decide on them.
Customers match by keys only, so this is the whole automatic match; of products domain/exact.py says what is written.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.errors import InvalidSchemaName, UndefinedTable

from job_events.job_params import ExactMatchParams
from matcher.automatic import count_links, record_links
from matcher.domain.candidates import Candidate, Known
from matcher.domain.customers import Customer, CustomerIndex
from matcher.domain.exact import ExactDecision, decide_by_codes
from matcher.domain.mappings import compare, earlier_links, known
from matcher.domain.overlap import WordCounts
from matcher.domain.product_codes import Product, ProductCodes
from matcher.domain.record_keys import read_customer_keys
from matcher.domain.resolution import Bands, resolve_customers
from matcher.scope import nothing_pulled, scope_of
from matcher.store import known_records, matches
from matcher.store.known_records import KeyedRecord
from matcher.store.snapshots import Scope
from matcher.versions import scoring_version
from platforms import registry
from platforms.adapter import Kind
from service_kit.database import refresh_statistics
from worker.job import RunningJob, params_of
from worker.job_result import JobResult


class ExactMatch:
    """The handler of one exact match job type."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind

    def __call__(self, job: RunningJob) -> JobResult | None:
        scope = scope_of(job, self._kind, params_of(job, ExactMatchParams).platform)
        if job.cursor is None:
            self._read(job, scope)
        cursor: Any = job.cursor  # a dictionary since the checkpoint of the reading
        if cursor["step"] == "deciding":
            self._decide(job, scope)
        return None

    def _read(self, job: RunningJob, scope: Scope) -> None:
        job.progress("reading keys")
        with job.checkpoint() as checkpoint:
            try:
                catalogue = known_records.read_catalogue(checkpoint.connection, scope, scoring_version(), job.check)
            except (UndefinedTable, InvalidSchemaName):
                raise nothing_pulled() from None
            loaded = f"{self._kind.capitalize()}sLoaded"
            checkpoint.counters.total = catalogue.of_hub
            checkpoint.counters.metadata.update(
                {f"{scope.hub}{loaded}": catalogue.of_hub, f"{scope.platform}{loaded}": catalogue.of_channel}
            )
            checkpoint.cursor = {"step": "deciding"}

    def _decide(self, job: RunningJob, scope: Scope) -> None:
        job.progress("deciding")
        with job.checkpoint() as checkpoint:
            conn = checkpoint.connection
            matches.lock(conn, scope)
            rows = matches.read_all(conn, scope)
            stored = matches.read_former(conn, scope)
            former = known_records.former_links(conn, scope, earlier_links(rows, stored))
            decided = known(rows, former)
            records = known_records.keyed(conn, scope)
            job.check()
            metadata: dict[str, Any] = {}
            if scope.kind == "customer":
                candidates = _customer_candidates(scope, records)
                decision = resolve_customers(candidates, decided, Bands())
                exact = ExactDecision(decision, rows, 0, decision.former)
                metadata = known_records.phone_counts(conn, scope)
            else:
                candidates = _product_candidates(scope, records, lambda: _words(conn, scope))
                exact = decide_by_codes(candidates, rows, decided)
                metadata["linkedByName"] = exact.by_name
            job.check()
            changes = compare(exact.rows, exact.decision)
            matches.apply(conn, scope, job.id, changes)
            matches.keep_former(conn, scope, stored, exact.former)
            record_links(checkpoint, scope, changes)
            count_links(checkpoint, exact.decision, changes, _confirmed(conn, scope, decided))
            checkpoint.counters.metadata.update({"potentialMatches": len(candidates), **metadata})
            refresh_statistics(conn, "match")
            checkpoint.cursor = {"step": "written"}


def _confirmed(conn: Connection, scope: Scope, decided: Known) -> int:
    return known_records.both_present(conn, scope, decided.confirmed.items())


def _words(conn: Connection, scope: Scope) -> WordCounts:
    names = known_records.names(conn, scope)
    return WordCounts(names.get(scope.hub, []), names.get(scope.platform, []))


def _product_candidates(scope: Scope, records: list[KeyedRecord], corpus: Callable[[], WordCounts]) -> list[Candidate]:
    hub, channel = _by_side(scope, records)
    products = dict[str, Product]
    codes = ProductCodes(
        msgspec.convert({one: record.about for one, record in hub.items()}, products),
        msgspec.convert({one: record.about for one, record in channel.items()}, products),
        _titles(scope),
        corpus=corpus,
        keys=({one: record.keys for one, record in hub.items()}, {one: record.keys for one, record in channel.items()}),
    )
    return codes.evidence()


def _customer_candidates(scope: Scope, records: list[KeyedRecord]) -> list[Candidate]:
    hub, channel = _by_side(scope, records)
    if not hub:
        return []
    customers = dict[str, Customer]
    index = CustomerIndex(
        msgspec.convert({one: record.about for one, record in hub.items()}, customers),
        msgspec.convert({one: record.about for one, record in channel.items()}, customers),
        _titles(scope),
        keys=(
            {one: read_customer_keys(record.keys) for one, record in hub.items()},
            {one: read_customer_keys(record.keys) for one, record in channel.items()},
        ),
    )
    return index.score(0, len(hub) - 1).candidates


def _by_side(scope: Scope, records: list[KeyedRecord]) -> tuple[dict[str, KeyedRecord], dict[str, KeyedRecord]]:
    hub = {one.record_id: one for one in records if one.side == scope.hub}
    return hub, {one.record_id: one for one in records if one.side != scope.hub}


def _titles(scope: Scope) -> tuple[str, str]:
    platforms = registry.platforms()
    return platforms[scope.hub].title, platforms[scope.platform].title
