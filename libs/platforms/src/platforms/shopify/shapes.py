"""What an answer must hold so that the client can follow it; the records themselves are handed on as they are.

Names are those of the documents. Fields that are null where a record has been deleted say so.
"""

from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from platforms.results import Json

Node = TypeVar("Node")


class _PageInfo(Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None


class _Many(Struct, Generic[Node], rename="camel"):
    nodes: list[Node]
    page_info: _PageInfo

    def __post_init__(self) -> None:
        # A list that breaks off must not look like one that has ended.
        if self.page_info.has_next_page and not self.nodes:
            raise ValueError("an empty page promises another one")
        if self.page_info.has_next_page and not self.page_info.end_cursor:
            raise ValueError("a page promises another one without a cursor")


class _Count(Struct):
    count: int


class _Item(Struct, rename="camel"):
    inventory_levels: _Many[Json]


class _Variant(Struct, rename="camel"):
    inventory_item: _Item


class _Variants(Struct):
    variants: _Many[_Variant]


class _Addresses(Struct, rename="camel"):
    addresses_v2: _Many[Json]


class _Products(Struct, rename="camel"):
    products: _Many[_Variants]
    products_count: _Count | None = None


class _Customers(Struct, rename="camel"):
    customers: _Many[_Addresses]
    customers_count: _Count | None = None


class _ProductsCount(Struct, rename="camel"):
    products_count: _Count | None


class _CustomersCount(Struct, rename="camel"):
    customers_count: _Count | None


class _ProductVariants(Struct):
    product: _Variants | None


class _InventoryLevels(Struct, rename="camel"):
    inventory_item: _Item | None


class _CustomerAddresses(Struct):
    customer: _Addresses | None


class _Nodes(Struct):
    nodes: list[Json | None]


class _Locations(Struct):
    locations: _Many[Json]


class _ShopFields(Struct, rename="camel"):
    name: str
    myshopify_domain: str


class _Shop(Struct):
    shop: _ShopFields


class _UserError(Struct):
    field: list[str] | None = None


class _Written(Struct, rename="camel"):
    user_errors: list[_UserError]


class _UpdateVariants(Struct, rename="camel"):
    product_variants_bulk_update: _Written


class _SetQuantities(Struct, rename="camel"):
    inventory_set_quantities: _Written


class _UpdateCustomer(Struct, rename="camel"):
    customer_update: _Written


class _SetMetafields(Struct, rename="camel"):
    metafields_set: _Written


SHAPES: Final[dict[str, type[Struct]]] = {
    "products": _Products,
    "customers": _Customers,
    "products_count": _ProductsCount,
    "customers_count": _CustomersCount,
    "product_variants": _ProductVariants,
    "inventory_levels": _InventoryLevels,
    "customer_addresses": _CustomerAddresses,
    "variants_by_ids": _Nodes,
    "customers_by_ids": _Nodes,
    "locations": _Locations,
    "shop": _Shop,
    "update_variants": _UpdateVariants,
    "set_quantities": _SetQuantities,
    "update_customer": _UpdateCustomer,
    "set_metafields": _SetMetafields,
}


def fault(name: str, data: Any) -> str | None:
    """What is wrong with the `data` that came for document `name`, with its path; None if it can be followed."""
    try:
        msgspec.convert(data, SHAPES[name])
    except msgspec.ValidationError as error:
        return str(error)
    return None
