"""Settings that nobody names stay as they are, and what changes is said."""

from contextlib import nullcontext
from typing import Any

import pytest

from jobtrail import accounts
from jobtrail.merge import changes, merged
from platforms.connections import Account
from platforms.errors import UnknownAccount
from platforms.settings import AccountSettings, parse_settings

CREDENTIALS = [f"--credential={name}=x" for name in ("app_id", "business_id", "access_token")]


class Stored:
    """A store that holds one account, or none."""

    def __init__(self, **settings: Any) -> None:
        self.held = Account("default", "lan-shop", parse_settings(settings)) if settings else None
        self.connected = False

    def account(self, *_: str) -> Account | None:
        return self.held

    def exists(self, *_: str) -> bool:
        return self.held is not None

    def settings(self, *_: str) -> AccountSettings:
        if self.held is None:
            raise UnknownAccount("there is no account default/lan-shop")
        return self.held.settings

    def put_account(self, tenant: str, account: str, settings: dict[str, Any]) -> Account:
        self.held = Account(tenant, account, parse_settings(settings))
        return self.held

    def put_connection(self, *_: object) -> None:
        self.connected = True


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Stored:
    stored = Stored(max_change_share=0.1, write={"price": False}, depot_locations={"7": "70"})
    monkeypatch.setattr(accounts, "account_store", lambda: nullcontext(stored))
    return stored


@pytest.mark.parametrize(
    "command", [["add", "lan-shop", "nhanh", *CREDENTIALS, "--settings"], ["settings", "lan-shop", "--set"]]
)
def test_settings_are_laid_over_the_stored_ones(run: Any, store: Stored, command: list[str]) -> None:
    ended = run("accounts", *command, '{"write": {"stock": false}, "conflict_rule": "keep_platform"}')
    assert ended.code == 0
    assert ended.out.splitlines()[:2] == [
        'conflict_rule: "nhanh_wins" → "keep_platform"',
        "write.stock: true → false",
    ]
    settings = store.settings()
    assert settings.max_change_share == 0.1 and settings.depot_locations == {"7": "70"}
    assert not settings.write.price and not settings.write.stock
    assert store.connected == (command[0] == "add")


def test_null_puts_back_the_default(run: Any, store: Stored) -> None:
    change = '{"max_change_share": null, "depot_locations": {"7": null}}'
    ended = run("accounts", "settings", "lan-shop", "--set", change)
    assert ended.out == 'depot_locations.7: "70" → nothing\nmax_change_share: 0.1 → 0.5\n'
    assert store.settings().depot_locations == {}


def test_settings_are_shown_and_nothing_is_written(run: Any, store: Stored) -> None:
    held = store.held
    assert '"max_change_share": 0.1' in run("accounts", "settings", "lan-shop").out
    assert "nothing changes" in run("accounts", "settings", "lan-shop", "--set", '{"max_change_share": 0.1}').out
    assert store.held == held


def test_a_wrong_setting_is_refused_by_name(run: Any, store: Stored) -> None:
    held = store.held
    ended = run("accounts", "settings", "lan-shop", "--set", '{"write": {"prices": true}}')
    assert (ended.code, ended.out) == (1, "") and ended.err.startswith("settings.write.prices: ")
    assert store.held == held


def test_settings_make_no_account(run: Any, store: Stored) -> None:
    store.held = None
    ended = run("accounts", "settings", "lan-shop", "--set", "{}")
    assert (ended.code, ended.err) == (1, "there is no account default/lan-shop\n")
    assert store.held is None


def test_objects_are_merged_and_other_values_replaced() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None}, "d": {"e": 4}}) == {"a": {"c": 2}, "d": {"e": 4}}
    assert changes({"a": {"b": 1}}, {"a": {"b": 1}}) == []
