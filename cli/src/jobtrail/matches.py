"""`jobtrail matches`: which records are linked, which pairs wait for a person, and a person's decision about one."""

from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from job_events.job_params import DEFAULT_CHANNEL
from jobtrail import terminal
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.items_table import short_id
from jobtrail.tracker import Json, Tracker

app = typer.Typer(no_args_is_help=True)
console = terminal.console()
Account = Annotated[str, typer.Option(help="of which account")]
Tenant = Annotated[str, typer.Option(help="of which tenant")]
Kind = Annotated[str, typer.Option(help="product or customer")]
HubId = Annotated[str, typer.Argument(help="the id of the hub's record")]
RemoteId = Annotated[str, typer.Argument(help="the id of the channel's record; of Shopify, the number in it will do")]
Platform = Annotated[str, typer.Option(help="the channel")]
KINDS = ("product", "customer")
SHOPIFY_TYPES = {"product": "ProductVariant", "customer": "Customer"}


@app.command("list")
def list_matches(
    account: Annotated[str | None, typer.Option(help="of one account")] = None,
    tenant: Annotated[str | None, typer.Option(help="of one tenant")] = None,
    kind: Annotated[str | None, typer.Option(help="product or customer")] = None,
    status: Annotated[str | None, typer.Option(help="auto, review, confirmed or rejected")] = None,
    platform: Annotated[str | None, typer.Option(help="of one channel")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """Pairs of records, with what is known of both: linked by itself, waiting for review, or decided by a person."""
    tracker = Tracker(Home().api())
    filters = {"account": account, "tenant": tenant, "kind": kind, "status": status, "platform": platform}
    found, page = tracker.matches(limit, names="true", **filters)
    table = Table(header_style="bold")
    table.add_column("Hub", overflow="fold", ratio=2)
    table.add_column("Channel", overflow="fold", ratio=2)
    table.add_column("Status", overflow="fold", ratio=1)
    for match in found:
        table.add_row(_hub_record(match), _remote_record(match), _status(match))
    console.print(table)
    console.print(f"{len(found):,} shown of {page['total_text']}", markup=False)


@app.command()
def confirm(
    hub_id: HubId,
    remote_id: RemoteId,
    account: Account,
    tenant: Tenant = "default",
    kind: Kind = "product",
    platform: Platform = DEFAULT_CHANNEL,
) -> None:
    """Link two records; no automatic run changes that."""
    _edit("create", hub_id, remote_id, account, tenant, kind, platform)


@app.command()
def reject(
    hub_id: HubId,
    remote_id: RemoteId,
    account: Account,
    tenant: Tenant = "default",
    kind: Kind = "product",
    platform: Platform = DEFAULT_CHANNEL,
) -> None:
    """Reject a pair of records; no automatic run links them again."""
    _edit("delete", hub_id, remote_id, account, tenant, kind, platform)


def _edit(
    action: Literal["create", "delete"],
    hub_id: str,
    remote_id: str,
    account: str,
    tenant: str,
    kind: str,
    platform: str,
) -> None:
    if kind not in KINDS:
        raise UserError(f"--kind is {kind!r}; choose {' or '.join(KINDS)}")
    if platform == "shopify" and remote_id.isdecimal():
        remote_id = f"gid://shopify/{SHOPIFY_TYPES[kind]}/{remote_id}"
    params = {"action": action, "kind": kind, "hub_id": hub_id, "platform": platform, "remote_id": remote_id}
    request = {"type": "EDIT_MATCH", "tenant": tenant, "account": account, "params": params, "priority": "high"}
    job_id = Tracker(Home().api()).post("/jobs", request)["job_id"]
    console.print(Text.assemble("EDIT_MATCH ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _hub_record(match: Json) -> Text:
    return _record(match["hub_id"], match.get("hub") or {})


def _remote_record(match: Json) -> Text:
    record = _record(match["remote_id"], match.get("remote") or {})
    return Text("\n").join([record, Text(match["platform"], style="dim")])


def _record(record_id: str, known: Json) -> Text:
    lines = [Text(known["title"], style="bold")] if known.get("title") else []
    lines += [Text(f"SKU {known['sku']}")] if known.get("sku") else []
    return Text("\n").join([*lines, Text(short_id(record_id), style="dim" if lines else "")])


def _status(match: Json) -> Text:
    score = match.get("score")
    how = match["method"] + (f" {score:.2f}" if isinstance(score, int | float) else "")
    reason = [Text(match["reason"], style="yellow")] if match.get("reason") else []
    return Text("\n").join([Text(match["status"]), Text(how, style="dim"), *reason])
