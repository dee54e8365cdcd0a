"""`jobtrail matches`: which records are linked, which pairs wait for a person, and a person's word on one."""

from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

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
NhanhId = Annotated[str, typer.Argument(help="the Nhanh record's id")]
ShopifyId = Annotated[str, typer.Argument(help="the Shopify record's id, or the number in it")]
SHOPIFY_TYPES = {"product": "ProductVariant", "customer": "Customer"}


@app.command("list")
def list_matches(
    account: Annotated[str | None, typer.Option(help="of one account")] = None,
    tenant: Annotated[str | None, typer.Option(help="of one tenant")] = None,
    kind: Annotated[str | None, typer.Option(help="product or customer")] = None,
    status: Annotated[str | None, typer.Option(help="auto, review, confirmed or rejected")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """Pairs of records, with what is known of both: linked by itself, waiting for review, or decided by a person."""
    tracker = Tracker(Home().api())
    filters = {"account": account, "tenant": tenant, "kind": kind, "status": status}
    found, page = tracker.matches(limit, names="true", **filters)
    table = Table(header_style="bold")
    table.add_column("Nhanh", overflow="fold", ratio=2)
    table.add_column("Shopify", overflow="fold", ratio=2)
    table.add_column("Status", overflow="fold", ratio=1)
    for match in found:
        table.add_row(_record(match, "nhanh"), _record(match, "shopify"), _status(match))
    console.print(table)
    console.print(f"{len(found):,} shown of {page['total_text']}", markup=False)


@app.command()
def confirm(
    nhanh_id: NhanhId, shopify_id: ShopifyId, account: Account, tenant: Tenant = "default", kind: Kind = "product"
) -> None:
    """Say that two records are the same thing; no automatic run changes that."""
    _edit("create", nhanh_id, shopify_id, account, tenant, kind)


@app.command()
def reject(
    nhanh_id: NhanhId, shopify_id: ShopifyId, account: Account, tenant: Tenant = "default", kind: Kind = "product"
) -> None:
    """Say that two records are not the same thing; no automatic run links them again."""
    _edit("delete", nhanh_id, shopify_id, account, tenant, kind)


def _edit(
    action: Literal["create", "delete"], nhanh_id: str, shopify_id: str, account: str, tenant: str, kind: str
) -> None:
    if kind not in SHOPIFY_TYPES:
        raise UserError(f"--kind is {kind!r}; choose {' or '.join(SHOPIFY_TYPES)}")
    whole = f"gid://shopify/{SHOPIFY_TYPES[kind]}/{shopify_id}" if shopify_id.isdecimal() else shopify_id
    params = {"action": action, "kind": kind, "nhanh_id": nhanh_id, "shopify_id": whole}
    request = {"type": "EDIT_MATCH", "tenant": tenant, "account": account, "params": params, "priority": "high"}
    job_id = Tracker(Home().api()).post("/jobs", request)["job_id"]
    console.print(Text.assemble("EDIT_MATCH ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _record(match: Json, platform: Literal["nhanh", "shopify"]) -> Text:
    known = match.get(platform) or {}
    lines = [Text(known["title"], style="bold")] if known.get("title") else []
    lines += [Text(f"SKU {known['sku']}")] if known.get("sku") else []
    return Text("\n").join([*lines, Text(short_id(match[f"{platform}_id"]), style="dim" if lines else "")])


def _status(match: Json) -> Text:
    score = match.get("score")
    how = match["method"] + (f" {score:.2f}" if isinstance(score, int | float) else "")
    reason = [Text(match["reason"], style="yellow")] if match.get("reason") else []
    return Text("\n").join([Text(match["status"]), Text(how, style="dim"), *reason])
