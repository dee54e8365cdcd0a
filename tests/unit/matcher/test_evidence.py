"""What is evidence that two products are one, and what speaks against it. `links` are pairs, reviews have reasons."""

import pytest

from matcher.domain.candidates import Known
from matcher.domain.product_codes import Product
from matcher.domain.products import ProductIndex
from matcher.domain.resolution import Bands, Decision, LinkByName, resolve_products

COCA, BIA, FANTA = "036000291452", "8934563138165", "5449000011527"


def decide(nhanh: dict[str, Product], shopify: dict[str, Product], by_name: LinkByName = "auto") -> Decision:
    found = ProductIndex(nhanh, shopify).score(0, len(nhanh) - 1)
    return resolve_products(found.candidates, Known(), Bands(link_by_name=by_name))


def links(decision: Decision) -> dict[str, str]:
    return {one.hub_id: one.remote_id for one in decision.links}


def reasons(decision: Decision) -> dict[tuple[str, str], str]:
    return {one.pair: one.doubt or "" for one in decision.reviews}


# Identifiers that contradict each other


@pytest.mark.parametrize("by_name", ["review", "auto"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (
            Product("Nồi cơm điện Sharp 1.8L", sku="NC1"),
            Product("Nồi cơm điện Sunhouse 1.8L", sku="AM1"),
        ),
        (Product("Áo thun trắng", sku="AT-01"), Product("Áo thun trắng", sku="AT-02")),
        (Product("Áo thun trắng", sku="AT-01"), Product("Áo thun trắng", sku="AT01")),
        (Product("Áo thun trắng", sku="A1"), Product("Áo thun trắng", sku="B7")),
        (Product("Quần jean nam", sku="Xanh"), Product("Quần jean nam", sku="Đỏ")),
        (Product("Nước ngọt lon", barcode=COCA), Product("Nước ngọt lon", barcode=FANTA)),
        (Product("Bia lon", barcode=BIA), Product("Bia lon", barcode="18934563138162")),  # the carton of it
    ],
)
def test_codes_that_differ_forbid_a_link_by_names(left, right, by_name):
    decision = decide({"1": left}, {"a": right}, by_name)
    assert links(decision) == {}
    assert "differ" in reasons(decision)["1", "a"] or "looser form" in reasons(decision)["1", "a"]
    assert decision.waiting_by_name == 0


def test_the_reason_quotes_what_differs():
    left = Product("Nồi cơm điện Sharp 1.8L", sku="NC1", barcode=COCA)
    right = Product("Nồi cơm điện Sharp 1.8L", sku="AM1", barcode=FANTA)
    assert reasons(decide({"1": left}, {"a": right})) == {
        ("1", "a"): f"the SKUs differ: NC1 and AM1; the barcodes differ: {COCA} and {FANTA}"
    }


@pytest.mark.parametrize("sku", ["không có", "n/a", "8.93E+12", "12345.0", "123456", "-", "TEST", "XXX", ""])
def test_a_field_without_a_code_forbids_nothing_and_links_nothing(sku):
    same = decide({"1": Product("Áo thun trắng", sku=sku)}, {"a": Product("Áo thun trắng", sku="AT-02")})
    assert links(same) == {"1": "a"}
    other = decide({"1": Product("Nồi cơm", sku=sku)}, {"a": Product("Dép lê", sku=sku)})
    assert (other.links, other.reviews) == ([], [])


def test_a_gtin_links_in_spite_of_other_skus():
    decision = decide(
        {"1": Product("Coca lon", sku="CC-1", barcode=COCA)}, {"a": Product("Coca lon", sku="NGK-9", barcode=COCA)}
    )
    assert links(decision) == {"1": "a"}


@pytest.mark.parametrize("third", ["shopify", "nhanh"])
def test_but_not_where_one_of_the_skus_leads_to_another_record(third):
    nhanh = {"1": Product("Coca lon", sku="CC-1", barcode=COCA)}
    shopify = {"a": Product("Coca lon", sku="NGK-9", barcode=COCA)}
    if third == "shopify":
        shopify["b"] = Product("Coca lon", sku="CC-1")
        pairs = {("1", "a"), ("1", "b")}
    else:
        nhanh["2"] = Product("Coca lon", sku="NGK-9")
        pairs = {("1", "a"), ("2", "a")}
    decision = decide(nhanh, shopify)
    assert links(decision) == {}
    assert reasons(decision).keys() == pairs
    assert "lead" in reasons(decision)["1", "a"] or "of a to 2" in reasons(decision)["1", "a"]


def test_equal_skus_with_other_gtins_go_to_review():
    decision = decide(
        {"1": Product("Coca lon", sku="NGK-9", barcode=COCA)}, {"a": Product("Coca lon", sku="NGK-9", barcode=FANTA)}
    )
    assert links(decision) == {}
    assert reasons(decision) == {("1", "a"): f"the SKU NGK-9 agrees, the barcodes differ: {COCA} and {FANTA}"}


@pytest.mark.parametrize("other", ["8934563138164", "2012345678900", "không có", "8.93E+12", None])
def test_a_barcode_that_is_no_gtin_says_nothing_against_a_sku(other):
    decision = decide(
        {"1": Product("Coca lon", sku="NGK-9", barcode=other)}, {"a": Product("Coca lon", sku="NGK-9", barcode=COCA)}
    )
    assert links(decision) == {"1": "a"}


# Keys that are not unique


def sizes(prefix: str, **codes: str | None) -> dict[str, Product]:
    return {
        f"{prefix}{size}": Product(
            f"Áo thun cổ tròn {size}", **{k: v and v.replace("*", size) for k, v in codes.items()}
        )
        for size in ("S", "M", "L")
    }


PAIRED = {f"n{size}": f"s{size}" for size in ("S", "M", "L")}


@pytest.mark.parametrize("by_name", ["review", "auto"])
def test_three_sizes_with_one_barcode_link_by_their_skus(by_name):
    codes = {"sku": "AT-01-*", "barcode": BIA}
    assert links(decide(sizes("n", **codes), sizes("s", **codes), by_name)) == PAIRED


def test_and_where_only_one_side_shares_the_barcode():
    nhanh, shopify = sizes("n", sku="AT-01-*", barcode=BIA), sizes("s", sku="AT-01-*")
    gtins = {"sS": BIA, "sM": COCA, "sL": FANTA}
    shopify = {one: Product(p.title, sku=p.sku, barcode=gtins[one]) for one, p in shopify.items()}
    assert links(decide(nhanh, shopify)) == PAIRED


def test_three_sizes_with_one_sku_link_by_their_barcodes():
    nhanh, shopify = sizes("n", sku="AO-THUN"), sizes("s", sku="AO-THUN")
    gtins = dict(zip("SML", (BIA, COCA, FANTA), strict=True))
    for side in (nhanh, shopify):
        for one, product in side.items():
            side[one] = Product(product.title, sku=product.sku, barcode=gtins[one[1]])
    assert links(decide(nhanh, shopify, "review")) == PAIRED


def test_a_shared_code_alone_is_no_evidence():
    nhanh = {"1": Product("Túi vải", sku="TUI-1"), "2": Product("Túi vải", sku="TUI-1")}
    decision = decide(nhanh, {"a": Product("Túi vải", sku="TUI-1")})
    assert links(decision) == {}
    assert set(reasons(decision).values()) == {"the SKU TUI-1 belongs to 2 records of the hub"}


def test_names_decide_where_a_code_is_shared_and_names_may_link():
    codes = {"barcode": BIA}
    assert links(decide(sizes("n", **codes), sizes("s", **codes))) == PAIRED
    waits = decide(sizes("n", **codes), sizes("s", **codes), "review")
    assert (waits.links, waits.waiting_by_name) == ([], 3)


@pytest.mark.parametrize("barcode", ["893456", "2012345678900", "8934563138164"])
def test_equal_codes_that_are_no_gtin_may_suggest(barcode):
    decision = decide({"1": Product("Bánh mì", barcode=barcode)}, {"a": Product("Baguette", barcode=barcode)})
    assert links(decision) == {}
    assert reasons(decision)["1", "a"].startswith("the barcodes agree, but are no GTIN")


@pytest.mark.parametrize(
    ("one", "other"), [("AT-01", "AT01"), ("XL-AT-01", "AT-01-XL"), ("ÁO-1X", "AO-1X"), ("AT-O1", "AT-01")]
)
@pytest.mark.parametrize("by_name", ["review", "auto"])
def test_looser_forms_of_a_sku_suggest_and_never_link(one, other, by_name):
    decision = decide({"1": Product("Áo thun", sku=one)}, {"a": Product("Áo thun", sku=other)}, by_name)
    assert links(decision) == {}
    assert reasons(decision)["1", "a"].startswith(f"the SKUs agree only in a looser form: {one} and {other}")


# Names


def test_names_alone_do_not_link_unless_the_account_says_so():
    nhanh, shopify = {"1": Product("Nồi cơm điện Sharp")}, {"a": Product("Nồi cơm điện Sharp")}
    assert links(decide(nhanh, shopify)) == {"1": "a"}
    decision = decide(nhanh, shopify, "review")
    assert links(decision) == {}
    assert reasons(decision) == {("1", "a"): "only the names agree; set link_by_name to auto to link such pairs"}
    assert decision.waiting_by_name == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Bò khô", "Bơ khô"),
        ("Bò khô 200g", "Bó khô 200g"),
        ("Đá viên", "Da viên"),
        ("Nồi cơm điện Sharp 1.8L", "Noi com dien Sharp 1.8L"),
        ("Noi com dien Sharp 1.8L", "Nồi cơm điện Sharp 1.8L"),
    ],
)
@pytest.mark.parametrize("by_name", ["review", "auto"])
def test_names_that_agree_only_without_accents_are_suggested_and_never_linked(left, right, by_name):
    decision = decide({"1": Product(left)}, {"a": Product(right)}, by_name)
    assert links(decision) == {}
    assert "accents" in reasons(decision)["1", "a"]
    assert decision.waiting_by_name == 0


def test_no_score_that_is_asked_for_links_over_accents():
    found = ProductIndex({"1": Product("Bò khô")}, {"a": Product("Bơ khô")}).score(0, 0)
    bands = Bands.of(0.0, 0.0, "auto")
    assert resolve_products(found.candidates, Known(), bands).links == []


def test_the_right_accents_are_preferred():
    nhanh = {"1": Product("Bò khô miếng"), "2": Product("Bơ khô miếng")}
    shopify = {"a": Product("Bơ khô miếng"), "b": Product("bo\u0300 kho\u0302 miếng")}
    assert links(decide(nhanh, shopify)) == {"1": "b", "2": "a"}


def test_two_spellings_of_one_word_are_the_same():
    assert links(decide({"1": Product("Bánh Hoà Bình")}, {"a": Product("Bánh Hòa Bình")})) == {"1": "a"}


# Codes that agree while the titles do not


@pytest.mark.parametrize(
    ("left", "right"), [("Cà phê sữa", "Trà sữa"), ("Máy xay sinh tố", "Dép lê"), ("Bò khô", "Bơ khô")]
)
@pytest.mark.parametrize("codes", [{"sku": "SP-77"}, {"barcode": COCA}, {"sku": "SP-77", "barcode": COCA}])
def test_codes_that_agree_while_titles_have_nothing_in_common_go_to_review(left, right, codes):
    decision = decide({"1": Product(left, **codes)}, {"a": Product(right, **codes)})
    assert links(decision) == {}
    assert "the titles have nothing in common" in reasons(decision)["1", "a"]


def test_one_brand_does_not_make_two_products_one():
    decision = decide(
        {"1": Product("Nồi cơm điện", brand="Sharp", sku="SH-1")}, {"a": Product("Tủ lạnh", brand="Sharp", sku="SH-1")}
    )
    assert links(decision) == {}


def test_another_vendor_alone_is_no_doubt():
    # Shopify fills in the shop's own name.
    decision = decide(
        {"1": Product("Nồi cơm điện Sharp", brand="Sharp", sku="SH-1")},
        {"a": Product("Nồi cơm điện Sharp", brand="Điện máy Xanh", sku="SH-1")},
    )
    assert links(decision) == {"1": "a"}


@pytest.mark.parametrize("title", [None, "", "—"])
def test_a_record_without_a_title_links_by_its_code(title):
    assert links(decide({"1": Product(title, sku="SH-1")}, {"a": Product("Tủ lạnh", sku="SH-1")})) == {"1": "a"}


def test_ten_different_products_with_codes_of_their_own_stay_apart():
    brands = [
        "Sharp",
        "Sunhouse",
        "Toshiba",
        "Philips",
        "Kangaroo",
        "Cuckoo",
        "Panasonic",
        "Midea",
        "Elmich",
        "Bluestone",
    ]
    gtins = [f"893456313{n:03}" for n in range(20)]
    digits = [
        gtin + str(-sum(int(d) * (3 if at % 2 == 0 else 1) for at, d in enumerate(reversed(gtin))) % 10)
        for gtin in gtins
    ]
    nhanh = {
        str(n): Product(f"Nồi cơm điện {brand} nắp gài 1.8L", sku=f"NC-{n}", barcode=digits[n])
        for n, brand in enumerate(brands)
    }
    shopify = {
        f"g{n}": Product(f"Nồi cơm điện {brand} nắp rời 1.8L", sku=f"AM-{n}", barcode=digits[10 + n])
        for n, brand in enumerate(brands)
    }
    decision = decide(nhanh, shopify)
    assert links(decision) == {}
    assert all("differ" in reason for reason in reasons(decision).values())


def test_everybody_who_shares_a_code_is_shown() -> None:
    hub = {
        "501": Product("Túi vải canvas in chữ", sku="TUI-01"),
        "502": Product("Túi vải canvas trơn", sku="TUI-01"),
    }
    shop = {"601": Product("Túi vải", sku="TUI-01")}
    assert set(reasons(decide(hub, shop, "review"))) == {("501", "601"), ("502", "601")}
    one = {"501": Product("Túi vải canvas in chữ", sku="TUI-01")}
    two = {
        "601": Product("Túi vải canvas in chữ", sku="TUI-01"),
        "602": Product("Túi vải canvas in chữ (mới)", sku="TUI-01"),
    }
    assert set(reasons(decide(one, two, "review"))) == {("501", "601"), ("501", "602")}
