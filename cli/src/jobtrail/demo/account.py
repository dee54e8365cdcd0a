"""The account of the demo: its shops in the sandbox, and its connections to them."""

from jobtrail.account_store import open_accounts
from jobtrail.demo.plan import TENANT, DemoPlan, LinkByName, plan_demo
from jobtrail.home import Home, Running
from jobtrail.sandbox_client import Json, Sandbox, source
from platforms.settings import settings_to_json


def load_shops(sandbox: Sandbox, plan: DemoPlan) -> Json:
    """Fill both shops of a demo unless they exist; returns the connection of each.

    Raises:
        UserError: a file cannot be read, or the account holds something else already.
    """
    return sandbox.load(plan.account, source(plan.nhanh, perturb=False), source(plan.shopify, perturb=plan.perturbed))


def ensure_account(running: Running, home: Home) -> None:
    """Create the account of a demo without files, for the commands of the README; an existing account stays as it is.

    Raises:
        UserError: the sandbox holds something else under its name.
    """
    plan = plan_demo(None, None)
    with open_accounts(running.database, home.secret_key()) as accounts:
        if any((one.tenant, one.account) == (TENANT, plan.account) for one in accounts.list_connections()):
            return
    connect(running.database, home, plan, load_shops(Sandbox(running.sandbox), plan), None)


def connect(database_url: str, home: Home, plan: DemoPlan, load: Json, link_by_name: LinkByName | None) -> None:
    """Create the account and its connections to the sandbox; changed settings are kept."""
    with open_accounts(database_url, home.secret_key()) as accounts:
        if not accounts.exists(TENANT, plan.account):
            accounts.put_account(TENANT, plan.account, {"depot_locations": load["depot_locations"]})
        if link_by_name is not None:
            stored = settings_to_json(accounts.settings(TENANT, plan.account))
            accounts.put_account(TENANT, plan.account, stored | {"link_by_name": link_by_name})
        for platform in ("nhanh", "shopify"):
            shop = load[platform]
            accounts.put_connection(TENANT, plan.account, platform, shop["base_url"], shop["credentials"])
