"""What a shop should hold: prices by the rule, stock by the depots."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.settings import PriceRule
from syncer.domain import desired

AMOUNTS = st.decimals(min_value="0.01", max_value="1e9", places=2)


@pytest.mark.parametrize(
    ("amount", "vat_mode", "rule", "currency", "expected"),
    [
        ("150000", 1, PriceRule(vat_percent=Decimal(8)), "VND", "150000"),
        ("150000", 2, PriceRule(vat_percent=Decimal(8)), "VND", "162000"),
        ("150000", 2, PriceRule(), "VND", "150000"),
        ("150000", None, PriceRule(vat_percent=Decimal(8)), "VND", "150000"),
        ("150000", 2, PriceRule(field="retail_vat", vat_percent=Decimal(8)), "VND", "150000"),
        ("149500", 1, PriceRule(rounding=Decimal(1000)), "VND", "150000"),
        ("149499", 1, PriceRule(rounding=Decimal(1000)), "VND", "149000"),
        ("250000", 1, PriceRule(rounding=Decimal("0.01"), currency_factor=Decimal("0.0000395")), "USD", "9.88"),
        ("49.99", 1, PriceRule(rounding=Decimal("0.05")), "USD", "50.00"),
        ("49.99", 1, PriceRule(rounding=Decimal("0.01")), None, "49.99"),
        ("49.99", 1, PriceRule(), "VND", "50"),
        ("1.5", 1, PriceRule(rounding=Decimal("0.001")), "KWD", "1.500"),
        ("0", 1, PriceRule(), "VND", "0"),
        ("1.5", 1, PriceRule(rounding=Decimal("0.005")), None, "1.500"),
        ("150000", 1, PriceRule(rounding=Decimal("1E+3")), None, "150000.00"),
        ("49999.99", 1, PriceRule(rounding=Decimal("0.01")), "VND", "50000"),
        ("150000", 2, PriceRule(field="import_vat", vat_percent=Decimal(8)), "VND", "150000"),
    ],
)
def test_the_price_rule(
    amount: str, vat_mode: int | None, rule: PriceRule, currency: str | None, expected: str
) -> None:
    assert desired.price(Decimal(amount), vat_mode, rule, currency) == desired.Priced(expected)


def test_a_missing_price_is_no_price() -> None:
    assert desired.price(None, 2, PriceRule(), "VND") == desired.Priced(None)


@pytest.mark.parametrize("amount", ["0.3", "-1"])
def test_a_price_is_never_made_zero_or_negative(amount: str) -> None:
    priced = desired.price(Decimal(amount), 1, PriceRule(), "VND")
    assert priced.value is None
    assert priced.problem is not None


@given(
    amount=AMOUNTS,
    vat=st.integers(0, 100),
    step=st.sampled_from(["0.01", "0.05", "1", "500", "1000"]),
    currency=st.sampled_from(["VND", "USD", "KWD", None]),
)
def test_a_price_is_the_nearest_multiple_of_the_step_with_the_currencys_digits(
    amount: Decimal, vat: int, step: str, currency: str | None
) -> None:
    priced = desired.price(amount, 2, PriceRule(vat_percent=Decimal(vat), rounding=Decimal(step)), currency)
    exact = amount * (100 + vat) / 100
    if priced.value is None:
        assert exact < Decimal(step) / 2 or desired.scale_of(currency) == 0
        return
    value = Decimal(priced.value)
    assert -value.as_tuple().exponent == desired.scale_of(currency)  # type: ignore[operator]
    digit = Decimal(1).scaleb(-desired.scale_of(currency))
    assert abs(value - exact) <= Decimal(step) / 2 + digit / 2
    if Decimal(step) >= digit:
        assert value % Decimal(step) == 0
        assert value == (exact / Decimal(step)).to_integral_value(ROUND_HALF_UP) * Decimal(step)


def test_stock_sums_the_depots_of_each_location() -> None:
    depots = [("1", Decimal("3.7")), ("2", Decimal("1.5")), ("3", Decimal(4)), ("9", Decimal(100)), ("4", None)]
    mapping = {"1": "10", "2": "10", "3": "20", "4": "30"}
    assert desired.stock(depots, mapping, "99") == {"stock@10": "5", "stock@20": "4"}


def test_without_a_mapping_all_depots_go_to_the_first_location() -> None:
    depots = [("1", Decimal(3)), ("2", Decimal(-5))]
    assert desired.stock(depots, {}, "gid://shopify/Location/1") == {"stock@gid://shopify/Location/1": "0"}
    assert desired.stock(depots, {}, None) == {}
    assert desired.stock([], {}, "gid://shopify/Location/1") == {}


@pytest.mark.parametrize(
    ("currency", "rule", "names"),
    [
        (
            "USD",
            PriceRule(),
            ("USD", "VND", "price_rule.currency_factor", "price_rule.rounding", "0.01", "write.price"),
        ),
        ("JPY", PriceRule(), ("JPY", "price_rule.currency_factor")),
        ("JPY", PriceRule(currency_factor=Decimal("0.006"), rounding=Decimal("0.01")), ("JPY", "price_rule.rounding")),
        ("USD", PriceRule(currency_factor=Decimal("0.00004"), rounding=Decimal("0.005")), ("price_rule.rounding",)),
        ("vnd", PriceRule(), ("vnd",)),
    ],
)
def test_a_currency_that_the_rule_does_not_make_is_refused(
    currency: str, rule: PriceRule, names: tuple[str, ...]
) -> None:
    problem = desired.currency_problem(currency, rule)
    assert problem is not None
    assert all(name in problem for name in names)


@pytest.mark.parametrize(
    ("currency", "rule"),
    [
        ("VND", PriceRule()),
        ("VND", PriceRule(rounding=Decimal("0.01"))),  # to whole dong all the same
        ("VND", PriceRule(currency_factor=Decimal("1.1"))),
        ("USD", PriceRule(currency_factor=Decimal("0.00004"), rounding=Decimal("0.01"))),
        ("USD", PriceRule(currency_factor=Decimal("0.00004"))),
        ("JPY", PriceRule(currency_factor=Decimal("0.006"), rounding=Decimal(10))),
        ("KWD", PriceRule(currency_factor=Decimal("0.00001"), rounding=Decimal("0.005"))),
    ],
)
def test_a_currency_that_the_rule_makes(currency: str, rule: PriceRule) -> None:
    assert desired.currency_problem(currency, rule) is None


@pytest.mark.parametrize(
    ("available", "safety_stock", "expected"),
    [
        ("10", "0", "10"),
        ("10", "3", "7"),
        ("3", "3", "0"),
        ("2", "3", "0"),
        ("0", "3", "0"),
        ("-5", "3", "0"),
        ("-5", "10%", "0"),
        ("10.7", "3", "7"),
        ("9", "10%", "8"),
        ("1", "10%", "0"),
        ("100", "10%", "90"),
        ("1000", "0.5%", "995"),
        ("7", "100%", "0"),
        ("7", "0%", "7"),
        ("3", "33.3333%", "2"),
    ],
)
def test_safety_stock_is_kept_back(available: str, safety_stock: str, expected: str) -> None:
    mapping = {"1": "gid://shopify/Location/7"}
    found = desired.stock([("1", Decimal(available))], mapping, None, safety_stock)
    assert found == {"stock@gid://shopify/Location/7": expected}


def test_safety_stock_is_kept_back_once_a_location() -> None:
    depots = [("1", Decimal(3)), ("2", Decimal(4)), ("3", Decimal(4)), ("4", None)]
    mapping = {"1": "10", "2": "10", "3": "20", "4": "30"}
    assert desired.stock(depots, mapping, None, "2") == {"stock@10": "5", "stock@20": "2"}


@given(
    st.lists(st.decimals(min_value=-1000, max_value=1000, places=3), min_size=1),
    st.one_of(st.integers(0, 2000).map(str), st.integers(0, 100).map("{}%".format)),
)
def test_what_is_written_is_never_more_than_there_is(amounts: list[Decimal], safety_stock: str) -> None:
    depots = [(str(place), amount) for place, amount in enumerate(amounts)]
    (kept,) = desired.stock(depots, {}, "7", safety_stock).values()
    (all_of_it,) = desired.stock(depots, {}, "7").values()
    assert 0 <= int(kept) <= int(all_of_it)


@given(st.lists(st.decimals(min_value=-1000, max_value=1000, places=3), min_size=1))
def test_stock_is_the_floored_sum_and_never_negative(amounts: list[Decimal]) -> None:
    depots = [(str(place), amount) for place, amount in enumerate(amounts)]
    (quantity,) = desired.stock(depots, {}, "7").values()
    assert int(quantity) >= 0
    assert int(quantity) <= max(Decimal(0), sum(amounts)) < int(quantity) + 1
