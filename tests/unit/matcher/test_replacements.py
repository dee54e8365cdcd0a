"""Which record replaced one that is gone."""

from hypothesis import given
from hypothesis import strategies as st

from matcher.domain.mappings import Match
from matcher.domain.product_codes import Product
from matcher.domain.replacements import Replaced, Replacement, find_replacements

GTIN, OTHER_GTIN = "8934563138165", "036000291452"


SHIRT = Product("Áo thun")


def gone(hub_id: str, old: Product | None, hub: Product | None = SHIRT, method: str = "sku") -> Replaced:
    return Replaced(Match(hub_id, f"old-{hub_id}", "auto", method, 0.99), old, hub)  # pyright: ignore[reportArgumentType]


def decide(*replaced: Replaced, rejected=(), former=(), **unlinked: Product) -> list[Replacement]:
    return find_replacements(replaced, unlinked, rejected, former)


def shirt(sku: str | None = "AT-01", barcode: str | None = None, title: str = "Áo thun") -> Product:
    return Product(title, sku=sku, barcode=barcode)


def test_the_only_record_with_its_sku_takes_the_link():
    (one,) = decide(gone("1", shirt()), a=shirt("at-01"), b=shirt("AT-02"))
    assert (one.verdict, one.remote_ids) == ("moved", ("a",))


def test_barcodes_that_differ_contradict_also_those_of_the_hub():
    (one,) = decide(gone("1", shirt(barcode=GTIN)), a=shirt(barcode=OTHER_GTIN))
    assert (one.verdict, one.code) == ("review", "CONTRADICTION")
    (one,) = decide(gone("1", shirt(), shirt(barcode=GTIN)), a=shirt(barcode=OTHER_GTIN))
    assert (one.verdict, one.code) == ("review", "CONTRADICTION")
    (one,) = decide(gone("1", shirt(barcode=GTIN), shirt(barcode=OTHER_GTIN)), a=shirt(barcode=GTIN))
    assert one.verdict == "moved", "a person linked two barcodes, and the new record has that of the former one"


def test_two_links_that_claim_one_record_wait():
    found = decide(gone("1", shirt()), gone("2", shirt()), a=shirt())
    assert [(one.verdict, one.code) for one in found] == [("review", "AMBIGUOUS")] * 2


def test_a_placeholder_is_no_sku():
    (one,) = decide(gone("1", shirt("không có")), a=shirt("không có"))
    assert (one.verdict, one.code) == ("left", "NO_SKU")


def test_a_record_that_no_match_read_is_known_by_the_sku_of_its_link_alone():
    (one,) = decide(gone("1", None, shirt()), a=shirt())
    assert one.verdict == "moved"
    (one,) = decide(gone("1", None, shirt(), method="manual"), a=shirt())
    assert (one.verdict, one.code) == ("left", "NO_SKU")


def test_what_was_linked_to_another_before_waits():
    (one,) = decide(gone("1", shirt()), former=[("9", "a")], a=shirt())
    assert (one.verdict, one.code) == ("review", "CONTRADICTION")
    assert "was linked to 9 before" in one.reason


SHIRTS = st.builds(
    shirt,
    st.sampled_from([None, "AT-01", "at-01", "AT-02", "n/a"]),
    st.sampled_from([None, GTIN, OTHER_GTIN]),
    st.sampled_from(["Áo thun", "Bát sứ"]),
)


@given(
    st.dictionaries(st.sampled_from("123"), st.tuples(SHIRTS | st.none(), SHIRTS | st.none())),
    st.dictionaries(st.sampled_from("abc"), SHIRTS),
    st.sets(st.tuples(st.sampled_from("123"), st.sampled_from("abc"))),
)
def test_no_record_is_given_twice_nor_against_a_person(links, unlinked, rejected):
    replaced = [gone(hub_id, old, hub) for hub_id, (old, hub) in links.items()]
    found = find_replacements(replaced, unlinked, rejected, ())
    assert len(found) == len(replaced)
    moved = [(one.replaced.link.hub_id, *one.remote_ids) for one in found if one.verdict == "moved"]
    assert len({remote_id for _, remote_id in moved}) == len(moved)
    assert not rejected & set(moved)
    assert not rejected & {(one.replaced.link.hub_id, remote_id) for one in found for remote_id in one.remote_ids}
    assert all(one.reason and one.code for one in found if one.verdict != "moved")
