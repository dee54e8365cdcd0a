"""What a pull no longer finds: marked within the account's limits, else shown, and gone only as far as confirmed."""

from collections.abc import Callable
from typing import Any

import pytest

JOB = "PULL_NHANH_CUSTOMERS"
HELD = 90


def _listed(world: Any) -> int:
    return world.rows("select count(*)::int as n from puller.api_customers where account = %(account)s")[0]["n"]


def _end_after(world: Any, records: int | None) -> None:
    world.sandbox.switch(world.account, "nhanh", lists_end_after=records)


def _assert_stopped(data: Any, missing: int, known: int) -> str:
    assert (data.outcome, data.error.category) == ("failure", "CHANGE_TOO_LARGE")
    token = data.metadata["planToken"]
    assert f"{missing} of {known} known customers" in data.error.message
    assert token in data.error.message
    return token


def test_the_accounts_limits_decide_what_is_asked(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        assert world.run(JOB).data.outcome == "success"
        _end_after(world, 72)  # a fifth is missing: not more than a fifth
        data = world.run(JOB).data
        assert (data.outcome, data.metadata["gone"], "planToken" in data.metadata) == ("success", 18, False)
        _end_after(world, 57)  # 15 of 72
        _assert_stopped(world.run(JOB).data, 15, 72)
        assert _listed(world) == 72
        world.store.put_account("demo", world.account, {"max_gone_floor": 15})
        assert world.run(JOB).data.metadata["gone"] == 15
        world.store.put_account("demo", world.account, {"max_gone_share": 0.01, "max_gone_floor": 0})
        _end_after(world, 56)
        _assert_stopped(world.run(JOB).data, 1, 57)


def test_confirming_approves_what_was_shown_and_nothing_else(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        world.run(JOB)
        _end_after(world, 60)
        first = _assert_stopped(world.run(JOB).data, 30, HELD)
        _end_after(world, 40)  # 20 more of the 60 that nobody was asked about
        data = world.run(JOB, confirm=first).data
        second = _assert_stopped(data, 20, 60)
        assert second != first
        assert (data.metadata["gone"], _listed(world)) == (30, 60)
        data = world.run(JOB, confirm=second).data
        assert (data.outcome, data.metadata["gone"], _listed(world)) == ("success", 20, 40)
        _end_after(world, None)
        assert world.run(JOB).data.metadata["created"] == 50


def test_a_few_more_than_confirmed_are_within_the_limits(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        world.run(JOB)
        _end_after(world, 60)
        token = _assert_stopped(world.run(JOB).data, 30, HELD)
        _end_after(world, 55)
        data = world.run(JOB, confirm=token).data
        assert (data.outcome, data.metadata["gone"], _listed(world)) == ("success", 35, 55)


def test_a_record_that_came_back_is_not_approved_any_more(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        world.run(JOB)
        _end_after(world, 60)
        token = _assert_stopped(world.run(JOB).data, 30, HELD)
        _end_after(world, None)
        assert world.run(JOB).data.metadata["gone"] == 0
        _end_after(world, 60)
        data = world.run(JOB, confirm=token).data
        assert _assert_stopped(data, 30, HELD) != token
        assert _listed(world) == HELD


@pytest.mark.parametrize("foreign", ["of nobody", "of products", "of another account", "too old"])
def test_a_plan_of_something_else_is_refused_before_the_first_page(
    world: Any, puller: Callable[[], Any], foreign: str
) -> None:
    with puller():
        world.run("PULL_NHANH_PRODUCTS")
        world.run(JOB)
        _end_after(world, 0)
        of_products = world.run("PULL_NHANH_PRODUCTS").data.metadata["planToken"]
        own = world.run(JOB).data.metadata["planToken"]
        token = {"of nobody": "no-such-plan", "of products": of_products}.get(foreign, own)
        with world.pool.connection() as connection:
            if foreign == "of another account":
                connection.execute("update puller.gone_plan set account = 'other' where token = %s", [own])
            if foreign == "too old":
                connection.execute("update puller.gone_plan set made_at = made_at - interval '15 days'")
        sent = len(world.sandbox.requests(world.account, "nhanh"))
        data = world.run(JOB, confirm=token).data
        assert (data.outcome, data.error.category, data.error.code) == ("failure", "VALIDATION_FAILED", "UNKNOWN_PLAN")
        assert token in data.error.message
        assert len(world.sandbox.requests(world.account, "nhanh")) == sent
        assert _listed(world) == HELD


def test_old_plans_are_deleted(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        world.run(JOB)
        _end_after(world, 0)
        first = world.run(JOB).data.metadata["planToken"]
        with world.pool.connection() as connection:
            connection.execute("update puller.gone_plan set made_at = made_at - interval '15 days'")
        second = world.run(JOB).data.metadata["planToken"]
    kept = world.rows("select token from puller.gone_plan where account = %(account)s")
    assert [row["token"] for row in kept] == [second] != [first]
