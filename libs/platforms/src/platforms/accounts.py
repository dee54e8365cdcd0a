"""The store of accounts, settings and connections: the only writer of these tables in the schema `accounts`."""

from collections.abc import Mapping
from typing import Any

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from platforms import registry
from platforms.cipher import Cipher
from platforms.connections import (
    Account,
    Connection,
    checked_base_url,
    checked_credentials,
    checked_name,
)
from platforms.errors import InvalidAccount, SettingsUnreadable, UnknownAccount
from platforms.settings import AccountSettings, parse_settings, settings_to_json, stored_settings
from service_kit.sql_files import queries

_SQL = queries("platforms", "accounts.sql")


class AccountStore:
    """Accounts, settings and encrypted credentials. Call `platforms.migrate.migrate` before first use."""

    def __init__(self, pool: ConnectionPool, cipher: Cipher) -> None:
        self._pool = pool
        self._cipher = cipher

    def put_account(self, tenant: str, account: str, settings: Mapping[str, Any] | None = None) -> Account:
        """Create the account or replace its settings. Raises InvalidAccount naming the field."""
        names = {"tenant": checked_name("tenant", tenant), "account": checked_name("account", account)}
        checked = parse_settings(settings or {})
        with self._pool.connection() as db:
            db.execute(_SQL["put_account"], {**names, "settings": Jsonb(settings_to_json(checked))})
        return Account(tenant, account, checked)

    def account(self, tenant: str, account: str) -> Account | None:
        """The account with its settings (defaults filled in), None if there is none. Raises SettingsUnreadable."""
        with self._pool.connection() as db:
            row = db.execute(_SQL["account"], {"tenant": tenant, "account": account}).fetchone()
        return None if row is None else Account(tenant, account, _read_settings(tenant, account, row[0]))

    def exists(self, tenant: str, account: str) -> bool:
        """Whether there is such an account, whatever its settings hold."""
        with self._pool.connection() as db:
            row = db.execute(_SQL["account_exists"], {"tenant": tenant, "account": account}).fetchone()
        assert row is not None  # noqa: S101  a SELECT without FROM always gives one row
        return row[0]

    def settings(self, tenant: str, account: str) -> AccountSettings:
        """The account's settings. Raises UnknownAccount, SettingsUnreadable."""
        found = self.account(tenant, account)
        if found is None:
            raise UnknownAccount(f"there is no account {tenant}/{account}")
        return found.settings

    def put_connection(
        self, tenant: str, account: str, platform: str, base_url: str, credentials: Mapping[str, object]
    ) -> Connection:
        """Create or replace a connection; its status becomes "ok" again.

        Raises InvalidAccount naming the field, UnknownAccount if the account is not there yet.
        """
        registered = registry.platform(platform)
        connection = Connection(
            tenant=checked_name("tenant", tenant),
            account=checked_name("account", account),
            platform=registered.name,
            base_url=checked_base_url(base_url),
            credentials=checked_credentials(registered.name, registered.credentials, credentials),
        )
        sealed = self._cipher.seal(_owner(tenant, account, platform), connection.credentials)
        values = {**_key(connection), "base_url": connection.base_url, "credentials": sealed}
        try:
            with self._pool.connection() as db:
                db.execute(_SQL["put_connection"], values)
        except ForeignKeyViolation:
            raise UnknownAccount(f"there is no account {tenant}/{account}") from None
        return connection

    def connection(self, tenant: str, account: str, platform: str) -> Connection:
        """The connection with its credentials. Raises UnknownAccount, CredentialsUnreadable."""
        values = {"tenant": tenant, "account": account, "platform": platform}
        with self._pool.connection() as db, db.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_SQL["connection"], values).fetchone()
        if row is None:
            raise UnknownAccount(f"{tenant}/{account} has no connection to {platform}")
        return self._connection(row)

    def list_connections(self) -> list[Connection]:
        """All connections by tenant, account, platform, without credentials: unreadable ones must not hide any."""
        with self._pool.connection() as db, db.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["connections"]).fetchall()
        for row in rows:
            row["credentials"] = {}
        return [Connection(**row) for row in rows]

    def mark(self, connection: Connection, status: str, reason: str = "") -> None:
        """Set the status of a connection: OK, NEEDS_AUTHORISATION or another word; a repeat writes nothing."""
        with self._pool.connection() as db:
            db.execute(_SQL["mark"], {**_key(connection), "status": status, "reason": reason})

    def _connection(self, row: DictRow) -> Connection:
        owner = _owner(row["tenant"], row["account"], row["platform"])
        opened = self._cipher.open(owner, row.pop("credentials"))
        return Connection(**row, credentials=opened)


def _read_settings(tenant: str, account: str, stored: Mapping[str, Any]) -> AccountSettings:
    try:
        return stored_settings(stored)
    except InvalidAccount as error:
        reason = f"{error}: stored for {tenant}/{account} by another version; store its settings anew"
        raise SettingsUnreadable("SETTINGS_UNREADABLE", reason) from None


def _key(connection: Connection) -> dict[str, str]:
    return {
        "tenant": connection.tenant,
        "account": connection.account,
        "platform": connection.platform,
    }


def _owner(tenant: str, account: str, platform: str) -> str:
    return f"{tenant}/{account}/{platform}"
