"""`jobtrail accounts`: connect shops. Credentials are read without echo and stored encrypted."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from job_events.job_types import PLATFORMS
from jobtrail import terminal
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.merge import changes, merged
from jobtrail.options import json_object
from platforms import registry
from platforms.errors import CredentialsUnreadable
from platforms.results import CheckResult
from platforms.settings import AccountSettings, settings_to_json

if TYPE_CHECKING:
    from platforms.accounts import AccountStore

app = typer.Typer(no_args_is_help=True)
console = terminal.console()

AccountName = Annotated[str, typer.Argument(help="name of the account")]
Tenant = Annotated[str, typer.Option(help="tenant of the account")]
Reason = Annotated[str, typer.Option(help="shown with the account")]


@contextmanager
def account_store() -> Generator["AccountStore", None, None]:
    """The accounts of the running system, or of DATABASE_URL with JOBTRAIL_SECRET_KEY."""
    from jobtrail.account_store import open_accounts

    home = Home()
    with open_accounts(home.database(), home.secret_key()) as accounts:
        yield accounts


def last_drifts() -> dict[tuple[str, str, str], str]:
    """How each channel compared last, by tenant, account and platform."""
    from jobtrail.account_store import read_drifts

    return read_drifts(Home().database())


@app.command()
def add(
    account: Annotated[str, typer.Argument(help="name of the merchant's account, such as lan-shop")],
    platform: Annotated[str, typer.Argument(help=" or ".join(PLATFORMS))],
    base_url: Annotated[str | None, typer.Option(help="the shop's own address; not needed for Nhanh")] = None,
    tenant: Tenant = "default",
    credential: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE instead of a prompt; may be repeated")
    ] = None,
    settings: Annotated[str | None, typer.Option(help="JSON, merged into the stored settings")] = None,
) -> None:
    """Connect a shop, or replace its credentials."""
    registered = registry.platform(platform)
    given = _pairs(credential or [])
    wanted = {} if settings is None else json_object(settings, "--settings")
    address = base_url or registered.base_url
    if address is None:
        raise UserError(f"Each {platform} shop has its own address: --base-url {registered.address_form}")
    for name in registered.credentials:
        if name not in given:
            given[name] = _prompt(platform, name)
    with account_store() as accounts:
        if settings is not None or not accounts.exists(tenant, account):
            _merge_settings(accounts, tenant, account, wanted)
        accounts.put_connection(tenant, account, platform, address, given)
    console.print(f"Stored. Now: jobtrail accounts check {account} --tenant {tenant}", markup=False)


@app.command("settings")
def show_settings(
    account: AccountName,
    tenant: Tenant = "default",
    change: Annotated[str | None, typer.Option("--set", help="JSON, merged into the stored settings")] = None,
) -> None:
    """Show an account's settings, or change those that --set names."""
    wanted = None if change is None else json_object(change, "--set")
    with account_store() as accounts:
        stored = settings_to_json(accounts.settings(tenant, account))
        if wanted is None:
            console.print_json(data=stored)
        elif not _merge_settings(accounts, tenant, account, wanted):
            console.print("No setting changes.")


@app.command("list")
def list_accounts() -> None:
    """All connections without their credentials, with how many linked products differed at the last comparison."""
    table = Table(header_style="bold")
    for name in ("Tenant", "Account", "Platform", "Address", "Status", "Why", "Differ"):
        table.add_column(name, overflow="fold")
    with account_store() as accounts:
        drifts = last_drifts()
        for each in accounts.list_connections():
            drift = drifts.get((each.tenant, each.account, each.platform), "")
            cells = (each.tenant, each.account, each.platform, each.base_url, each.status, each.reason, drift)
            table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


@app.command()
def check(
    account: AccountName,
    tenant: Tenant = "default",
) -> None:
    """Call each of the account's platforms with its stored credentials."""
    from jobtrail.account_store import check_connection

    failed = False
    with account_store() as accounts:
        found = [c for c in accounts.list_connections() if (c.tenant, c.account) == (tenant, account)]
        if not found:
            raise UserError(
                f"There is no account {tenant}/{account}: jobtrail accounts add {account} PLATFORM --tenant {tenant}"
            )
        for connection in found:
            try:
                result = check_connection(accounts.connection(tenant, account, connection.platform))
            except CredentialsUnreadable as error:
                result = CheckResult(False, str(error))
            accounts.mark(connection, "ok" if result.ok else "needs attention", "" if result.ok else result.detail)
            said = Text(f"{connection.platform}: {result.detail}")
            console.print("[green]✔[/]" if result.ok else "[red]✘[/]", said)
            failed = failed or not result.ok
    raise typer.Exit(1 if failed else 0)


@app.command()
def pause(account: AccountName, tenant: Tenant = "default", reason: Reason = "") -> None:
    """Pause all jobs of an account in every service."""
    _command("pause", tenant, account, reason)


@app.command()
def resume(account: AccountName, tenant: Tenant = "default", reason: Reason = "") -> None:
    """Resume the jobs of an account."""
    _command("resume", tenant, account, reason)


def _command(verb: str, tenant: str, account: str, reason: str) -> None:
    from jobtrail.tracker import Tracker, account_path

    Tracker(Home().api()).command(account_path(tenant, account, verb), reason)
    console.print(f"Requested: {verb} account {tenant}/{account}", markup=False)


def _prompt(platform: str, name: str) -> str:
    # Without a terminal nothing can be hidden, and Python would print a long warning.
    hidden = name.endswith(("token", "key", "secret")) and sys.stdin.isatty()
    try:
        return Prompt.ask(f"{platform} {name}", console=console, password=hidden)
    except EOFError:
        raise UserError(f"{platform} needs {name}, and nothing was typed: pass --credential {name}=VALUE") from None


def _merge_settings(accounts: "AccountStore", tenant: str, account: str, wanted: dict[str, Any]) -> bool:
    """Change the given settings, create the account if there is none, and print the differences; returns whether any.

    All other settings stay: one that falls back to its default may let a sync write what it must not write.
    """
    found = accounts.account(tenant, account)
    before = settings_to_json(found.settings if found else AccountSettings())
    after = settings_to_json(accounts.put_account(tenant, account, merged(before, wanted)).settings)
    differences = changes(before, after)
    for line in differences:
        console.print(line, markup=False)
    return bool(differences)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UserError("--credential needs the form NAME=VALUE")
        pairs[name] = value
    return pairs
