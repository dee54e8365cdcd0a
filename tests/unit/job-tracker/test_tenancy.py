"""Every route takes the caller's scope from the one dependency, and the scope narrows what is asked."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from tests.api_routes import api_routes

from job_tracker.api.catalogue import ACCOUNTS
from job_tracker.api.dead_letters import DEAD_LETTERS
from job_tracker.api.deps import list_query
from job_tracker.api.jobs import JOBS
from job_tracker.api.list_statements import list_statements_of
from job_tracker.api.tenancy import caller_scope, scope_condition
from job_tracker.bootstrap_api import build_app
from job_tracker.domain.changes import Key, View
from job_tracker.domain.scope import ALL_TENANTS, Scope
from job_tracker.settings import Settings

# They answer without any data of a tenant.
WITHOUT_SCOPE = {"/healthz", "/"}
OWN = Scope(frozenset({"own"}))


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for one in dependant.dependencies:
        yield from calls(one)


def test_every_route_takes_the_scope() -> None:
    app = build_app(Settings(kafka_bootstrap_servers="127.0.0.1:1", database_url="postgresql://127.0.0.1:1/none"))
    routes = list(api_routes(app))
    assert {"/jobs", "/stream", "/dead-letters/ack", "/queues/{service}/{verb}"} <= {route.path for route in routes}
    without = {route.path for route in routes if caller_scope not in calls(route.dependant)}
    assert without == WITHOUT_SCOPE


@pytest.mark.parametrize(
    ("scope", "tenant", "narrowed"),
    [
        (ALL_TENANTS, None, None),
        (ALL_TENANTS, "own", ["own"]),
        (OWN, None, ["own"]),
        (OWN, "own", ["own"]),
        (OWN, "other", []),
        (Scope(frozenset()), None, []),
        (Scope(frozenset({"b", "a"})), None, ["a", "b"]),
    ],
)
def test_a_question_is_narrowed(scope: Scope, tenant: str | None, narrowed: list[str] | None) -> None:
    assert scope.narrowed(tenant) == narrowed


@pytest.mark.parametrize("tenant", [None, "own"])
def test_the_statements_of_all_tenants_are_those_without_a_scope(tenant: str | None) -> None:
    for listing in (JOBS, ACCOUNTS):
        found = list_query(ALL_TENANTS, {"tenant": tenant}, None, None, 50)
        assert found.filters == ({"tenant": [tenant]} if tenant else {})
        assert b"scope" not in list_statements_of(listing, found).rows.text
    found = list_query(ALL_TENANTS, {"topic": None}, None, None, 50)
    assert b"scope" not in list_statements_of(DEAD_LETTERS, found).rows.text
    assert scope_condition(ALL_TENANTS) == ""


def test_a_list_of_one_tenant_is_read_from_its_index() -> None:
    asked = list_statements_of(JOBS, list_query(OWN, {"tenant": None, "status": ["RUNNING"]}, None, None, 50))
    assert asked.plan.served.filters == ("tenant", "status")
    assert not asked.plan.bounded


def test_a_list_without_tenants_has_a_condition_for_them() -> None:
    asked = list_statements_of(DEAD_LETTERS, list_query(OWN, {"topic": None}, None, None, 50))
    assert asked.rows.values["scope_tenants"] == ["own"]
    assert b"%(scope_tenants)s" in asked.total.text


def test_a_view_holds_jobs_of_the_scope_only() -> None:
    view = View(scope=OWN)
    assert view.holds("job", Key("own", "shop", "type", "chain", "RUNNING"))
    assert not view.holds("job", Key("other", "shop", "type", "chain", "RUNNING"))
