"""What Nhanh offers: pulls of products and customers. Its client is imported when one is opened."""

from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from platforms.adapter import ChosenReader, PageIterator, Platform, PullSource, Selection
from platforms.connections import Connection
from platforms.errors import ValidationFailed
from platforms.nhanh import records
from platforms.results import CheckResult, Wait

if TYPE_CHECKING:
    from platforms.buckets import Buckets


def _open(
    what: Literal["products", "customers"], connection: Connection, selection: Selection, wait: Wait, buckets: "Buckets"
) -> PageIterator:
    from platforms.nhanh.client import MAX_SIZE, NhanhClient

    if selection.query:
        raise ValidationFailed("WRONG_PARAMETER", "Nhanh takes params.filters, not params.query")
    filters = None if selection.filters is None else dict(selection.filters)
    size = min(selection.page_size or MAX_SIZE, MAX_SIZE)
    client = NhanhClient(connection, wait=wait, buckets=buckets)
    page = client.products if what == "products" else client.customers
    return PageIterator(client, lambda next: page(next, filters=filters, size=size))


def _chosen_products(connection: Connection, wait: Wait, buckets: "Buckets") -> ChosenReader:
    from platforms.nhanh.client import MAX_SIZE, NhanhClient

    client = NhanhClient(connection, wait=wait, buckets=buckets)
    return ChosenReader(client, MAX_SIZE, client.products_by_ids)


def _check(connection: Connection, wait: Wait) -> CheckResult:
    from platforms.nhanh.client import NhanhClient

    return NhanhClient(connection, wait=wait).check()


PLATFORM: Final = Platform(
    name="nhanh",
    title="Nhanh",
    role="hub",
    credentials=("app_id", "business_id", "access_token"),
    check=_check,
    pulls={
        "product": PullSource(partial(_open, "products"), records.product, chosen=_chosen_products),
        "customer": PullSource(partial(_open, "customers"), records.customer),
    },
    base_url="https://pos.open.nhanh.vn",
)
