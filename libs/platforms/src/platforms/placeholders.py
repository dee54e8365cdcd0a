"""Names and e-mail addresses that stand for nobody: what a till fills in where a buyer gives none."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from platforms.company_names import distinctive_words
from platforms.spelling import (
    accents,
    is_initial,
    is_spelled,
    letter_words,
    spellings,
    visible,
    without_accents,
    word_set,
)

_BUYER: Final = word_set(
    "khach khachle khachhang khachvanglai khachmoi khachonline kh guest guests customer customers cust client",
    "khachla khachquen khachsi vanglai walkincustomer retailcustomer cashcustomer",
    "buyer buyers shopper user users member visitor anonymous anon unknown unnamed noname demo dummy fake sample",
)
"""Folded words that name a buyer without saying who. A placeholder of several words has one of them or a channel."""

_CHANNEL: Final = word_set(
    "facebook fb messenger zalo shopee lazada tiktok tiktokshop tiki sendo instagram ig insta livestream live",
    "online onl offline web website app pos shop store sdt dt tel phone mobile hotline email mail",
)
"""Where a buyer came from, or the label of a contact."""

_QUALIFIER: Final = {
    word: frozenset(accents(spelling) for spelling in variants.split("|"))
    for variants in word_set(
        "lẻ|lẽ hàng vãng|vảng lai mới cũ quen sỉ|sĩ buôn vip nữ lạ thường ngoài nước tây sàn tmđt qua đường tại quầy",
        "quán cửa tiệm mua bán đặt đơn từ trên mạng trực tuyến của người dùng nhận số điện thoại không chưa có tên",
        "walk in walkin new old cash retail wholesale default first last name no id",
    )
    for word in {without_accents(spelling) for spelling in variants.split("|")}
}
"""Words that say something of a buyer but not who it is, by their folded form, with the accents of their spellings.

Many are names as well: Lê, Hằng, Mới. So a word that is written with accents must have these."""

_LONG: Final = 6  # letters; a shorter phrase written as one word may be a name: N/A and Na
_WORDINGS: Final = (
    *("n a", "null", "none", "nil", "nan", "undefined", "not available", "not provided", "not given", "no name"),
    *("name", "first name", "last name", "full name", "firstname", "lastname", "fullname", "your name"),
    *("firstname lastname", "first last", "first name last name", "walk in", "to be updated", "sir madam"),
    *("admin", "administrator", "system", "owner", "staff", "cashier", "nhân viên", "thu ngân", "cửa hàng"),
    *("không", "không có", "không tên", "khôngtên", "không có tên", "không rõ", "không rõ tên", "không biết"),
    *("không biết tên", "không để tên", "không cho tên", "không nhớ tên", "ko tên", "ko có tên", "k có tên"),
    *("k tên", "chưa có", "chưa tên", "chưa có tên", "chưa đặt tên", "chưa rõ", "chưa rõ tên", "chưa biết"),
    *("chưa biết tên", "chưa cập nhật", "đang cập nhật", "cập nhật sau", "vô danh", "ẩn danh", "người lạ"),
    *("người mua", "người mua hàng", "người nhận", "người nhận hàng", "người dùng", "người gửi", "thành viên"),
    *("người tiêu dùng", "bán lẻ", "mua lẻ", "tên", "họ tên", "họ và tên", "tên người nhận", "tên người mua"),
    *("abc", "abcd", "abcxyz", "xyz", "asd", "asdf", "asdfgh", "qwe", "qwer", "qwerty", "zxc", "zxcv", "blabla"),
    *("khách ẩn danh", "khách vô danh", "người dùng ẩn danh", "người mua ẩn danh"),
    *("mr", "mrs", "ms", "miss", "mister", "madam", "sir", "walkin", "retail", "cash", "cod", "ship"),
    *("shipper", "default"),
)
_PHRASES: Final = spellings(
    *_WORDINGS, *(glued for wording in _WORDINGS if len(glued := wording.replace(" ", "")) >= _LONG)
)
"""Whole names that hold no word of a buyer or a channel, also written as one word: Võ Danh is somebody."""

_TITLES: Final = frozenset({"chị", "cô", "chú", "bác", "ông", "bà", "thím", "dì", "cậu", "mợ"})
"""Forms of address that no one is called by, as they are written: `chi` without its accent may be Chi."""

_TEST: Final = frozenset({"test", "tester", "testing"})
_MASKED = re.compile(r"[*•●]{2,}|\w[*•●]\w")
_ADDRESS = re.compile(r".+(?:@|://).+|www\..+", re.IGNORECASE)
_SIGNS_OF_ADDRESSES = ("@", "://", "www.")
_NOBODY: Final = word_set(
    "noemail nomail noreply donotreply none null unknown undefined test tester khach khachle khachhang khong",
    "khongco khongcoemail khongemail guest customer anonymous abc a aa aaa xxx",
)


@lru_cache(maxsize=4096)
def without_addresses(name: str | None) -> str:
    """A name in compatibility form without the e-mail addresses and links in it."""
    text = unicodedata.normalize("NFKC", visible(name))
    if not any(sign in text.lower() for sign in _SIGNS_OF_ADDRESSES):
        return text
    return " ".join(word for word in text.split() if not _ADDRESS.fullmatch(word))


@lru_cache(maxsize=65_536)
def is_placeholder_name(name: str | None) -> bool:
    """Whether a name says nothing about who a customer is, so that it is never written and never compared.

    True for nothing at all; words for any buyer ("Khách lẻ 12", "Shopee buyer 123"); a number, a phone number, an
    e-mail address or a link; fewer than two letters; one letter again and again ("xxx"); a name that a marketplace
    has masked ("N***n"); the form of a company without its name ("Công ty TNHH"); and every name with the word
    "test". Case makes no difference, and accents only where they make a name of a word ("Khách Hằng"). A name with
    something more in it ("Khách Lan", "Khách sạn Mường Thanh") is one.
    """
    text = without_addresses(name)
    if _MASKED.search(text):
        return True
    written = letter_words(text)
    plain = [without_accents(word) for word in written]
    letters = "".join(plain)
    if not letters or _TEST.intersection(plain):
        return True
    if len(set(letters)) == 1 and is_initial(letters[0]):
        return True
    if is_spelled(_PHRASES, written, plain) or (len(set(plain)) == 1 and is_spelled(_PHRASES, written[:1], plain[:1])):
        return True
    return _addresses_only(written) or _means_any_buyer(written, plain) or distinctive_words(written, plain) == ()


def is_placeholder_email(address: str) -> bool:
    """Whether an address in lower case was typed only to fill the field: khachle@gmail.com."""
    local, _, domain = address.partition("@")
    bare = re.sub(r"[^a-z0-9]", "", without_accents(local))
    unnumbered = bare.rstrip("0123456789")
    nobody = bare in _NOBODY or (len(unnumbered) >= 4 and unnumbered in _NOBODY)
    return nobody or domain.rpartition(".")[2] in {"invalid", "test", "local"}


def _addresses_only(written: Sequence[str]) -> bool:
    """Anh/Chị is nobody, Chị Anh is called Anh."""
    lower = [word.casefold() for word in written]
    if not _TITLES.issuperset(lower[-1:]) and lower[:2] != ["anh", "chị"]:
        return False
    return _TITLES.union({"anh", "em"}).issuperset(lower)


def _means_any_buyer(written: Sequence[str], plain: Sequence[str]) -> bool:
    if not any(word in _BUYER or word in _CHANNEL for word in plain):
        return False
    return all(
        len(folded) == 1 or folded in _BUYER or folded in _CHANNEL or _is_qualifier(word, folded)
        for word, folded in zip(written, plain, strict=True)
    )


def _is_qualifier(word: str, folded: str) -> bool:
    return folded in _QUALIFIER and (not accents(word) or accents(word) in _QUALIFIER[folded])
