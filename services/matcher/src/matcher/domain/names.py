"""Names of people: whether two of them can be one person's. Any order, accents ignored, initials allowed."""

import re
import unicodedata
from functools import lru_cache
from typing import Literal

from matcher.domain.text import plain, visible

Verdict = Literal["agree", "compatible", "silent", "differ"]
"""`agree`: two full words or more are the same; `compatible`: what is there fits; `silent`: one is no name."""

_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
_ADDRESS = re.compile(r"\S+@\S+|https?://\S+|www\.\S+")
_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_TITLES = frozenset(
    {
        *("anh", "chi", "co", "chu", "em", "bac", "ong", "ba", "di", "cau", "mo", "thim", "be", "me", "bo", "cu"),
        *("mr", "mrs", "ms", "miss", "mister", "sir", "madam", "dr", "bs", "ks", "ths", "ts", "gs"),
        *("a", "c", "e", "o", "b"),
    }
)
"""Forms of address, and their first letters. Some are given names too, so they are only left out where it helps."""
_COMPANY = frozenset(
    {
        *("cty", "ctcp", "cttnhh", "tnhh", "mtv", "cp", "jsc", "ltd", "llc", "inc", "corp", "co", "company", "limited"),
        *("shop", "store", "cuahang", "dntn", "hkd", "xnk", "tm", "dv", "sx", "group"),
    }
)
_COMPANY_PHRASES = (
    *("cong ty", "cua hang", "doanh nghiep", "tu nhan", "co phan", "dai ly", "thuong mai", "dich vu", "mot thanh vien"),
    *("trach nhiem huu han", "san xuat", "xuat nhap khau", "ho kinh doanh", "nha thuoc", "tap hoa", "chi nhanh"),
)
_NOBODY = frozenset(
    {
        *(
            "khach",
            "khachle",
            "khachhang",
            "khachvanglai",
            "khachmoi",
            "khachquen",
            "khachsi",
            "khachonline",
            "kh",
            "kl",
        ),
        *("vanglai", "khachla", "khongten", "khongcoten", "khongco", "khong", "chuaco", "chuacoten", "chuabiet"),
        *("ten", "hoten", "hovaten", "nguoimua", "nguoinhan", "nguoidung", "andanh"),
        *("guest", "customer", "client", "buyer", "user", "unknown", "anonymous", "noname", "name", "fullname"),
        *("none", "null", "nil", "na", "nan", "undefined", "test", "tester", "testing", "demo", "default", "admin"),
        *("firstname", "lastname", "walkin", "walkincustomer", "retailcustomer", "retail", "cash", "cashcustomer"),
        *("zalo", "facebook", "fb", "shopee", "lazada", "tiki", "tiktok", "tiktokshop", "sendo", "instagram", "web"),
        *("website", "online", "offline", "pos", "ship", "shipper", "cod", "mr", "mrs", "ms", "co", "chu", "em", "ong"),
    }
)
"""Squashed texts that name nobody; no word that is a given name or a surname as well."""
_GENERIC = frozenset(
    {
        *(
            "khach",
            "hang",
            "le",
            "vang",
            "lai",
            "quen",
            "moi",
            "si",
            "la",
            "online",
            "web",
            "website",
            "facebook",
            "fb",
        ),
        *("shopee", "lazada", "tiki", "tiktok", "zalo", "guest", "customer", "buyer", "client", "user", "unknown"),
        *("walk", "in", "retail", "cash", "khong", "ten", "co", "chua", "nguoi", "mua", "nhan", "dung", "an", "danh"),
        *("no", "name"),
    }
)
"""Words of which a placeholder is made up."""
_KEY = frozenset({"khach", "guest", "customer", "buyer", "client", "user", "unknown", "ten", "name", "nguoi", "walk"})
"""A name made up of generic words alone is a placeholder if it has one of these."""


def is_placeholder(name: str | None) -> bool:
    """Whether a name says nothing of whose it is: empty, a number, one letter, "Khách lẻ", "Guest"."""
    return not _tokens(name)


def compare(one: str | None, other: str | None) -> Verdict:
    """What two names say of whether they are one person's (or one company's)."""
    ours, theirs = _tokens(one), _tokens(other)
    if not ours or not theirs:
        return "silent"
    if _glued(ours, theirs):
        return "agree"
    best: Verdict = "differ"
    for left in _variants(ours):
        for right in _variants(theirs):
            verdict = _fit(left, right)
            if verdict == "agree":
                return "agree"
            if verdict == "compatible":
                best = verdict
    return best


@lru_cache(maxsize=65_536)
def _tokens(name: str | None) -> tuple[str, ...]:
    text = _ASIDE.sub(" ", _ADDRESS.sub(" ", visible(name)))
    text = text if len(text.split()) > 1 else _HUMP.sub(" ", text)  # NguyenVanNam
    found = [plain(word) for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]
    spoken = " ".join(found)
    for phrase in _COMPANY_PHRASES:
        spoken = re.sub(rf"\b{phrase}\b", " ", spoken)
    kept = [word for word in spoken.split() if word not in _COMPANY or len(found) == 1]
    bare = "".join(kept)
    if len(bare) < 2 and bare.isascii():
        return ()
    if bare in _NOBODY or (len(set(bare)) == 1 and bare.isascii()):
        return ()
    if _KEY & set(kept) and _GENERIC.issuperset(kept):
        return ()
    return tuple(kept)


def _variants(tokens: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words with and without a form of address in front."""
    if len(tokens) > 1 and tokens[0] in _TITLES:
        return [tokens, *_variants(tokens[1:])]
    return [tokens]


def _glued(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """NguyenVanNam is Nguyễn Văn Nam."""
    return len(ours) != len(theirs) and min(len(ours), len(theirs)) == 1 and "".join(ours) == "".join(theirs)


def _fit(left: tuple[str, ...], right: tuple[str, ...]) -> Verdict:
    short, long = sorted((left, right), key=len)
    rest, full = list(long), 0
    # Full words first, so that an initial does not take the word that another one needs.
    open_words: list[str] = []
    for word in short:
        if word in rest:
            rest.remove(word)
            full += len(word) > 1
        else:
            open_words.append(word)
    for word in open_words:
        found = next((other for other in rest if _initial(word, other)), None)
        if found is None:
            return "differ"
        rest.remove(found)
    if not full and len(short) < 2:
        return "differ"  # one letter that fits says nothing
    return "agree" if full >= 2 else "compatible"


def _initial(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) == 1 and long.startswith(short)
