"""What links products by itself, what waits for a person, and that chunks and order make no difference."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property_tests import examples

from matcher.domain.candidates import Candidate, FormerLink, Known, Method
from matcher.domain.products import FILLER, Product, ProductIndex
from matcher.domain.resolution import AUTO, MARGIN, REVIEW, Bands, Decision, resolve_products

BY_NAME = Bands(link_by_name="auto")


def decide(
    nhanh: dict[str, Product],
    shopify: dict[str, Product],
    known: Known | None = None,
    size: int = 1000,
    bands: Bands = BY_NAME,
) -> Decision:
    index = ProductIndex(nhanh, shopify)
    candidates: list[Candidate] = []
    for first in range(0, len(nhanh), size):
        candidates += index.score(first, min(first + size, len(nhanh)) - 1).candidates
    return resolve_products(candidates, known or Known(), bands)


def links(decision: Decision) -> dict[str, str]:
    return {one.hub_id: one.remote_id for one in decision.links}


def reviews(decision: Decision) -> set[tuple[str, str]]:
    return {one.pair for one in decision.reviews}


def test_an_unique_sku_links_whatever_its_case():
    decision = decide({"1": Product("Áo thun", sku="at-01 ")}, {"a": Product("ao thun nam", sku="AT-01")})
    assert links(decision) == {"1": "a"}
    assert decision.links[0].method == "sku"


def test_upc_and_its_ean_are_one_barcode():
    decision = decide(
        {"1": Product("Coca lon", barcode="036000291452")}, {"a": Product("Coca-Cola lon", barcode="0036000291452")}
    )
    assert links(decision) == {"1": "a"}


def test_a_key_that_two_records_carry_goes_to_review():
    nhanh = {"1": Product("Túi vải", sku="TUI-1"), "2": Product("Túi vải", sku="TUI-1")}
    decision = decide(nhanh, {"a": Product("Túi vải", sku="TUI-1")})
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("2", "a")}


def test_a_key_whose_brand_and_title_disagree_goes_to_review():
    decision = decide(
        {"1": Product("Máy xay sinh tố", brand="Philips", sku="PH-77")},
        {"a": Product("Dép lê trẻ em", brand="Biti's", sku="PH-77")},
    )
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a")}


def test_two_keys_do_not_outweigh_titles_with_nothing_in_common():
    decision = decide(
        {"1": Product("Máy xay sinh tố", sku="PH-77", barcode="036000291452")},
        {"a": Product("Blender", sku="PH-77", barcode="036000291452")},
    )
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a")}
    assert decision.reviews[0].doubt == (
        "the SKU PH-77 and the barcode 036000291452 agree, but the titles have nothing in common"
    )


def test_sku_and_barcode_that_name_different_partners_link_nothing():
    decision = decide(
        {"1": Product("Bia lon", sku="BIA-1", barcode="036000291452")},
        {"a": Product("Bia lon", sku="BIA-1"), "b": Product("Bia lon", barcode="036000291452")},
    )
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("1", "b")}


def test_a_filler_is_no_key():
    many = {str(n): Product(f"Sản phẩm {chr(97 + n) * 6}", sku="KHAC") for n in range(FILLER + 1)}
    decision = decide(many, {"a": Product("Nồi cơm", sku="KHAC")})
    assert (decision.links, decision.reviews) == ([], [])


def test_a_model_number_links_differing_titles():
    decision = decide(
        {"1": Product("Sony Turntable - PSLX350H"), "2": Product("Sony Switcher - SBV40S")},
        {"a": Product("Sony PS-LX350H belt drive record player"), "b": Product("Sony SB-V40S A/V selector")},
    )
    assert links(decision) == {"1": "a", "2": "b"}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("iPhone 12 64GB xanh", "iPhone 12 128GB xanh"),
        ("Sữa tắm Dove 500ml", "Sữa tắm Dove 900ml"),
        ("Áo thun cổ tròn size M", "Áo thun cổ tròn size L"),
        ("Galaxy SM-G991B 128 GB", "Galaxy SM-G991B 256 GB"),
    ],
)
def test_siblings_are_never_linked_by_their_names(left, right):
    decision = decide({"1": Product(left)}, {"a": Product(right)})
    assert links(decision) == {}


def test_two_equal_candidates_are_left_to_a_person():
    decision = decide({"1": Product("Áo thun trắng")}, {"a": Product("Áo thun trắng"), "b": Product("Áo thun trắng")})
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("1", "b")}


def test_people_have_the_last_word():
    nhanh = {"1": Product("A một", sku="SKU-1"), "2": Product("B hai", sku="SKU-2")}
    shopify = {"a": Product("A một", sku="SKU-1"), "b": Product("B hai", sku="SKU-2")}
    assert links(decide(nhanh, shopify)) == {"1": "a", "2": "b"}
    known = Known(confirmed={"1": "b"}, rejected={("2", "a")})
    decision = decide(nhanh, shopify, known)
    assert (decision.links, decision.reviews) == ([], [])


def title(left: str, right: str, score: float) -> Candidate:
    return Candidate(left, right, "title", score)


@pytest.mark.parametrize(
    ("score", "linked", "reviewed"),
    [(AUTO, True, False), (AUTO - 0.001, False, True), (REVIEW, False, True), (REVIEW - 0.001, False, False)],
)
def test_the_bands_begin_where_they_say(score, linked, reviewed):
    decision = resolve_products([title("1", "a", score)], Known(), BY_NAME)
    assert (bool(decision.links), bool(decision.reviews)) == (linked, reviewed)


@pytest.mark.parametrize("others", [("1", "b"), ("2", "a")])
def test_the_margin_counts_on_both_sides(others):
    near = [title("1", "a", 0.9), title(*others, 0.9 - MARGIN + 0.001)]
    assert resolve_products(near, Known(), BY_NAME).links == []
    far = [title("1", "a", 0.9), title(*others, 0.9 - MARGIN - 0.001)]
    assert links(resolve_products(far, Known(), BY_NAME)) == {"1": "a"}


def test_bands_can_be_asked_for():
    assert Bands.of(None, None) == Bands(AUTO, REVIEW)
    assert Bands.of(0.2, None) == Bands(0.2, 0.2)
    assert Bands.of(0.9, 0.8) == Bands(0.9, 0.8)


def test_empty_sides_and_empty_titles_are_no_trouble():
    assert decide({}, {"a": Product("x")}).links == []
    assert decide({"1": Product("x")}, {}).links == []
    assert decide({"1": Product()}, {"a": Product("")}).links == []


ids = st.integers(0, 7).map(str)


def candidate(
    hub_id: str, remote_id: str, method: Method, score: float, doubt: str | None, hint: bool, same_name: bool
) -> Candidate:
    if method == "title":
        return Candidate(hub_id, remote_id, method, score, doubt)
    if hint:
        return Candidate(hub_id, remote_id, method, 0.8, "a hint", hint=True, name_score=score)
    return Candidate(hub_id, remote_id, method, score, doubt, same_name=same_name)


candidates = st.builds(
    candidate,
    ids,
    ids,
    st.sampled_from(["sku", "barcode", "title"]),
    st.integers(0, 100).map(lambda n: n / 100),
    st.sampled_from([None, None, "doubt"]),
    st.booleans(),
    st.booleans(),
)
pools = st.lists(candidates, max_size=40, unique_by=lambda one: one.pair)
former = st.builds(FormerLink, ids, ids, st.sampled_from(["sku", "title"]), st.booleans(), st.booleans())
people = st.builds(
    Known,
    former=st.lists(former, max_size=4, unique_by=lambda one: one.pair),
    confirmed=st.dictionaries(ids, ids, max_size=2),
    rejected=st.frozensets(st.tuples(ids, ids), max_size=4),
)


def broken(pairs: set[tuple[str, str]], known: Known) -> set[tuple[str, str]]:
    """The earlier links that no person has settled."""
    taken = set(known.confirmed.values())
    return {
        pair for pair in pairs if pair not in known.rejected and pair[0] not in known.confirmed and pair[1] not in taken
    }


@given(pools, people, st.randoms())
@settings(max_examples=examples(300))
def test_links_are_one_to_one_and_order_makes_no_difference(pool, known, random):
    bands = Bands(link_by_name=random.choice(["review", "auto"]))
    decision = resolve_products(pool, known, bands)
    lefts = [one.hub_id for one in decision.links]
    rights = [one.remote_id for one in decision.links]
    assert len(set(lefts)) == len(lefts)
    assert len(set(rights)) == len(rights)
    assert not {one.pair for one in decision.links} & set(known.rejected)
    assert not set(lefts) & set(known.confirmed)
    assert not set(rights) & set(known.confirmed.values())
    assert all(one.doubt is None for one in decision.links)
    assert all(one.doubt for one in decision.reviews)
    assert bands.link_by_name == "auto" or all(one.method != "title" for one in decision.links)
    open_pairs = {one.pair for one in known.former if one.hub_present and one.remote_present}
    for one in decision.links:
        # A link beside an earlier one of either record would be a silent move.
        assert not any((pair[0] == one.hub_id) != (pair[1] == one.remote_id) for pair in broken(open_pairs, known))
    assert not {one.hub_id for one in decision.reviews} & set(lefts)
    assert not {one.remote_id for one in decision.reviews} & set(rights)
    random.shuffle(pool)
    assert resolve_products(pool, known, bands) == decision


words = st.sampled_from(["áo", "thun", "nam", "nữ", "XL", "M", "64GB", "PSLX350H", "túi", "vải", "đen", "sony", "bose"])
products = st.builds(
    Product,
    title=st.lists(words, max_size=5).map(" ".join),
    sku=st.sampled_from([None, "AT-01", "AT-02", "AT-03", "N/A"]),
    barcode=st.sampled_from([None, None, "036000291452", "8934563138165"]),
)
sides = st.dictionaries(st.integers(0, 99).map(str), products, min_size=1, max_size=12)


@given(sides, sides, st.integers(1, 5), st.randoms())
@settings(max_examples=examples(40))
def test_chunks_and_the_order_of_records_make_no_difference(nhanh, shopify, size, random):
    whole = decide(nhanh, shopify)
    shuffled: list[dict[str, Any]] = []
    for side in (nhanh, shopify):
        entries = list(side.items())
        random.shuffle(entries)
        shuffled.append(dict(entries))
    assert decide(shuffled[0], shuffled[1], size=size) == whole
