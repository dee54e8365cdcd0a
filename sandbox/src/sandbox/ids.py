"""Shopify's global ids and how the sandbox numbers what hangs together."""

import re

# A product's variants are numbered product * 100 + position, their inventory items this much higher.
ITEM_OFFSET = 400_000_000_000_000_000
_GID = re.compile(r"gid://shopify/([A-Za-z]+)/(\d{1,18})(?:\?.*)?")


def gid(kind: str, number: int | str) -> str:
    """('Product', 5) -> 'gid://shopify/Product/5'."""
    return f"gid://shopify/{kind}/{number}"


def parse(text: str) -> tuple[str, int] | None:
    """('gid://shopify/Product/5') -> ('Product', 5); None for anything else."""
    found = _GID.fullmatch(text)
    return (found[1], int(found[2])) if found else None


def number(text: str, kind: str) -> int | None:
    """The number in a global id of this kind, or None when it is another kind's or no global id."""
    found = parse(text)
    return found[1] if found and found[0] == kind else None
