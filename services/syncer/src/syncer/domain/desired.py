"""What a shop's variant should hold, from Nhanh's catalogue and the account's settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from platforms.settings import PriceRule
from syncer.domain import fields

VAT_ON_TOP = 2
"""Nhanh's priceVatMode: 1 = prices include VAT, 2 = VAT comes on top."""

_SCALES = {"VND": 0, "JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3}
_USUAL_SCALE = 2


@dataclass(frozen=True, slots=True)
class Priced:
    """A price to write, or why there is none; both None: Nhanh has no price and nothing is written."""

    value: str | None
    problem: str | None = None


def scale_of(currency: str | None) -> int:
    """Digits behind the point that a currency has (ISO 4217); 2 where it is unknown, which every shop accepts."""
    return _SCALES.get(currency or "", _USUAL_SCALE)


def price(amount: Decimal | None, vat_mode: int | None, rule: PriceRule, currency: str | None) -> Priced:
    """Nhanh's price in the shop's currency: VAT if it comes on top, times the factor, rounded half up to the step.

    A Nhanh price that is missing is never written as zero, and one that the rule would round to zero is a problem
    of the rule. Prices that are with VAT by their name (retail_vat, import_vat) get none on top.
    """
    if amount is None:
        return Priced(None)
    if amount < 0:
        return Priced(None, f"Nhanh's price {fields.plain_number(amount)} is negative")
    with_vat = amount
    if vat_mode == VAT_ON_TOP and not rule.field.endswith("_vat"):
        with_vat = amount * (100 + rule.vat_percent) / 100
    steps = (with_vat * rule.currency_factor / rule.rounding).to_integral_value(ROUND_HALF_UP)
    rounded = (steps * rule.rounding).quantize(Decimal(1).scaleb(-scale_of(currency)), ROUND_HALF_UP)
    if rounded == 0 and amount != 0:
        return Priced(None, f"the price rule rounds {fields.plain_number(amount)} to zero; mend rounding or factor")
    return Priced(f"{rounded:f}")


def location_gid(location: str) -> str:
    """A location's full id; settings may name it by its number alone."""
    return location if location.startswith("gid://") else f"gid://shopify/Location/{location}"


def stock(
    by_depot: Iterable[tuple[str, Decimal | None]],
    depot_locations: Mapping[str, str],
    first_location: str | None,
) -> dict[str, str]:
    """Field -> quantity for every location that gets stock: the sum of its depots, floored, never below 0.

    Without `depot_locations` all depots go to `first_location`. A location none of whose depots is known gets
    nothing written; a depot that says null counts as unknown, never as zero.
    """
    sums: dict[str, Decimal] = {}
    for depot, available in by_depot:
        location = depot_locations.get(depot) if depot_locations else first_location
        if location is None or available is None:
            continue
        gid = location_gid(location)
        sums[gid] = sums.get(gid, Decimal(0)) + available
    return {fields.stock_at(gid): _quantity(total) for gid, total in sorted(sums.items())}


def _quantity(total: Decimal) -> str:
    return str(max(0, int(total.to_integral_value(ROUND_FLOOR))))
