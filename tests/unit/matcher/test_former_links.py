"""What becomes of links over several runs: nothing that was linked moves silently, and nothing is written twice."""

import pytest

from matcher.domain.candidates import Candidate, FormerLink, Known, Method, Pair
from matcher.domain.customers import Customer, CustomerIndex
from matcher.domain.mappings import Changes, Match, compare, earlier_links, known
from matcher.domain.product_codes import Product
from matcher.domain.products import ProductIndex
from matcher.domain.resolution import Bands, Decision, LinkByName, resolve_customers, resolve_products


class Account:
    """An account's mappings from run to run, as the matcher keeps them."""

    def __init__(self, by_name: LinkByName = "auto") -> None:
        self.rows: dict[Pair, Match] = {}
        self.remembered: dict[Pair, Method] = {}
        self.by_name = by_name

    def run(self, nhanh: dict[str, Product], shopify: dict[str, Product]) -> Changes:
        found = ProductIndex(nhanh, shopify).score(0, len(nhanh) - 1).candidates
        bands = Bands(link_by_name=self.by_name)
        return self._write(nhanh, shopify, lambda people: resolve_products(found, people, bands))

    def run_customers(self, nhanh: dict[str, Customer], shopify: dict[str, Customer]) -> Changes:
        found = CustomerIndex(nhanh, shopify).score(0, len(nhanh) - 1).candidates
        return self._write(nhanh, shopify, lambda people: resolve_customers(found, people, Bands()))

    def decide(self, pair: Pair, status: str) -> None:
        """What a person's edit does: a confirmation answers all suggestions for both records."""
        if status == "confirmed":
            self.rows = {
                one: row
                for one, row in self.rows.items()
                if row.status != "review" or (one[0] != pair[0] and one[1] != pair[1])
            }
        self.rows[pair] = Match(*pair, status, "manual", 1.0)  # pyright: ignore[reportArgumentType]

    def links(self) -> dict[str, str]:
        return {row.hub_id: row.remote_id for row in self.rows.values() if row.status in {"auto", "confirmed"}}

    def reviews(self) -> dict[Pair, str]:
        return {pair: row.reason or "" for pair, row in self.rows.items() if row.status == "review"}

    def _write(self, nhanh, shopify, resolve) -> Changes:
        changes = self._once(nhanh, shopify, resolve)
        before = dict(self.remembered)
        again = self._once(nhanh, shopify, resolve)
        assert (again.created, again.updated, again.removed) == ([], [], []), "a second run writes something"
        assert self.remembered == before
        return changes

    def _once(self, nhanh, shopify, resolve) -> Changes:
        former = [
            FormerLink(left, right, method, left in nhanh, right in shopify)
            for (left, right), method in earlier_links(self.rows.values(), self.remembered).items()
        ]
        decision: Decision = resolve(known(self.rows.values(), former))
        changes = compare(self.rows.values(), decision)
        for row in changes.removed:
            del self.rows[row.pair]
        for row in (*changes.created, *changes.updated):
            self.rows[row.pair] = row
        self.remembered = dict(decision.former)
        linked = [row.remote_id for row in self.rows.values() if row.status in {"auto", "confirmed"}]
        assert len(linked) == len(set(linked))
        return changes


SOAP, BOWL = Product("Xà phòng thơm", sku="XP-01"), Product("Bát sứ trắng", sku="BS-02")


def linked() -> Account:
    account = Account()
    account.run({"1": SOAP}, {"a": SOAP})
    assert account.links() == {"1": "a"}
    return account


def test_a_sku_that_leads_elsewhere_moves_nothing_and_shows_both_partners():
    account = linked()
    without = replace_sku(SOAP, None)
    changes = account.run({"1": SOAP}, {"a": without, "b": SOAP})
    assert account.links() == {}
    assert account.reviews() == {
        ("1", "a"): "1 was linked to a by its SKU until now; the SKU of 1 now leads to b",
        ("1", "b"): "the SKU agrees; 1 was linked to a by its SKU until now",
    }
    assert changes.lost_links == 1


def replace_sku(product: Product, sku: str | None) -> Product:
    return Product(product.title, sku=sku)


def test_two_records_that_swapped_their_codes_move_nothing():
    account = Account()
    account.run({"1": SOAP, "2": BOWL}, {"a": SOAP, "b": BOWL})
    swapped = {"1": replace_sku(SOAP, "BS-02"), "2": replace_sku(BOWL, "XP-01")}
    account.run(swapped, {"a": SOAP, "b": BOWL})
    assert account.links() == {}
    assert account.reviews().keys() == {("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")}
    assert account.reviews()["1", "b"].startswith("the SKU BS-02 agrees, but the titles have nothing in common; 1 was")
    assert "1 was linked to a by its SKU until now" in account.reviews()["1", "b"]
    assert "2 was linked to b by its SKU until now" in account.reviews()["1", "b"]
    # Also where the titles moved with the codes: which record is which, only a person knows.
    account.run({"1": BOWL, "2": SOAP}, {"a": SOAP, "b": BOWL})
    assert account.links() == {}
    assert account.reviews().keys() == {("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")}
    account.run({"1": SOAP, "2": BOWL}, {"a": SOAP, "b": BOWL})
    assert account.links() == {"1": "a", "2": "b"}
    assert (account.reviews(), account.remembered) == ({}, {})


def test_a_move_stays_a_review_until_a_person_confirms():
    account = linked()
    nhanh, shopify = {"1": SOAP}, {"a": replace_sku(SOAP, None), "b": SOAP}
    account.run(nhanh, shopify)
    account.decide(("1", "b"), "confirmed")
    account.run(nhanh, shopify)
    assert account.links() == {"1": "b"}
    assert account.reviews() == {}


def test_a_rejected_old_partner_lets_the_new_one_link():
    account = linked()
    nhanh, shopify = {"1": SOAP}, {"a": replace_sku(SOAP, None), "b": SOAP}
    account.run(nhanh, shopify)
    account.decide(("1", "a"), "rejected")
    account.run(nhanh, shopify)
    assert account.links() == {"1": "b"}


def test_a_rejected_new_partner_leaves_the_old_one_to_a_person():
    account = linked()
    nhanh, shopify = {"1": SOAP}, {"a": replace_sku(SOAP, None), "b": SOAP}
    account.run(nhanh, shopify)
    account.decide(("1", "b"), "rejected")
    account.run(nhanh, shopify)
    # With names alone left, and names linking in this account, the old pair links again.
    assert account.links() == {"1": "a"}
    account.by_name = "review"
    account.run(nhanh, shopify)
    assert account.links() == {}
    assert account.reviews().keys() == {("1", "a")}


@pytest.mark.parametrize("by_name", ["review", "auto"])
def test_a_code_that_is_deleted_takes_its_link_along(by_name):
    account = linked()
    account.by_name = by_name
    account.run({"1": SOAP}, {"a": Product("Dép lê trẻ em")})
    assert account.links() == {}
    assert account.reviews() == {("1", "a"): "1 was linked to a by its SKU until now; nothing links the two any more"}


def test_a_link_by_code_whose_code_is_gone_is_no_link_by_name_unless_the_account_says_so():
    account = linked()
    account.by_name = "review"
    account.run({"1": SOAP}, {"a": replace_sku(SOAP, None)})
    assert account.links() == {}
    assert "names do not link by themselves" in account.reviews()["1", "a"]


def test_links_by_name_become_reviews_when_the_account_no_longer_wants_them():
    account = Account()
    nhanh, shopify = {"1": Product("Xà phòng thơm")}, {"a": Product("Xà phòng thơm")}
    account.run(nhanh, shopify)
    assert account.links() == {"1": "a"}
    account.by_name = "review"
    account.run(nhanh, shopify)
    assert (account.links(), account.reviews().keys()) == ({}, {("1", "a")})


def test_a_link_by_name_does_not_move_to_another_record_by_name():
    account = Account()
    account.run({"1": Product("Xà phòng thơm hoa hồng")}, {"a": Product("Xà phòng hoa hồng")})
    assert account.links() == {"1": "a"}
    account.run(
        {"1": Product("Xà phòng thơm hoa hồng")},
        {"a": Product("Dép lê trẻ em"), "b": Product("Xà phòng thơm hoa hồng")},
    )
    assert account.links() == {}
    assert account.reviews().keys() == {("1", "a"), ("1", "b")}


@pytest.mark.parametrize("gone", ["nhanh", "shopify"])
def test_a_partner_set_free_by_a_deletion_is_not_given_away_by_name(gone):
    account = Account()
    red, pink = Product("Xà phòng thơm đỏ", sku="XP-01"), Product("Xà phòng thơm")
    if gone == "nhanh":
        account.run({"1": red, "2": pink}, {"a": red})
        assert account.links() == {"1": "a"}
        changes, pair = account.run({"2": pink}, {"a": red}), ("2", "a")
    else:
        account.run({"1": red}, {"a": red, "b": pink})
        assert account.links() == {"1": "a"}
        changes, pair = account.run({"1": red}, {"b": pink}), ("1", "b")
    assert account.links() == {}
    assert changes.lost_links == 1
    assert account.reviews().keys() == {pair}
    assert "is no longer there" in account.reviews()[pair]


def test_nor_by_a_code_unless_the_names_are_the_same_words():
    account = linked()
    account.run({"9": Product("Xà phòng thơm Lux", sku="XP-01")}, {"a": SOAP})
    assert account.links() == {}
    assert account.reviews() == {
        ("9", "a"): "the SKU agrees; 1 was linked to a by its SKU until now, and 1 is no longer there"
    }
    account.run({"9": Product("xà phòng THƠM", sku="XP-01")}, {"a": SOAP})
    assert account.links() == {"9": "a"}
    assert account.remembered == {}


def test_accents_count_when_a_free_partner_is_given_away():
    account = Account()
    beef = Product("Bò khô miếng cay", sku="BK-1")
    account.run({"1": beef}, {"a": beef})
    account.run({"2": Product("Bơ khô miếng cay", sku="BK-1")}, {"a": beef})
    assert account.links() == {}


def test_a_record_that_comes_back_is_linked_again():
    account = linked()
    account.run({"7": Product("Bát sứ")}, {"a": SOAP})
    assert (account.links(), account.remembered) == ({}, {("1", "a"): "sku"})
    account.run({"1": SOAP}, {"a": SOAP})
    assert (account.links(), account.remembered) == ({"1": "a"}, {})


def test_pairs_that_are_both_gone_are_forgotten():
    account = linked()
    account.run({"7": BOWL}, {"g": BOWL})
    assert (account.links(), account.remembered) == ({"7": "g"}, {})


def test_what_people_decided_is_never_touched():
    account = linked()
    account.decide(("1", "a"), "confirmed")
    account.run({"1": SOAP, "2": replace_sku(SOAP, None)}, {"a": replace_sku(SOAP, None), "b": SOAP})
    assert account.rows["1", "a"].status == "confirmed"
    assert account.links()["1"] == "a"
    account.decide(("1", "a"), "rejected")
    account.run({"1": SOAP}, {"a": SOAP})
    assert account.links() == {}
    assert account.reviews() == {}


def test_a_phone_that_moves_to_another_customer_moves_no_link():
    account = Account()
    nam, phone = "Nguyễn Văn Nam", "0912345699"
    account.run_customers({"1": Customer(nam, phone)}, {"a": Customer(nam, phone)})
    assert account.links() == {"1": "a"}
    account.run_customers({"1": Customer(nam, phone)}, {"a": Customer(nam, "0387654399"), "b": Customer("Nam", phone)})
    assert account.links() == {}
    assert account.reviews().keys() == {("1", "a"), ("1", "b")}
    assert "the phone of 1 now leads to b" in account.reviews()["1", "a"]


def test_a_free_customer_is_not_given_to_the_next_owner_of_the_phone():
    account = Account()
    phone = "0912345699"
    account.run_customers({"1": Customer("Nguyễn Văn Nam", phone)}, {"a": Customer(None, phone)})
    account.run_customers({"2": Customer("Trần Thị Lan", phone)}, {"a": Customer(None, phone)})
    assert account.links() == {}
    assert account.reviews().keys() == {("2", "a")}


def test_order_makes_no_difference():
    former = [FormerLink("1", "a", "sku"), FormerLink("2", "b", "title"), FormerLink("3", "c", "sku", False)]
    pool = [
        Candidate("1", "b", "sku", 0.99),
        Candidate("2", "a", "sku", 0.99),
        Candidate("4", "c", "title", 0.9),
    ]
    whole = resolve_products(pool, Known(former=former), Bands(link_by_name="auto"))
    assert whole.links == []
    assert {one.pair for one in whole.reviews} == {("1", "a"), ("1", "b"), ("2", "a"), ("2", "b"), ("4", "c")}
    assert whole == resolve_products(pool[::-1], Known(former=former[::-1]), Bands(link_by_name="auto"))
