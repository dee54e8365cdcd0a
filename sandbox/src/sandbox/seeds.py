"""Seeded synthetic products: two shops of one merchant that overlap as real ones do.

Of 100 products on each side about 55 share SKU and barcode, 14 only the SKU, 8 only the barcode, 10 only the
title, 5 are ambiguous (the other side holds the same SKU or title twice), and 8 exist on this side alone.
Prices differ on about one unit in five and stock on about one in four, always by little: a sync has work, and
no change looks like an accident.
"""

import random
from decimal import Decimal

from sandbox.articles import FIRST_DAY, Article, Unit
from sandbox.chance import rng
from sandbox.people import plain

GOODS = (
    ("Áo thun", "Coolmate", ("cổ tròn", "cổ tim", "oversize", "tay dài")),
    ("Áo sơ mi", "Việt Tiến", ("kẻ sọc", "trắng trơn", "linen", "oxford")),
    ("Quần jean", "Blue Exchange", ("ống đứng", "slim fit", "rách gối", "lưng cao")),
    ("Váy hoa", "IVY moda", ("dáng xoè", "cổ vuông", "hai dây", "midi")),
    ("Giày thể thao", "Biti's Hunter", ("Street", "X Nameless", "Core", "Layered")),
    ("Túi xách", "Juno", ("đeo chéo", "tote", "mini", "công sở")),
    ("Son kem lì", "Lemonade", ("Perfect Couple", "Matte Addict", "Supermatte", "Aurora")),
    ("Kem chống nắng", "Cocoon", ("bí đao", "hoa hồng", "nâng tông", "kiềm dầu")),
    ("Nước mắm", "Nam Ngư", ("đệ nhị", "cá cơm", "thượng hạng", "40 độ đạm")),
    ("Cà phê", "Trung Nguyên", ("Sáng Tạo 1", "Sáng Tạo 5", "Gourmet", "chồn Legend")),
    ("Bình giữ nhiệt", "Lock&Lock", ("Swing", "Metro", "Feather Light", "Clip")),
    ("Nồi chiên không dầu", "Sunhouse", ("SHD4026", "SHD4029", "SHD4086", "SHD4062")),
    ("Tai nghe", "Soundpeats", ("Air4", "Mini Pro", "Capsule3", "Watch")),
    ("Sữa tươi", "Vinamilk", ("ít đường", "không đường", "dâu", "sô-cô-la")),
)
COLOURS = ("đen", "trắng", "xanh navy", "đỏ đô", "be", "hồng phấn", "xám khói", "nâu")
SIZES = ("S", "M", "L", "XL")
KINDS = (("both", 0.60), ("sku", 0.15), ("barcode", 0.09), ("title", 0.11), ("ambiguous", 0.05))


def gtin13(digits: str) -> str:
    """Twelve digits and their GTIN-13 check digit."""
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return digits + str(-total % 10)


def kind_of(seed: int, key: str) -> str:
    """How the two sides of a shared article agree: one of KINDS. Articles of one side alone are "both"."""
    if not key.startswith("p"):
        return "both"
    mark, total = rng("kind", seed, key).random(), 0.0
    for kind, share in KINDS:
        total += share
        if mark < total:
            return kind
    return KINDS[-1][0]


def _rewrite(title: str, chance: random.Random) -> str:
    """The same title as the online shop writes it: other case, no accents, other word order, a word more."""
    way = chance.randrange(5)
    if way == 0:
        return plain(title)
    if way == 1:
        return title.upper()
    if way == 2:
        words = title.split()
        return " ".join(words[2:] + words[:2])
    return f"{title} - Hàng chính hãng" if way == 3 else title


def _article(seed: int, key: str, number: int, side: str) -> Article:
    """Article `key` as one side has it: the product follows from the key, its spelling from the side too."""
    what = rng("article", seed, key)
    goods, brand, models = what.choice(GOODS)
    serial = what.randrange(100, 999)
    title = f"{goods} {brand} {what.choice(models)} {what.choice(COLOURS)} {serial}"
    kind = kind_of(seed, key)
    price = Decimal(what.randrange(49, 1500) * 1000)
    stem = f"{plain(brand)[:3].upper().replace(' ', '')}-{serial}-{what.randrange(1000, 9999)}"
    sizes = list(SIZES[: what.randrange(2, 5)]) if what.random() < 0.12 and kind == "both" else [None]
    description = f"{goods} {brand}, bảo hành {what.choice((3, 6, 12))} tháng."
    shop = side == "shopify"

    how = rng("article", seed, key, side)
    units: list[Unit] = []
    for size in sizes:
        sku = f"{stem}-{size}" if size else stem
        barcode = gtin13(f"893{what.randrange(10**9):09d}")
        stock = [what.randrange(20, 120), what.randrange(20, 80)]
        other = rng("unit", seed, key, size)
        has_barcode = kind in {"both", "barcode"} and (kind == "barcode" or other.random() < 0.85)
        shown_price, shown_stock = price, stock
        if shop and other.random() < 0.2:
            shown_price = price + Decimal(other.choice((-10_000, -5_000, 5_000, 10_000)))
        if shop and other.random() < 0.25:
            shown_stock = [stock[0] + other.choice((-7, -3, -1, 2, 4)), stock[1]]
        shown_sku: str | None = sku
        if kind in {"barcode", "title"}:
            shown_sku = None if shop else f"NH{number % 10**6}"
        elif shop and how.random() < 0.1:
            shown_sku = sku.lower()
        units.append(
            Unit(
                sku=shown_sku,
                barcode=barcode if has_barcode else None,
                price=shown_price,
                stock=shown_stock,
                option=size,
            )
        )
    return Article(
        id=number,
        title=_rewrite(title, how) if shop else title,
        brand=brand,
        description=description,
        units=units,
        truth=key,
        updated_at=FIRST_DAY + how.randrange(0, 300 * 86_400),
    )


def products(side: str, wanted: int, seed: int) -> list[Article]:
    """`wanted` products of one side ("nhanh" or "shopify"); an ambiguous one's double is one of them."""
    shared = round(wanted * 0.9)
    keys = [f"p{i}" for i in range(shared)] + [f"{side}{i}" for i in range(wanted - shared)]
    first, step = (38_200_000, 16) if side == "nhanh" else (8_100_000_000_000, 4_096)
    places = list(range(len(keys)))
    rng("places", seed, side).shuffle(places)
    made = [_article(seed, key, first + place * step, side) for key, place in zip(keys, places, strict=True)]
    if side == "shopify":  # the online shop lists some goods twice, instead of goods of its own
        doubled = [a for a in made[:shared] if kind_of(seed, a.truth or "") == "ambiguous"]
        for twin, original in zip(made[shared:], doubled, strict=False):
            twin.title = original.title
            twin.units = [Unit(sku=u.sku, price=u.price, stock=list(u.stock), option=u.option) for u in original.units]
    return made
