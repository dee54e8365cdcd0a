"""Synthetic Vietnamese customers: no public set exists, so names and phones come from a fixed seed.

The messy forms of phones are those met in the field: every one but the fillers and service numbers can be
brought back to the same national number.
"""

import random
import unicodedata
from decimal import Decimal

from sandbox.articles import FIRST_DAY, Person
from sandbox.chance import rng

FAMILY = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô")
MIDDLE_F = ("Thị", "Ngọc", "Thuỳ", "Mỹ", "Khánh", "Bảo")
MIDDLE_M = ("Văn", "Hữu", "Đức", "Quốc", "Minh", "Gia")
GIVEN_F = ("Hương", "Lan", "Mai", "Nhung", "Phương", "Thảo", "Trang", "Yến", "Hạnh", "Ánh", "Diễm", "Uyên", "Quỳnh")
GIVEN_M = ("Anh", "Bình", "Cường", "Dũng", "Hải", "Hùng", "Khoa", "Long", "Nam", "Phúc", "Quân", "Sơn", "Tuấn")
STREETS = ("Lê Lợi", "Nguyễn Huệ", "Trần Hưng Đạo", "Hai Bà Trưng", "Điện Biên Phủ", "Cách Mạng Tháng Tám", "Láng Hạ")
CITIES = ("Hà Nội", "TP. Hồ Chí Minh", "Đà Nẵng", "Hải Phòng", "Cần Thơ", "Huế", "Biên Hoà")
# New prefix -> the 11-digit prefix it replaced on 2018-09-15; the last seven digits stayed.
OLD_PREFIX = {
    "032": "0162", "033": "0163", "034": "0164", "035": "0165", "036": "0166", "037": "0167", "038": "0168",
    "039": "0169", "070": "0120", "079": "0121", "077": "0122", "076": "0126", "078": "0128", "083": "0123",
    "084": "0124", "085": "0125", "081": "0127", "082": "0129", "056": "0186", "058": "0188", "059": "0199",
}  # fmt: skip
PREFIXES = ("090", "091", "093", "094", "096", "097", "098", "086", "088", "089", *OLD_PREFIX)
FORMS = (
    "local", "local", "local", "local", "no_zero", "country", "plus", "double_zero", "plus_zero_in_brackets",
    "country_zero", "double_zero_zero", "dots", "dashes", "spaces", "brackets", "full_width", "apostrophe",
    "letter_o", "tel", "note", "two_numbers", "float", "old_prefix",
)  # fmt: skip
FILLERS = ("0999999999", "0900000000", "19001234", "18001091")


def plain(text: str) -> str:
    """Text without diacritics: 'Đặng Thuỳ' becomes 'Dang Thuy'."""
    text = text.replace("Đ", "D").replace("đ", "d")
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def national_mobile(chance: random.Random) -> str:
    """A mobile number in local form: a zero and nine digits, never a run of one digit."""
    return chance.choice(PREFIXES) + f"{chance.randrange(1_234_567, 9_876_543):07d}"


def e164(national: str) -> str:
    """'0912345678' -> '+84912345678'."""
    return "+84" + national[1:]


def messy_phone(chance: random.Random, national: str, form: str | None = None) -> str:
    """The same number as people type it. `form` picks one of FORMS; without it a random one."""
    n, tail = national, national[1:]
    a, b, c = n[:4], n[4:7], n[7:]
    forms = {
        "local": n,
        "no_zero": tail,
        "country": "84" + tail,
        "plus": "+84" + tail,
        "double_zero": "0084" + tail,
        "plus_zero_in_brackets": f"+84 (0) {tail[:3]} {tail[3:6]} {tail[6:]}",
        "country_zero": "840" + tail,
        "double_zero_zero": "00840" + tail,
        "dots": f"{a}.{b}.{c}",
        "dashes": f"{a}-{b}-{c}",
        "spaces": f" {a} {b} {c}",
        "brackets": f"({a}) {b} {c}",
        "full_width": "".join(chr(ord(d) - ord("0") + ord("０")) for d in n),
        "apostrophe": "'" + n,
        "letter_o": n.replace("0", "O"),
        "tel": "tel:+84" + tail,
        "note": n + " (zalo)",
        "two_numbers": f"{n}/{national_mobile(chance)}",
        "float": tail + ".0",
        "old_prefix": OLD_PREFIX.get(n[:3], n[:3]) + n[3:],
    }
    return forms[form or chance.choice(FORMS)]


def local_form(text: str) -> str:
    """The number Nhanh files a mobile under: digits only, a leading country code turned into a zero."""
    digits = "".join(c for c in unicodedata.normalize("NFKC", text) if c.isdigit())
    digits = digits.removeprefix("00")
    if digits.startswith("84") and len(digits) >= 11:
        digits = "0" + digits[2:].removeprefix("0")
    return digits


def _person(seed: int, key: str, number: int, side: str) -> Person:
    """Person `key` as one side's staff wrote it: the person follows from the key, the spelling from the side too."""
    who = rng("person", seed, key)
    female = who.random() < 0.55
    family = who.choice(FAMILY)
    middle = who.choice(MIDDLE_F if female else MIDDLE_M)
    given = f"{middle} {who.choice(GIVEN_F if female else GIVEN_M)}"
    mobile = national_mobile(who)
    if who.random() < 0.04:
        mobile = national_mobile(rng("family phone", seed, who.randrange(6)))  # a number that several share
    slug = plain(f"{given.rsplit(maxsplit=1)[-1]}.{family}").lower()
    email = f"{slug}{who.randrange(10, 9999)}@example.{who.choice(('com', 'vn', 'net'))}".replace(" ", "")
    has_phone, has_email = who.random() < 0.93, who.random() < 0.6
    address = f"{who.randrange(1, 400)} {who.choice(STREETS)}"
    city = who.choice(CITIES)
    birthday = f"{who.randrange(1960, 2006)}-{who.randrange(1, 13):02d}-{who.randrange(1, 29):02d}"
    orders = who.randrange(0, 25)
    spent = Decimal(orders * who.randrange(90, 900) * 1000)
    company = f"Công ty TNHH {family} {given.rsplit(maxsplit=1)[-1]}" if who.random() < 0.05 else None

    how = rng("person", seed, key, side)
    if how.random() < 0.15:
        family, given, address = plain(family), plain(given), plain(address)
    if how.random() < 0.08:
        family, given = family.upper(), given.upper()
    phone = messy_phone(how, mobile) if has_phone and how.random() < 0.96 else None
    if how.random() < 0.02:
        phone = how.choice(FILLERS)
    if how.random() < 0.1:
        email = email.upper() if how.random() < 0.5 else email.replace("@", "1@")
    return Person(
        id=number,
        given=given,
        family=family,
        phone=phone,
        email=email if has_email and how.random() < 0.85 else None,
        address=address if how.random() < 0.9 else None,
        city=city,
        gender=(2 if female else 1) if how.random() < 0.8 else None,
        birthday=birthday if how.random() < 0.4 else None,
        points=orders * 3,
        orders=orders if side == "nhanh" else how.randrange(0, 12),
        spent=spent if side == "nhanh" else Decimal(how.randrange(0, 12) * 250_000),
        company=company,
        truth=key,
        updated_at=FIRST_DAY + how.randrange(0, 300 * 86_400),
    )


def people(side: str, wanted: int, seed: int) -> list[Person]:
    """`wanted` customers of one side: 85 of 100 are known to the other side as well, when it wants as many."""
    shared = round(wanted * 0.85)
    keys = [f"c{i}" for i in range(shared)] + [f"{side}{i}" for i in range(wanted - shared)]
    rng("people", seed, side).shuffle(keys)
    first, step = (4_100_000, 3) if side == "nhanh" else (7_300_000_000_000, 32_768)
    return [_person(seed, key, first + place * step, side) for place, key in enumerate(keys)]
