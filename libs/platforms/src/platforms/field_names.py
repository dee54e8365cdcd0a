"""The names of the fields that are written to a channel, the same for every channel.

`price`, `stock@<location id>`, `name`, `phone`, `email`, and `nhanh.<key>` for what the hub tells beyond these.
"""

from typing import Final

PRICE: Final = "price"
NAME: Final = "name"
PHONE: Final = "phone"
EMAIL: Final = "email"
METAFIELDS: Final = "nhanh"
"""The namespace of the metafields."""
_STOCK: Final = "stock@"


def stock_at(location_id: str) -> str:
    """The name of the stock at a location."""
    return _STOCK + location_id


def location_of(field: str) -> str | None:
    """The location whose stock this is, None for any other field."""
    return field.removeprefix(_STOCK) if field.startswith(_STOCK) else None


def metafield(key: str) -> str:
    """The name of one of our metafields."""
    return f"{METAFIELDS}.{key}"


def metafield_key(field: str) -> str | None:
    """The metafield's key, None for any other field."""
    return field.removeprefix(f"{METAFIELDS}.") if field.startswith(f"{METAFIELDS}.") else None
