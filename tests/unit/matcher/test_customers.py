"""What links customers by itself, what waits for a person, and that chunks and order make no difference."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.domain.candidates import Candidate, Known
from matcher.domain.customers import SHARED, Customer, CustomerIndex
from matcher.domain.resolution import Bands, Decision, resolve_customers


def decide(nhanh: dict[str, Customer], shopify: dict[str, Customer], size: int = 1000) -> Decision:
    index = CustomerIndex(nhanh, shopify)
    candidates: list[Candidate] = []
    for first in range(0, len(nhanh), size):
        candidates += index.score(first, min(first + size, len(nhanh)) - 1).candidates
    return resolve_customers(candidates, Known(), Bands())


def links(decision: Decision) -> dict[str, str]:
    return {one.nhanh_id: one.shopify_id for one in decision.links}


def reviews(decision: Decision) -> set[tuple[str, str]]:
    return {one.pair for one in decision.reviews}


def test_a_phone_links_in_any_form():
    decision = decide({"1": Customer(phone="0162 1234568")}, {"a": Customer(phones=("+84321234568",))})
    assert links(decision) == {"1": "a"}
    assert decision.links[0].method == "phone"


def test_an_alternate_number_links_too():
    decision = decide({"1": Customer(phone="0912345699 / 0387654399")}, {"a": Customer(phone="+84387654399")})
    assert links(decision) == {"1": "a"}


def test_an_email_links_where_no_phone_speaks():
    decision = decide(
        {"1": Customer(phone="0912345699", email="an@firma.vn")},
        {"a": Customer(phone="0387654399", email="AN@firma.vn")},
    )
    assert links(decision) == {"1": "a"}
    assert decision.links[0].method == "email"


def test_phone_and_email_that_name_different_people_link_nobody():
    decision = decide(
        {"1": Customer(phone="0912345699", email="an@firma.vn")},
        {"a": Customer(phone="0912345699"), "b": Customer(email="an@firma.vn")},
    )
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("1", "b")}


def test_a_phone_that_two_people_share_links_nobody():
    decision = decide(
        {"1": Customer(phone="0912345699")}, {"a": Customer(phone="0912345699"), "b": Customer(phone="0912345699")}
    )
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("1", "b")}


def test_the_shops_own_number_and_fillers_are_no_keys():
    many = {str(n): Customer(phone="0912345699") for n in range(SHARED + 1)}
    decision = decide(many, {"a": Customer(phone="0912345699")})
    assert (decision.links, decision.reviews) == ([], [])
    index = CustomerIndex(many, {"a": Customer(phone="0912345699")})
    assert index.score(0, SHARED).counts == {"phoneVariations": SHARED + 2, "sharedKeysIgnored": 1}
    decision = decide({"1": Customer(phone="0999999999")}, {"a": Customer(phone="0999999999")})
    assert (decision.links, decision.reviews) == ([], [])


def test_083_needs_a_second_sign_where_it_may_be_an_old_landline():
    shopify = {"a": Customer(phone="+84838251234", email="an@firma.vn")}
    new = datetime(2024, 1, 1, tzinfo=UTC)
    old = datetime(2016, 1, 1, tzinfo=UTC)
    assert links(decide({"1": Customer("An", "0838251234", updated_at=new)}, shopify)) == {"1": "a"}
    for doubtful in (
        Customer("Công ty TNHH An Phát", "0838251234", updated_at=new),
        Customer("An", "0838251234", updated_at=old),
    ):
        decision = decide({"1": doubtful}, shopify)
        assert (links(decision), reviews(decision)) == ({}, {("1", "a")})
    both = Customer("An", "0838251234", email="an@firma.vn", updated_at=old)
    assert links(decide({"1": both}, shopify)) == {"1": "a"}


phones = st.sampled_from(["0912345699", "+84912345699", "01621234568", "0387654399", "0838251234", "zalo"])
people = st.builds(
    Customer,
    name=st.sampled_from(["An", "Công ty An", None]),
    phone=st.one_of(st.none(), phones),
    phones=st.lists(phones, max_size=2).map(tuple),
    email=st.sampled_from([None, "an@firma.vn", "binh@firma.vn"]),
)
sides = st.dictionaries(st.integers(0, 99).map(str), people, max_size=10)


@given(sides, sides, st.integers(1, 4), st.randoms())
@settings(max_examples=200)
def test_links_are_one_to_one_and_chunks_and_order_make_no_difference(nhanh, shopify, size, random):
    whole = decide(nhanh, shopify)
    lefts, rights = [one.nhanh_id for one in whole.links], [one.shopify_id for one in whole.links]
    assert len(set(lefts)) == len(lefts)
    assert len(set(rights)) == len(rights)
    entries = list(shopify.items())
    random.shuffle(entries)
    assert decide(nhanh, dict(entries), size) == whole
