"""Accounts and connections in a real database."""

import threading
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from platforms.accounts import AccountStore
from platforms.cipher import Cipher
from platforms.errors import CredentialsUnreadable, InvalidAccount, SettingsUnreadable, UnknownAccount
from platforms.migrate import migrate

TOKEN = "shpat_0123456789"


@pytest.fixture
def store(database_url: str, pool: ConnectionPool) -> AccountStore:
    migrate(database_url)
    return AccountStore(pool, Cipher(Cipher.new_key()))


def test_many_processes_may_migrate_an_empty_database_at_once(database_url: str) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            migrate(database_url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with psycopg.connect(database_url) as db:
        applied = db.execute("select count(*) from accounts._yoyo_migration").fetchone()
        outside = db.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
    assert applied == (2,)
    assert outside == (0,)


def test_an_account_keeps_its_settings(store: AccountStore) -> None:
    assert store.account("demo", "shop") is None
    assert not store.exists("demo", "shop")
    store.put_account("demo", "shop", {"max_change_floor": 3})
    store.put_account("demo", "shop", {"write": {"price": False}})
    account = store.account("demo", "shop")
    assert account is not None
    assert account.settings.max_change_floor == 5
    assert account.settings.write.price is False
    assert store.exists("demo", "shop")
    with pytest.raises(UnknownAccount):
        store.settings("demo", "other")
    with pytest.raises(InvalidAccount):
        store.put_account("demo", "shop", {"wrong": 1})


def _store_by_a_newer_version(pool: ConnectionPool, settings: dict[str, Any]) -> None:
    with pool.connection() as db:
        db.execute("update accounts.account set settings = settings || %s", [Jsonb(settings)])


def test_settings_of_a_newer_version_neither_hide_an_account_nor_stop_its_jobs(
    store: AccountStore, pool: ConnectionPool
) -> None:
    store.put_account("demo", "shop", {"max_change_floor": 3})
    _store_by_a_newer_version(pool, {"night_runs": True, "write": {"price": False, "images": True}})
    settings = store.settings("demo", "shop")
    assert (settings.max_change_floor, settings.write.price) == (3, False)
    _store_by_a_newer_version(pool, {"conflict_rule": "ask"})
    assert store.exists("demo", "shop")
    with pytest.raises(SettingsUnreadable) as caught:
        store.settings("demo", "shop")
    assert caught.value.category == "VALIDATION_FAILED"
    assert caught.value.message.startswith("settings.conflict_rule: ")
    assert "demo/shop" in caught.value.message


def test_a_connection_comes_back_as_it_was_put(store: AccountStore) -> None:
    with pytest.raises(UnknownAccount):
        store.put_connection("demo", "shop", "shopify", "https://x.myshopify.com", {"access_token": TOKEN})
    store.put_account("demo", "shop", {})
    store.put_connection("demo", "shop", "shopify", "https://x.myshopify.com/", {"access_token": TOKEN})
    connection = store.connection("demo", "shop", "shopify")
    assert connection.base_url == "https://x.myshopify.com"
    assert connection.credentials == {"access_token": TOKEN}
    assert store.list_connections() == [replace(connection, credentials={})]
    with pytest.raises(UnknownAccount):
        store.connection("demo", "shop", "nhanh")
    with pytest.raises(InvalidAccount):
        store.put_connection("demo", "shop", "ebay", "https://x.test", {})


def test_a_status_stays_until_new_credentials_come(store: AccountStore) -> None:
    store.put_account("demo", "shop")
    store.put_connection("demo", "shop", "shopify", "https://x.test", {"access_token": TOKEN})
    store.mark(store.connection("demo", "shop", "shopify"), "needs re-authorisation", "ERR_INVALID_ACCESS_TOKEN")
    marked = store.connection("demo", "shop", "shopify")
    assert (marked.status, marked.reason) == ("needs re-authorisation", "ERR_INVALID_ACCESS_TOKEN")
    store.put_connection("demo", "shop", "shopify", "https://x.test", {"access_token": TOKEN + "9"})
    assert store.connection("demo", "shop", "shopify").status == "ok"


def test_no_table_or_view_shows_a_secret(store: AccountStore, pool: ConnectionPool) -> None:
    store.put_account("demo", "shop")
    store.put_connection("demo", "shop", "shopify", "https://x.test", {"access_token": TOKEN})
    with pool.connection() as db:
        shown: Any = db.execute("select to_jsonb(v)::text from accounts.api_accounts v").fetchone()
        stored: Any = db.execute("select credentials from accounts.connection").fetchone()
    assert '"platform": "shopify"' in shown[0]
    assert "credentials" not in shown[0]
    assert TOKEN.encode() not in bytes(stored[0])


def test_another_key_does_not_open_the_store(store: AccountStore, pool: ConnectionPool) -> None:
    store.put_account("demo", "shop")
    store.put_connection("demo", "shop", "shopify", "https://x.test", {"access_token": TOKEN})
    with pytest.raises(CredentialsUnreadable):
        AccountStore(pool, Cipher(Cipher.new_key())).connection("demo", "shop", "shopify")
