"""`jobtrail demo`: start everything, run the chains, count, report, end."""

import time
from pathlib import Path

from rich.console import Console

from jobtrail.account_store import open_accounts
from jobtrail.demo.plan import TENANT, DemoPlan, LinkByName, plan_demo
from jobtrail.demo.report import build_report, show_report, write_report
from jobtrail.demo.run import follow, start_chains
from jobtrail.demo.view import DemoView
from jobtrail.home import Home
from jobtrail.ports import Ports
from jobtrail.sandbox_client import Json, Sandbox, source
from jobtrail.stack_view import StackView
from jobtrail.system import running_system
from jobtrail.tracker import Tracker
from platforms.settings import settings_to_json


def run_demo(
    console: Console,
    home: Home,
    nhanh: Path | None,
    shopify: Path | None,
    ports: Ports,
    link_by_name: LinkByName | None = None,
) -> int:
    """Exit code 0 when every job ended well or in part, 1 when one failed.

    link_by_name: the account's setting from now on; None leaves it as it is.
    """
    plan = plan_demo(nhanh, shopify)
    view = StackView(console)
    with view, running_system(home, ports, view) as system:
        began = time.monotonic()
        sandbox = Sandbox(system.running.sandbox)
        load = sandbox.load(
            plan.account, source(plan.nhanh, perturb=False), source(plan.shopify, perturb=plan.perturbed)
        )
        connect(system.running.database, home, plan, load, link_by_name)
        before = sandbox.shops()[plan.account]
        tracker = Tracker(system.running.api, actor="demo")
        chains = start_chains(tracker, plan.account)
        console.print(
            f" Chains of account [bold]{plan.account}[/]: " + ", ".join(f"{c.name} {c.chain}" for c in chains)
        )
        with DemoView(console) as live:
            jobs = follow(tracker, chains, live.show)
        after = sandbox.shops()[plan.account]
        report = build_report(plan, tracker, jobs, load, before, after, time.monotonic() - began)
        show_report(console, report, jobs, system.running.api)
        write_report(report)
    return 1 if any(job["status"] in {"FAILED", "CANCELLED"} for job in jobs) else 0


def connect(database_url: str, home: Home, plan: DemoPlan, load: Json, link_by_name: LinkByName | None) -> None:
    """Make the account and its connections to the sandbox's shops; settings that a person changed are kept."""
    with open_accounts(database_url, home.secret_key()) as accounts:
        if not accounts.exists(TENANT, plan.account):
            accounts.put_account(TENANT, plan.account, {"depot_locations": load["depot_locations"]})
        if link_by_name is not None:
            stored = settings_to_json(accounts.settings(TENANT, plan.account))
            accounts.put_account(TENANT, plan.account, stored | {"link_by_name": link_by_name})
        for platform in ("nhanh", "shopify"):
            shop = load[platform]
            accounts.put_connection(TENANT, plan.account, platform, shop["base_url"], shop["credentials"])
