"""The default shops make a good demonstration: overlap, ambiguity, modest differences, valid barcodes."""

from collections import Counter
from decimal import Decimal

from sandbox.seeds import gtin13, kind_of, products

NHANH, SHOPIFY = products("nhanh", 240, 7), products("shopify", 240, 7)
THERE = {article.truth: article for article in SHOPIFY}
PAIRS = [(a, THERE[a.truth]) for a in NHANH if a.truth in THERE]


def test_the_same_seed_gives_the_same_shops() -> None:
    assert products("nhanh", 240, 7) == NHANH
    assert products("nhanh", 240, 8) != NHANH
    assert len(NHANH) == len(SHOPIFY) == len({a.id for a in NHANH}) == len({a.id for a in SHOPIFY}) == 240
    assert len(PAIRS) == 216


def test_most_match_by_key_and_some_by_title_only() -> None:
    kinds = Counter(kind_of(7, a.truth or "") for a, _ in PAIRS)
    assert kinds["both"] > 100
    assert all(kinds[kind] >= 5 for kind in ("sku", "barcode", "title", "ambiguous"))
    for nhanh, shopify in PAIRS:
        same_sku = (nhanh.units[0].sku or "").lower() == (shopify.units[0].sku or "-").lower()
        assert same_sku == (kind_of(7, nhanh.truth or "") in {"both", "sku", "ambiguous"})


def test_some_goods_are_listed_twice_online() -> None:
    skus = Counter(unit.sku.lower() for a in SHOPIFY for unit in a.units if unit.sku)
    assert sum(count > 1 for count in skus.values()) >= 5


def test_differences_are_few_and_small() -> None:
    units = [(n, s) for a, b in PAIRS for n, s in zip(a.units, b.units, strict=True)]
    prices = sum(n.price != s.price for n, s in units)
    stocks = sum(n.stock != s.stock for n, s in units)
    assert 0.1 * len(units) < prices < 0.3 * len(units)
    assert 0.15 * len(units) < stocks < 0.35 * len(units)
    for n, s in units:
        assert n.price
        assert s.price
        assert Decimal("0.5") < n.price / s.price < 2
        assert all(0 < one < 10 * other for one, other in zip(n.stock, s.stock, strict=True))


def test_barcodes_pass_their_check_digit() -> None:
    assert gtin13("400638133393") == "4006381333931"
    barcodes = [unit.barcode for a in NHANH for unit in a.units if unit.barcode]
    assert barcodes
    assert all(gtin13(code[:12]) == code for code in barcodes)
