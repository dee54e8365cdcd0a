"""The stored candidates after any edits are those of a scoring of everything, though only some were scored again."""

import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from psycopg import Connection
from tests.integration.matcher.hostile_catalogues import CHANNEL, CUSTOMERS, HUB, PRODUCTS, edited, records, steps
from tests.property_tests import examples

from job_events.job_params import MatchParams
from matcher.agent.scoring import _build
from matcher.domain.candidates import Candidate
from matcher.rescoring import plan_scoring
from matcher.store import candidate_lists, chunks, known_records, snapshots
from matcher.store.known_records import Memory
from matcher.store.snapshots import Scope
from matcher.versions import scoring_version
from platforms.migrate import migrate as migrate_accounts
from service_kit.database import migrate


def candidates_of(found: Iterable[Candidate]) -> dict[tuple[str, str], Candidate]:
    return {one.pair: one for one in found}


def score(conn: Connection, scope: Scope, since: str | None) -> tuple[bool, list[str]]:
    """Plan, score and store; whether everything was scored, and which records of the hub were."""
    job_id = str(uuid.uuid4())
    plan = plan_scoring(conn, scope, job_id, MatchParams(since=since), "settings", chunk_size=1, check=lambda: None)
    index = _build(f"AUTO_MATCH_{scope.kind.upper()}S", snapshots.records(conn, job_id))
    ranges = "select chunk_no, first_position, last_position from matcher.chunk where job_id = %s"
    for number, first, last in conn.execute(ranges, (job_id,)).fetchall():
        assert chunks.write(conn, job_id, number, index.score(first, last), "test", scoring_version())
    scored = candidate_lists.scored(conn, scope, job_id)
    found = [one for result in chunks.results(conn, job_id) for one in result.candidates if one.hub_id in set(scored)]
    candidate_lists.replace(conn, scope, scored, found)
    remembered = Memory(scoring_version(), "settings", plan.catalogue.time)
    known_records.remember(conn, scope, job_id, remembered)
    conn.execute("drop table incoming, incoming_list, catalogue_now")
    conn.execute("drop table if exists changed_record, affected")
    return plan.cursor.everything, scored


@pytest.mark.parametrize("kind", ["product", "customer"])
def test_stored_candidates_are_those_of_a_whole_scoring(database_url, pool, kind):
    migrate_accounts(database_url)
    for service in ("puller", "matcher"):
        migrate(database_url, service, ["worker", service])
    fields = PRODUCTS if kind == "product" else CUSTOMERS
    blank = {name: values[0] for name, values in fields.items()}
    seen: Counter[str] = Counter()

    @settings(max_examples=examples(40), suppress_health_check=list(HealthCheck))
    @given(records(fields, HUB), records(fields, CHANNEL), steps(fields))
    def agree(hub: Any, channel: Any, story: list[dict[str, Any]]) -> None:
        account = uuid.uuid4().hex
        scope = Scope("t", account, kind, "shopify", "nhanh")
        whole = Scope("t", f"{account}-whole", kind, "shopify", "nhanh")
        catalogue = {"nhanh": hub, "shopify": channel}
        for step in [{"edits": [], "gone": []}, *story, {"edits": [], "gone": []}]:
            catalogue = edited(catalogue, step, blank)
            with pool.connection() as conn:
                conn.execute("set local search_path = matcher")
                for one in (scope, whole):
                    _put(conn, one, catalogue)
                everything, scored = score(conn, scope, "last")
                score(conn, whole, None)
                seen["everything" if everything else "some" if len(scored) < len(catalogue["nhanh"]) else "all"] += 1
                ours, theirs = (candidates_of(candidate_lists.others(conn, one, [])) for one in (scope, whole))
                assert ours == theirs

    agree()
    assert seen["some"], "no run left a record unscored"


def _put(conn: Connection, scope: Scope, catalogue: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Make this the catalogue of an account."""
    for table in ("record", "product", "variant", "customer"):
        conn.execute(f"delete from puller.{table} where account = %s", (scope.account,))  # pyright: ignore[reportArgumentType, reportCallIssue]
    for platform, listed in catalogue.items():
        for record_id, values in listed.items():
            row = {
                "account": scope.account, "platform": platform, "id": record_id, "kind": scope.kind, **values
            }  # fmt: skip
            conn.execute(
                "insert into puller.record (tenant, account, platform, kind, record_id, seen_by_job, seen_at,"
                " changed_at) values ('t', %(account)s, %(platform)s, %(kind)s, %(id)s, 'pull', now(), now())",
                row,
            )
            if scope.kind == "product":
                conn.execute(
                    "insert into puller.product (tenant, account, platform, product_id, title, brand)"
                    " values ('t', %(account)s, %(platform)s, %(id)s, %(title)s, %(brand)s)",
                    row,
                )
                conn.execute(
                    "insert into puller.variant (tenant, account, platform, variant_id, record_id, product_id, sku,"
                    " barcode, prices) values"
                    " ('t', %(account)s, %(platform)s, %(id)s, %(id)s, %(id)s, %(sku)s, %(barcode)s, '{}')",
                    row,
                )
            else:
                conn.execute(
                    "insert into puller.customer (tenant, account, platform, customer_id, name, phone, phones, email,"
                    " totals) values ('t', %(account)s, %(platform)s, %(id)s, %(name)s, %(phone)s,"
                    " array_remove(array[%(phone)s::text], null), %(email)s, '{}')",
                    row,
                )
