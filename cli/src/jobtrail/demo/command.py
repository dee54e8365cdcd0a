"""`jobtrail demo`: start everything, run the chains and the jobs of the next day, count, report, end."""

import time
from pathlib import Path

from rich.console import Console

from jobtrail.demo.account import connect, load_shops
from jobtrail.demo.next_day import run_next_day
from jobtrail.demo.plan import LinkByName, plan_demo
from jobtrail.demo.report import build_report, show_report, write_report
from jobtrail.demo.run import follow, start_chains
from jobtrail.demo.view import DemoView
from jobtrail.home import Home, Ports
from jobtrail.sandbox_client import Sandbox
from jobtrail.stack_view import StackView
from jobtrail.system import running_system
from jobtrail.tracker import Tracker


def run_demo(
    console: Console,
    home: Home,
    nhanh: Path | None,
    shopify: Path | None,
    ports: Ports,
    link_by_name: LinkByName | None = None,
) -> int:
    """Run the demo; exit code 1 if a job failed or was cancelled, else 0.

    link_by_name: the new setting of the account; None keeps the stored one.
    """
    plan = plan_demo(nhanh, shopify)
    view = StackView(console)
    with view, running_system(home, ports, view) as system:
        began = time.monotonic()
        sandbox = Sandbox(system.running.sandbox)
        load = load_shops(sandbox, plan)
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
        with DemoView(console) as live:
            day = run_next_day(tracker, sandbox, plan.account, live.show)
        report = build_report(plan, tracker, jobs, day, load, before, after, time.monotonic() - began)
        show_report(console, report, jobs, day, system.running.api)
        write_report(report)
    return 1 if any(job["status"] in {"FAILED", "CANCELLED"} for job in [*jobs, *day.jobs]) else 0
