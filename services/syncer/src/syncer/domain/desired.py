"""The values that a channel's variant should hold, from the hub's catalogue and the account's settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from platforms import field_names
from platforms.settings import PriceRule, SafetyStock
from platforms.spelling import word_set
from syncer.domain import fields

VAT_ON_TOP = 2
"""Nhanh's priceVatMode: 1 = prices include VAT, 2 = VAT comes on top."""

HUB_CURRENCY = "VND"
"""The currency of Nhanh's prices."""

_SCALES = {
    **dict.fromkeys(word_set("VND JPY KRW CLP ISK BIF DJF GNF KMF PYG RWF UGX VUV XAF XOF XPF"), 0),
    **dict.fromkeys(word_set("BHD IQD JOD KWD LYD OMR TND"), 3),
}
_USUAL_SCALE = 2


@dataclass(frozen=True, slots=True)
class Priced:
    """A price to write, or why there is none; both None: Nhanh has no price and nothing is written."""

    value: str | None
    problem: str | None = None


def scale_of(currency: str | None) -> int:
    """Digits behind the point that a currency has (ISO 4217); 2 where it is unknown, which every shop accepts."""
    return _SCALES.get(currency or "", _USUAL_SCALE)


def currency_problem(currency: str, rule: PriceRule) -> str | None:
    """Why prices by this rule can't be written to a shop that sells in `currency`, with the setting to make."""
    if rule.currency_factor == 1:
        if currency == HUB_CURRENCY:
            return None
        return (
            f"the shop sells in {currency}, and Nhanh's prices are in {HUB_CURRENCY}: set price_rule.currency_factor "
            f"to the {currency} of one {HUB_CURRENCY} and price_rule.rounding to the smallest step of a price, such as "
            f"{_smallest_step(currency)}; or set write.price to false"
        )
    if rule.rounding % _smallest_step(currency) == 0:
        return None
    return (
        f"price_rule.rounding is {fields.plain_number(rule.rounding)}, and the shop sells in {currency}: set it to "
        f"{_smallest_step(currency)} or a multiple of it"
    )


def _smallest_step(currency: str) -> Decimal:
    return Decimal(1).scaleb(-scale_of(currency))


def price(amount: Decimal | None, vat_mode: int | None, rule: PriceRule, currency: str | None) -> Priced:
    """Nhanh's price in the shop's currency: VAT if it comes on top, times the factor, rounded half up to the step.

    currency: None where it is unknown; then the step alone says how many digits there are, two at least.

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
    scale = max(_USUAL_SCALE, _decimals(rule.rounding)) if currency is None else scale_of(currency)
    rounded = (steps * rule.rounding).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    if rounded == 0 and amount != 0:
        amount_text = fields.plain_number(amount)
        advice = "set a smaller price_rule.rounding or a greater price_rule.currency_factor"
        return Priced(None, f"the price rule rounds {amount_text} to zero: {advice}")
    return Priced(f"{rounded:f}")


def _decimals(number: Decimal) -> int:
    _, _, decimals = fields.plain_number(number).partition(".")
    return len(decimals)


def stock(
    by_depot: Iterable[tuple[str, Decimal | None]],
    depot_locations: Mapping[str, str],
    first_location: str | None,
    safety_stock: SafetyStock = "0",
) -> dict[str, str]:
    """Field -> quantity for every location that gets stock: the sum of its depots less `safety_stock`, floored, never
    below 0.

    Without `depot_locations` all depots go to `first_location`; both name locations by their full ids. A location
    without a known depot gets nothing written; a depot whose stock is null is unknown, not zero.
    """
    sums: dict[str, Decimal] = {}
    for depot, available in by_depot:
        location = depot_locations.get(depot) if depot_locations else first_location
        if location is not None and available is not None:
            sums[location] = sums.get(location, Decimal(0)) + available
    return {field_names.stock_at(place): _quantity(total, safety_stock) for place, total in sorted(sums.items())}


def _quantity(total: Decimal, safety_stock: SafetyStock) -> str:
    share, percent, _ = safety_stock.partition("%")
    kept_back = total * Decimal(share) / 100 if percent else Decimal(share)
    return str(max(0, int((total - kept_back).to_integral_value(ROUND_FLOOR))))
