"""`jobtrail up` and `down`: the whole system on this machine."""

import threading

import httpx
from rich.console import Console
from rich.text import Text

from jobtrail.errors import UserError
from jobtrail.home import Home, Ports, Running
from jobtrail.sandbox_client import Sandbox
from jobtrail.stack_view import StackView
from jobtrail.system import running_system
from local_stack import EndedByDown, down


def run_up(console: Console, home: Home, ports: Ports) -> None:
    """Start the system and print deaths and restarts until Ctrl-C or `down`."""
    view = StackView(console)
    try:
        with view, running_system(home, ports, view) as system:
            follow_sandbox(system.running, home)
            _ensure_demo_account(console, system.running, home)
            _addresses(console, system.running, home)
            view.stop_bars()
            threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Stopped. The data stays for the next start.")
    except EndedByDown:
        console.print("Stopped by `down`. The data stays for the next start.")


def follow_sandbox(running: Running, home: Home) -> None:
    """Update the addresses of accounts whose shops are in the sandbox; its port may have changed."""
    from jobtrail.account_store import open_accounts

    shops = Sandbox(running.sandbox).shops()
    with open_accounts(running.database, home.secret_key()) as accounts:
        for connection in accounts.list_connections():
            shop = shops.get(connection.account, {}).get(connection.platform)
            local = httpx.URL(connection.base_url).host == "127.0.0.1"
            if shop and local and shop["base_url"] != connection.base_url:
                names = connection.tenant, connection.account, connection.platform
                accounts.put_connection(*names, shop["base_url"], accounts.connection(*names).credentials)


def _ensure_demo_account(console: Console, running: Running, home: Home) -> None:
    """Create the account of the demo; the system also works without it."""
    from jobtrail.demo.account import ensure_account

    try:
        ensure_account(running, home)
    except (UserError, httpx.HTTPError) as error:
        console.print(Text(f"The account of the demo is missing: {error}", style="yellow"), soft_wrap=True)


def run_down(console: Console, home: Home) -> None:
    """Stop what an earlier start from this folder left running."""
    for sentence in down(home.folder) or [f"Nothing runs from {home.folder}."]:
        console.print(sentence, markup=False)
    home.forget_running()


def _addresses(console: Console, running: Running, home: Home) -> None:
    console.print()
    console.print(f"API         [bold]{running.api}[/]  (try {running.api}/jobs, documentation at {running.api}/docs)")
    console.print(f"Kafka       {running.kafka}")
    console.print(f"PostgreSQL  {running.database}", soft_wrap=True, markup=False)
    console.print(f"Sandbox     {running.sandbox}/_sandbox/shops")
    console.print(f"Logs        {home.logs}", soft_wrap=True, markup=False)
    console.print("Ctrl-C stops everything.")
