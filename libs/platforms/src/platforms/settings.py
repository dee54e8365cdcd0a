"""What a merchant may decide about the jobs of an account; every field has a default."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, field

from platforms.errors import InvalidAccount

PriceField = Literal["retail", "retail_vat", "old", "wholesale", "import", "import_vat", "avg_cost"]
Share = Annotated[float, Meta(ge=0, le=1)]
Id = Annotated[str, Meta(min_length=1, max_length=256)]
Floor = Annotated[int, Meta(ge=0)]
ConflictRule = Literal["nhanh_wins", "keep_platform"]
SafetyStock = Annotated[str, Meta(pattern=r"^(\d{1,9}|(\d{1,2}(\.\d{1,4})?|100)%)$")]


_FORMS: tuple[tuple[Any, str], ...] = (
    (SafetyStock, 'a number of pieces in quotation marks, such as "3", or a share, such as "10%"'),
    (Share, "a share from 0 to 1, such as 0.2 for a fifth"),
    (Floor, "a whole number of records, 0 or more"),
    (bool, "true or false"),
)
"""How a value is written, for people; msgspec names its own types and patterns instead."""


def _require_between(name: str, value: Decimal, low: Decimal, high: Decimal) -> None:
    if not (value.is_finite() and low <= value <= high):
        raise ValueError(f"{name} must be between {low} and {high}")


def _require_positive(name: str, value: Decimal) -> None:
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{name} must be greater than 0")


class PriceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """How a Nhanh price becomes a Shopify price. All amounts are decimals, never floats.

    field: which of Nhanh's prices. vat_percent: added when the price is kept without VAT (0 = never).
    rounding: the step to round to, in the shop's currency (1000 for VND shelf prices, 0.01 for USD).
    currency_factor: shop currency per VND.
    """

    field: PriceField = "retail"
    vat_percent: Decimal = Decimal(0)
    rounding: Decimal = Decimal(1)
    currency_factor: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _require_between("vat_percent", self.vat_percent, Decimal(0), Decimal(100))
        _require_positive("rounding", self.rounding)
        _require_positive("currency_factor", self.currency_factor)


class WriteSwitches(Struct, frozen=True, forbid_unknown_fields=True):
    """What a sync may write at all. customer_email: the shop's login e-mail too, which is off unless asked for."""

    price: bool = True
    stock: bool = True
    customer: bool = True
    customer_email: bool = False
    metafields: bool = True


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of one account.

    depot_locations: Nhanh depot id -> Shopify location id.
    unmapped_depots: without depot_locations, and with several depots or locations: refuse the sync, or write the
        sum of all depots to the first location.
    safety_stock: kept back from every quantity that is written: a number ("3") or a share of it ("10%").
    link_by_name: whether products whose only evidence is their names link by themselves or wait for a person.
    max_change_share: share of the account's known items (0 to 1) that the syncs of an hour may change without being
        confirmed; max_change_floor: that many changes never stop a run.
    sellout_share, sellout_floor: the same for items whose stock goes to zero; more than that is held back.
    max_gone_share, max_gone_floor: the same for records that a pull no longer finds.
    conflict_rule: who wins when a value on the platform changed since we wrote it; stock_conflict_rule: for stock.
    """

    depot_locations: dict[Id, Id] = field(default_factory=dict)
    unmapped_depots: Literal["refuse", "sum"] = "refuse"
    safety_stock: SafetyStock = "0"
    price_rule: PriceRule = PriceRule()
    write: WriteSwitches = WriteSwitches()
    link_by_name: Literal["review", "auto"] = "review"
    max_change_share: Share = 0.5
    max_change_floor: Floor = 5
    sellout_share: Share = 0.2
    sellout_floor: Floor = 5
    max_gone_share: Share = 0.2
    max_gone_floor: Floor = 5
    conflict_rule: ConflictRule = "nhanh_wins"
    stock_conflict_rule: ConflictRule = "nhanh_wins"


def parse_settings(values: Mapping[str, Any]) -> AccountSettings:
    """The settings in `values` (JSON types), defaults filled in.

    Raises InvalidAccount whose field is the path of the wrong one, such as `settings.price_rule.field`.
    """
    try:
        return msgspec.convert(dict(values), AccountSettings)
    except msgspec.ValidationError as error:
        field, reason = _field_and_reason(str(error))
        form = _form(field)
        raise InvalidAccount(field, f"must be {form}" if form else reason) from None


def stored_settings(values: Mapping[str, Any]) -> AccountSettings:
    """The settings that were stored, maybe by a newer version: fields that only that one knows are passed over.

    Raises InvalidAccount as parse_settings does, for values that this version does not take.
    """
    return parse_settings(_known(values, AccountSettings))


def _known(values: Mapping[str, Any], kind: type[Struct]) -> dict[str, Any]:
    types = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}
    return {name: _known_within(value, types[name]) for name, value in values.items() if name in types}


def _known_within(value: Any, kind: Any) -> Any:
    is_struct = isinstance(kind, type) and issubclass(kind, Struct)
    return _known(value, kind) if is_struct and isinstance(value, Mapping) else value


def settings_to_json(settings: AccountSettings) -> dict[str, Any]:
    """The settings as JSON types (decimals as strings), all fields written out."""
    return msgspec.to_builtins(settings)


def _form(path: str) -> str | None:
    """The form of the setting at `settings.…`, for people; None for a group of settings and for an unknown one."""
    kind: Any = AccountSettings
    for name in path.split(".")[1:]:
        if not (isinstance(kind, type) and issubclass(kind, Struct)):
            return None
        kind = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}.get(name)
    if get_origin(kind) is Literal:
        return " or ".join(f'"{choice}"' for choice in get_args(kind))
    for known, form in _FORMS:
        if kind == known:
            return form
    return None


def _field_and_reason(message: str) -> tuple[str, str]:
    reason, _, path = message.partition(" - at `$")
    steps = path.rstrip("`")
    unknown = re.search(r"unknown field `([^`]*)`", reason)
    own = re.match(r"(\w+) must ", reason)
    if unknown:
        steps += f".{unknown.group(1)}"
    elif own:
        steps += f".{own.group(1)}"
    return f"settings{steps}", reason
