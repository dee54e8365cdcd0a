"""Settings that nobody names stay as they are, and what changes is said."""

import json
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
    assert "No setting changes." in run("accounts", "settings", "lan-shop", "--set", '{"max_change_share": 0.1}').out
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


SHARE = "a share from 0 to 1, such as 0.2 for a fifth"
COUNT = "a whole number of records, 0 or more"
STOCK = 'a number of pieces in quotation marks, such as "3", or a share, such as "10%"'
CHOICES = {
    "link_by_name": ("review", "auto"),
    "unmapped_depots": ("refuse", "sum"),
    "conflict_rule": ("nhanh_wins", "keep_platform"),
    "stock_conflict_rule": ("nhanh_wins", "keep_platform"),
}
WRONG = [
    *(("safety_stock", wrong, STOCK) for wrong in (3, "-1", "10 %", "101%", "3.5", "", "viel")),
    *((name, wrong, SHARE) for name in ("sellout_share", "max_gone_share") for wrong in (1.5, -0.1, "20%", True)),
    *((name, wrong, COUNT) for name in ("sellout_floor", "max_gone_floor") for wrong in (-1, 2.5, "5")),
    *(
        (name, wrong, " or ".join(f'"{one}"' for one in choices))
        for name, choices in CHOICES.items()
        for wrong in ("x", 1)
    ),
    ("write.customer_email", "yes", "true or false"),
]


@pytest.mark.parametrize(("name", "wrong", "form"), WRONG, ids=str)
def test_a_wrong_value_is_refused_with_the_form_that_it_should_have(
    run: Any, store: Stored, name: str, wrong: Any, form: str
) -> None:
    held = store.held
    value: Any = wrong
    for step in reversed(name.split(".")):
        value = {step: value}
    ended = run("accounts", "settings", "lan-shop", "--set", json.dumps(value))
    assert (ended.code, ended.out, ended.err) == (1, "", f"settings.{name}: must be {form}\n")
    assert store.held == held


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("safety_stock", "3", 'safety_stock: "0" → "3"'),
        ("safety_stock", "12.5%", 'safety_stock: "0" → "12.5%"'),
        ("link_by_name", "auto", 'link_by_name: "review" → "auto"'),
        ("unmapped_depots", "sum", 'unmapped_depots: "refuse" → "sum"'),
        ("stock_conflict_rule", "keep_platform", 'stock_conflict_rule: "nhanh_wins" → "keep_platform"'),
        ("sellout_share", 0.5, "sellout_share: 0.2 → 0.5"),
        ("sellout_floor", 0, "sellout_floor: 5 → 0"),
        ("max_gone_share", 1, "max_gone_share: 0.2 → 1.0"),
        ("max_gone_floor", 50, "max_gone_floor: 5 → 50"),
    ],
)
def test_a_setting_is_shown_and_its_change_is_said(run: Any, store: Stored, name: str, value: Any, said: str) -> None:
    assert f'"{name}": ' in run("accounts", "settings", "lan-shop").out
    ended = run("accounts", "settings", "lan-shop", "--set", json.dumps({name: value}))
    assert (ended.code, ended.out) == (0, f"{said}\n")
    assert getattr(store.settings(), name) == value
