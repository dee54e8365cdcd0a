"""Matches of changes, of chosen records and by keys give what a whole match gives, whatever happened in between.

Four accounts have the same catalogue and the same matches. Then each runs another kind of job, and the whole match of
`whole` is what the others are compared with.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.matcher.hostile_catalogues import (
    CHANNEL,
    CUSTOMERS,
    HUB,
    PRODUCTS,
    Catalogue,
    edited,
    records,
    steps,
)
from tests.job_requests import job_request
from tests.property_tests import examples

from job_events.envelope import encode

EXACT = ("sku", "barcode")


class Shops:
    """Accounts of one database that are matched by the same processes."""

    def __init__(self, room: Any, wait_until: Callable[..., None], kind: str) -> None:
        self._room, self._wait_until, self._kind = room, wait_until, kind
        self.seen: Counter[str] = Counter()

    def put(self, account: str, catalogue: Catalogue) -> None:
        room = self._room
        room.run("insert into accounts.account (tenant, account) values ('t', %s) on conflict do nothing", account)
        for table in ("record", "product", "variant", "customer"):
            room.run(f"delete from puller.{table} where account = %s", account)
        for platform, listed in catalogue.items():
            getattr(room, f"put_{self._kind}s")(platform, listed, account=account)

    def copy(self, source: str, target: str) -> None:
        """Give an account the matches of another one."""
        for table, columns in (
            ("match", "tenant, kind, platform, hub_id, remote_id, status, method, score, reason, job_id"),
            ("former_link", "tenant, kind, platform, hub_id, remote_id, method"),
        ):
            self._room.run(f"delete from matcher.{table} where account = %s", target)
            self._room.run(
                f"insert into matcher.{table} (account, {columns}) select %s, {columns} from matcher.{table}"
                " where account = %s",
                *(target, source),
            )

    def request(self, account: str, job_type: str, **params: Any) -> str:
        event = job_request(job_type, "t", account, **params)
        self._room.send_request(account, encode(event))
        return event.job_id

    def ended(self, job_id: str) -> dict[str, Any]:
        self._wait_until(lambda: self._room.inbox(job_id)["state"] == "finished", f"{job_id} does not end")
        return self._room.inbox(job_id)

    def match(self, account: str, **params: Any) -> str:
        return self.request(account, f"AUTO_MATCH_{self._kind.upper()}S", **params)

    def rows(self, account: str) -> dict[tuple[str, str], tuple[Any, ...]]:
        found = self._room.rows(
            "select hub_id, remote_id, status, method, score, reason from matcher.match where account = %s", account
        )
        return {(row["hub_id"], row["remote_id"]): tuple(row.values())[2:] for row in found}

    def former(self, account: str) -> set[tuple[Any, ...]]:
        found = self._room.rows("select hub_id, remote_id, method from matcher.former_link where account = %s", account)
        return {tuple(row.values()) for row in found}


def check_chosen(shops: Shops, before: Any, step: dict[str, Any], catalogue: Catalogue, end: dict[str, Any]) -> None:
    """The chosen records have the rows of the whole match; all others have the rows of before."""
    chosen = set(step["chosen"])
    whole, limited = shops.rows("whole"), shops.rows("chosen")
    assert {pair: row for pair, row in limited.items() if pair[0] not in chosen} == {
        pair: row for pair, row in before.items() if pair[0] not in chosen
    }
    stolen = {
        pair
        for pair, row in limited.items()
        if row[3] is not None and "is not one of the chosen records" in (row[-1] or "")
    }
    for pair in {pair for pair in (*whole, *limited) if pair[0] in chosen}:
        if pair in stolen:
            shops.seen["kept from a chosen one"] += 1
            assert whole[pair][0] == "auto" and limited[pair][0] == "review"
        else:
            assert limited.get(pair) == whole.get(pair), pair
    counters = end["tally"]
    assert counters["total"] == len(chosen)
    assert counters["failed"] == len(chosen - set(catalogue["nhanh"]))
    assert counters["successful"] + counters["failed"] + counters["skipped"] == len(chosen)


def check_exact(shops: Shops, kind: str, before: Any, catalogue: Catalogue) -> None:
    """Links by keys are those of the whole match, and links by names stay."""
    whole, exact = shops.rows("whole"), shops.rows("exact")
    if kind == "customer":
        assert exact == whole
        assert shops.former("exact") == shops.former("whole")
        return

    def by_codes(rows: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
        return {pair: row for pair, row in rows.items() if row[0] == "auto" and row[1] in EXACT}

    assert by_codes(exact) == by_codes(whole)
    taken = {record_id for pair in by_codes(exact) for record_id in pair}
    for pair, row in before.items():
        if row[0] in {"confirmed", "rejected"}:
            assert exact[pair] == row
        if row[:2] == ("auto", "title") and not taken & set(pair):
            assert exact[pair] == row
            shops.seen["link by name kept"] += 1


@pytest.fixture
def matching(room, wait_until):
    room.start("agent")
    room.start(JOBTRAIL_WORKERS="4", JOBTRAIL_CUSTOMER_CHUNK="3", JOBTRAIL_PRODUCT_CHUNK="1")
    return room


@pytest.mark.parametrize("kind", ["product", "customer"])
def test_every_kind_of_match_agrees_with_the_whole_one(matching, wait_until, kind):
    fields = PRODUCTS if kind == "product" else CUSTOMERS
    shops = Shops(matching, wait_until, kind)
    numbers = itertools.count()

    @settings(max_examples=examples(8), suppress_health_check=list(HealthCheck))
    @given(records(fields, HUB), records(fields, CHANNEL), steps(fields), st.sampled_from(["review", "auto"]))
    def agree(hub: Any, channel: Any, story: list[dict[str, Any]], link_by_name: str) -> None:
        catalogue: Catalogue = {"nhanh": hub, "shopify": channel}
        number = next(numbers)
        for account in ("since", "whole", "chosen", "exact"):
            matching.run(f"delete from matcher.match where account = '{account}'")
            matching.run(f"delete from matcher.former_link where account = '{account}'")
            shops.put(account, catalogue)
        matching.set_settings({"link_by_name": link_by_name})
        first = [shops.match(account) for account in ("since", "whole", "chosen", "exact")]
        ends = [shops.ended(job_id) for job_id in first]
        assert {end["outcome"] for end in ends} == {"success"}
        blank = {name: values[0] for name, values in fields.items()}
        for place, step in enumerate(story):
            catalogue = edited(catalogue, step, blank)
            for account in ("since", "whole"):
                if step["decision"] is not None:
                    action, hub_id, remote_id = step["decision"]
                    edit = {"action": action, "kind": kind, "hub_id": hub_id, "remote_id": remote_id}
                    shops.ended(shops.request(account, "EDIT_MATCH", **edit))
            before = shops.rows("whole")
            for account in ("chosen", "exact"):
                shops.copy("whole", account)
            for account in ("since", "whole", "chosen", "exact"):
                shops.put(account, catalogue)
            since = "last" if (number + place) % 3 else "2020-01-01T00:00:00Z"
            jobs = (
                shops.match("since", since=since),
                shops.match("whole"),
                shops.match("chosen", only=step["chosen"]),
                shops.request("exact", f"MATCH_EXACT_{kind.upper()}S"),
            )
            by_since, whole, by_chosen, exact = map(shops.ended, jobs)
            assert {by_since["outcome"], whole["outcome"], exact["outcome"]} == {"success"}
            assert shops.rows("since") == shops.rows("whole")
            assert shops.former("since") == shops.former("whole")
            ours, theirs = by_since["tally"]["metadata"], whole["tally"]["metadata"]
            shops.seen["full" if ours["fullRun"] else "changed alone"] += 1
            assert ("fullRunReason" in ours) == ours["fullRun"]
            for name in ("matched", "potentialMatches", "created", "updated", "removed", "review", "waitingByName"):
                assert ours[name] == theirs[name], name
            for name in ("phoneVariations", "sharedKeysIgnored") if kind == "customer" else ():
                assert ours[name] == theirs[name] == exact["tally"]["metadata"][name]
            check_chosen(shops, before, step, catalogue, by_chosen)
            check_exact(shops, kind, before, catalogue)

    agree()
    assert shops.seen["changed alone"], "no run scored only what changed"
