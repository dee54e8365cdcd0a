"""What links customers by itself, what waits for a person, and that chunks and order make no difference."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property_tests import examples

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
    return {one.hub_id: one.remote_id for one in decision.links}


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


P, Q, E, F = "0912345699", "0387654399", "nam.nguyen@firma.vn", "lan.tran@firma.vn"


def reasons(decision: Decision) -> dict[tuple[str, str], str]:
    return {one.pair: one.doubt or "" for one in decision.reviews}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Customer("Nguyễn Văn Nam", P), Customer("nam nguyen", P)),
        (Customer("N. V. Nam", P), Customer("Nguyễn Văn Nam", P)),
        (Customer("anh Nam", P), Customer("Nguyễn Văn Nam", P)),
        (Customer("Khách lẻ", P), Customer("Nguyễn Văn Nam", P)),
        (Customer("0912345699", P), Customer("Nguyễn Văn Nam", P)),
        (Customer(None, P), Customer(None, P)),
        (Customer("Nguyễn Văn Nam", P, email=E), Customer("Nguyễn Nam", P, email=F)),  # two addresses of one man
        (Customer("Nam", P, email="noemail@shop.vn"), Customer("Nam", P, email=F)),  # one is no address
        (Customer("Nguyễn Văn Nam", P, email=E), Customer("Nam Nguyen", Q, email=E)),
        (Customer("Công ty TNHH An Phát", P), Customer("Cty An Phát", P)),
    ],
)
def test_what_links_by_a_phone_or_an_address(one, other):
    assert links(decide({"1": one}, {"a": other})) == {"1": "a"}


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (Customer("Nguyễn Văn Nam", P), Customer("Trần Thị Lan", P), "both have the phone, the names differ"),
        (Customer("Nguyễn Văn Nam", P), Customer("Nguyễn Thị Lan", P), "both have the phone, the names differ"),
        (Customer("Nam", P), Customer("Công ty An Phát", P), "both have the phone, the names differ"),
        (Customer("Nam", P, email=E), Customer("Nguyễn Văn Nam", P, email=F), "the e-mails differ"),
        (Customer("Khách lẻ", P, email=E), Customer("Nguyễn Văn Nam", P, email=F), "the e-mails differ"),
        (Customer(None, P, email=E), Customer(None, P, email=F), "the e-mails differ"),
        (Customer("Nguyễn Văn Nam", email=E), Customer("Trần Thị Lan", email=E), "both have the e-mail, the names"),
        (Customer("Nguyễn Văn Nam", P, email=E), Customer("Trần Thị Lan", P, email=E), "phone and e-mail, the names"),
    ],
)
def test_what_contradicts_a_phone_or_an_address(one, other, says):
    decision = decide({"1": one}, {"a": other})
    assert links(decision) == {}
    assert says in reasons(decision)["1", "a"]


def test_a_family_phone_links_nobody_by_itself():
    family = {"1": Customer("Nguyễn Văn Nam", P), "2": Customer("Trần Thị Lan", P)}
    decision = decide(family, {"a": Customer("Nguyễn Văn Nam", P)})
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("2", "a")}
    assert all("another customer of the hub has the same phone" in reason for reason in reasons(decision).values())


def test_also_after_a_person_has_excluded_one_of_them():
    index = CustomerIndex(
        {"1": Customer("Nguyễn Văn Nam", P), "2": Customer("Trần Thị Lan", P)}, {"a": Customer("Nguyễn Văn Nam", P)}
    )
    decision = resolve_customers(index.score(0, 1).candidates, Known(rejected={("2", "a")}), Bands())
    assert (links(decision), reviews(decision)) == ({}, {("1", "a")})


@pytest.mark.parametrize("same_side", [False, True])
def test_a_chain_is_a_conflict_and_shown(same_side):
    name = "Nguyễn Văn Nam"
    if same_side:
        # A and B of Nhanh share the phone; B and C of Shopify the address.
        decision = decide({"1": Customer(name, P), "2": Customer(name, P, email=E)}, {"c": Customer(name, Q, email=E)})
        assert reviews(decision) == {("2", "c")}
        assert "another customer of the hub has the same phone" in reasons(decision)["2", "c"]
    else:
        decision = decide({"1": Customer(name, P), "3": Customer(name, Q, email=E)}, {"b": Customer(name, P, email=E)})
        assert reviews(decision) == {("1", "b"), ("3", "b")}
        assert all("a chain of shared phones and e-mails" in reason for reason in reasons(decision).values())
    assert links(decision) == {}


def test_a_longer_chain_links_nobody_either():
    decision = decide(
        {"1": Customer(None, P), "2": Customer(None, Q, email=E)},
        {"a": Customer(None, P, email=E), "b": Customer(None, Q)},
    )
    assert links(decision) == {}
    assert reviews(decision) == {("1", "a"), ("2", "a"), ("2", "b")}


def test_one_name_twice_in_a_shop_is_no_key():
    name = "Nguyễn Văn Nam"
    decision = decide({"1": Customer(name), "2": Customer(name, P)}, {"a": Customer(name), "b": Customer(name, P)})
    assert links(decision) == {"2": "b"}
    assert reviews(decision) == set()


def test_reasons_quote_nothing_personal():
    nhanh = {"1": Customer("Nguyễn Văn Nam", P, email=E), "2": Customer("Nguyễn Văn Nam", P)}
    decision = decide(nhanh, {"a": Customer("Trần Thị Lan", P, email=F), "b": Customer("Lan", Q, email=E)})
    text = " ".join(reasons(decision).values())
    assert text
    for personal in ("Nam", "Lan", "912345699", "@", "firma"):
        assert personal not in text


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
@settings(max_examples=examples(200))
def test_links_are_one_to_one_and_chunks_and_order_make_no_difference(nhanh, shopify, size, random):
    whole = decide(nhanh, shopify)
    lefts, rights = [one.hub_id for one in whole.links], [one.remote_id for one in whole.links]
    assert len(set(lefts)) == len(lefts)
    assert len(set(rights)) == len(rights)
    entries = list(shopify.items())
    random.shuffle(entries)
    assert decide(nhanh, dict(entries), size) == whole
