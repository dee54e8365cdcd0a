"""Changes a catalogue into the same goods as another clerk would have typed them, by a seeded recipe.

Each row's changes come from a generator of its own (seed, row id, change), so they depend neither on the order
of the rows nor on the other rates. docs/howto/catalogues.md lists the recipe.
"""

import random
from decimal import Decimal

import msgspec

from sandbox.catalogues import Row
from sandbox.chance import number_of, rng
from sandbox.people import plain


class Recipe(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Shares (0 to 1) of the rows that each change falls on. Without `renumber` ids stay what they were."""

    seed: int = 11
    drop: float = 0.1
    typo: float = 0.15
    reorder: float = 0.15
    accents: float = 0.15
    case: float = 0.15
    shorten: float = 0.1
    no_barcode: float = 0.3
    no_brand: float = 0.1
    price: float = 0.3
    renumber: bool = True


class Perturbed(msgspec.Struct):
    """The changed rows, each with the id it had, and how often each change fell."""

    rows: list[tuple[Row, int]]
    counts: dict[str, int]


def _typo(title: str, chance: random.Random) -> str:
    if len(title) < 4:
        return title
    at = chance.randrange(1, len(title) - 1)
    kind = chance.choice(("swap", "lose", "double"))
    if kind == "swap":
        return title[:at] + title[at + 1] + title[at] + title[at + 2 :]
    return title[:at] + title[at + 1 :] if kind == "lose" else title[:at] + title[at] + title[at:]


def _reorder(title: str, chance: random.Random) -> str:
    words = title.split()
    at = chance.randrange(1, len(words)) if len(words) > 1 else 0
    return " ".join(words[at:] + words[:at])


def _case(title: str, chance: random.Random) -> str:
    return title.upper() if chance.random() < 0.5 else title.lower()


def _shorten(title: str, chance: random.Random) -> str:
    words = title.split()
    return " ".join(words[: max(2, len(words) - chance.randrange(1, 3))])


TITLE_CHANGES = {
    "typo": _typo,
    "reorder": _reorder,
    "shorten": _shorten,
    "accents": lambda title, chance: plain(title),
    "case": _case,
}


def perturb(rows: list[Row], recipe: Recipe) -> Perturbed:
    """Apply a recipe. Rows keep their order; dropped ones are gone; counts add up to what was really changed."""
    counts = dict.fromkeys(("drop", *TITLE_CHANGES, "no_barcode", "no_brand", "price"), 0)
    kept: list[tuple[Row, int]] = []
    numbers: set[int] = set()
    for row in rows:

        def falls(change: str, row: Row = row) -> bool:
            return rng(recipe.seed, row.id, change).random() < getattr(recipe, change)

        if falls("drop"):
            counts["drop"] += 1
            continue
        new = msgspec.structs.replace(row)
        for change, change_title in TITLE_CHANGES.items():
            title = change_title(new.title, rng(recipe.seed, row.id, change, "how")) if falls(change) else new.title
            counts[change] += title != new.title
            new.title = title.strip() or new.title
        if new.barcode and falls("no_barcode"):
            new.barcode, counts["no_barcode"] = None, counts["no_barcode"] + 1
        if new.brand and falls("no_brand"):
            new.brand, counts["no_brand"] = "", counts["no_brand"] + 1
        if new.price and falls("price"):
            percent = rng(recipe.seed, row.id, "price", "how").choice((90, 95, 105, 110))
            new.price, counts["price"] = new.price * percent / Decimal(100), counts["price"] + 1
        if recipe.renumber:
            new.id = 6_000_000_000_000 + number_of(f"{recipe.seed}:{row.id}", 12)
            while new.id in numbers:
                new.id += 1
        numbers.add(new.id)
        kept.append((new, row.id))
    return Perturbed(kept, counts)
