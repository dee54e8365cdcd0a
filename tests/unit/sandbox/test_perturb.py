"""The perturbation is the same every time, and each change stands alone."""

from decimal import Decimal
from typing import Any

import msgspec

from sandbox.catalogues import Row
from sandbox.perturb import Recipe, perturb

ROWS = [
    Row(
        line=i + 2,
        id=i,
        title=f"Áo thun Coolmate số {i}",
        barcode=f"893{i:010d}",
        brand="Coolmate",
        price=Decimal(1000),
    )
    for i in range(400)
]
NOTHING = Recipe(
    drop=0, typo=0, reorder=0, accents=0, case=0, shorten=0, no_barcode=0, no_brand=0, price=0, renumber=False
)


def only(**changes: Any) -> Recipe:
    return msgspec.structs.replace(NOTHING, **changes)


def test_the_same_recipe_gives_the_same_rows() -> None:
    assert perturb(ROWS, Recipe()) == perturb(ROWS, Recipe())
    assert perturb(ROWS, Recipe(seed=12)) != perturb(ROWS, Recipe(seed=11))


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    alone = {old: row for row, old in perturb(ROWS[::2], Recipe()).rows}
    among = {old: row for row, old in perturb(ROWS, Recipe()).rows}
    assert all(among[old] == row for old, row in alone.items())


def test_one_rate_does_not_move_another() -> None:
    dropped = perturb(ROWS, only(drop=0.1))
    both = perturb(ROWS, only(drop=0.1, case=0.5))
    assert [old for _, old in dropped.rows] == [old for _, old in both.rows]
    assert 20 <= dropped.counts["drop"] <= 60
    assert len(dropped.rows) == 400 - dropped.counts["drop"]


def test_counts_say_what_was_changed() -> None:
    changed = perturb(ROWS, only(accents=0.5, no_barcode=0.25, price=1.0))
    pairs = [(row, ROWS[old]) for row, old in changed.rows]
    assert sum(new.title != was.title for new, was in pairs) == changed.counts["accents"]
    assert sum(new.barcode is None for new, _ in pairs) == changed.counts["no_barcode"]
    assert sum(new.price != was.price for new, was in pairs) == changed.counts["price"] == 400
    assert all(new.id == was.id for new, was in pairs)


def test_nothing_changes_nothing_and_new_ids_are_unique() -> None:
    same = perturb(ROWS, NOTHING)
    assert [row for row, _ in same.rows] == ROWS
    numbers = [row.id for row, _ in perturb(ROWS, only(renumber=True)).rows]
    assert len(set(numbers)) == 400
    assert not set(numbers) & set(range(400))
