"""Where stock goes, and the sentences that say what is missing."""

import pytest

from platforms.adapter import Location
from platforms.shopify.platform import location_id
from syncer.domain import depots

HANOI = Location("gid://shopify/Location/1", "Hà Nội", "1")
SAIGON = Location("gid://shopify/Location/2", "Sài Gòn", "2")


@pytest.mark.parametrize(
    ("place", "right"),
    [
        ("90100000001", True),
        (" 90100000001 ", True),
        ("gid://shopify/Location/90100000001", True),
        ("Hà Nội", False),
        ("gid://shopify/InventoryLevel/1", False),
        ("gid://shopify/Location/", False),
        ("1.0", False),
        (" ", False),
    ],
)
def test_a_map_names_locations_by_their_ids(place: str, right: bool) -> None:
    problem = depots.map_problem({"120001": "1", "120002": place}, location_id)
    assert (problem is None) is right
    assert right or repr(place) in str(problem)


@pytest.mark.parametrize(
    ("known", "locations", "plain"),
    [
        (["1"], [HANOI], True),
        ([], [HANOI], True),
        (["1", "2"], [HANOI], False),
        (["1"], [HANOI, SAIGON], False),
        (["1"], [], False),
    ],
)
def test_one_depot_and_one_location_need_no_map(known: list[str], locations: list[Location], plain: bool) -> None:
    assert depots.is_plain(known, locations) is plain


def test_the_choices_are_told() -> None:
    sentence = depots.choices(["120001", "120002"], [HANOI, SAIGON])
    for part in ("2 depots (120001, 120002)", "2 locations (1 (Hà Nội), 2 (Sài Gòn))", '{"120001": "1"}', '"sum"'):
        assert part in sentence
    many = [Location(f"gid://shopify/Location/{number}", f"Shop {number}", str(number)) for number in range(100)]
    assert "and 80 more" in depots.choices(["1"], many)
    assert "1 depot (1)" in depots.choices(["1"], many)
