"""Names and e-mail addresses that stand for nobody: what a till fills in where a buyer gives none."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from syncer.domain.spelling import accents, fold, tidy, word_set, words

_BUYER: Final = word_set(
    "khach khachle khachhang khachvanglai khachmoi khachonline kh guest guests customer customers cust client",
    "buyer buyers shopper user users member visitor anonymous anon unknown unnamed noname demo dummy fake sample",
)
"""Folded words that name a buyer without saying who. A placeholder of several words has one of them or a channel."""

_CHANNEL: Final = word_set(
    "facebook fb messenger zalo shopee lazada tiktok tiktokshop tiki sendo instagram ig insta livestream live",
    "online onl offline web website app pos shop store sdt dt tel phone mobile hotline email mail",
)
"""Where a buyer came from, or the label of a contact."""

_QUALIFIER: Final = {
    word: frozenset(accents(spelling) for spelling in spellings.split("|"))
    for spellings in word_set(
        "lẻ|lẽ hàng vãng|vảng lai mới cũ quen sỉ|sĩ buôn vip nữ lạ thường ngoài nước tây sàn tmđt qua đường tại quầy",
        "quán cửa tiệm mua bán đặt đơn từ trên mạng trực tuyến của người dùng nhận số điện thoại không chưa có tên",
        "walk in walkin new old cash retail wholesale default first last name no id",
    )
    for word in {fold(spelling) for spelling in spellings.split("|")}
}
"""Words that say something of a buyer but not who it is, by their folded form, with the accents of their spellings.

Many are names as well: Lê, Hằng, Mới. So a word that is written with accents must have these."""

_PHRASES: Final = {
    fold(phrase): tuple(accents(word) for word in phrase.split())
    for phrase in (
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
    )
}
"""Whole names that hold no word of a buyer or a channel, folded, with their accents, as for qualifiers: Võ Danh is
somebody."""

_TITLES: Final = frozenset({"chị", "cô", "chú", "bác", "ông", "bà", "thím", "dì", "cậu", "mợ"})
"""Forms of address that no one is called by, as they are written: `chi` without its accent may be Chi."""

_TEST: Final = frozenset({"test", "tester", "testing"})
_MASKED = re.compile(r"[*•●]{2,}|\w[*•●]\w")
_ADDRESS = re.compile(r"\S+(?:@|://)\S+")
_NOBODY: Final = word_set(
    "noemail nomail noreply donotreply none null unknown undefined test tester khach khachle khachhang khong",
    "khongco khongcoemail khongemail guest customer anonymous abc a aa aaa xxx",
)


@lru_cache(maxsize=4096)
def is_placeholder_name(name: str | None) -> bool:
    """Whether a name says nothing about who a customer is, so that it is never written.

    True for nothing at all; words for any buyer ("Khách lẻ 12", "Shopee buyer 123"); a number, a phone number, an
    e-mail address or a link; fewer than two letters; one letter again and again ("xxx"); a name that a marketplace
    has masked ("N***n"); and every name with the word "test". Case makes no difference, and accents only where they
    make a name of a word ("Khách Hằng"). A name with something more in it ("Khách Lan", "Khách sạn Mường Thanh") is
    one.
    """
    text = unicodedata.normalize("NFKC", tidy(name))
    if _ADDRESS.fullmatch(text) or _MASKED.search(text):
        return True
    written = words(text)
    folded = [fold(word) for word in written]
    letters = "".join(folded)
    if len(letters) < 2 or len(set(letters)) == 1 or _TEST.intersection(folded):
        return True
    if _is_phrase(written, folded) or (len(set(folded)) == 1 and _is_phrase(written[:1], folded[:1])):
        return True
    return _addresses_only(written) or _means_any_buyer(written, folded)


def is_placeholder_email(address: str) -> bool:
    """Whether an address in lower case was typed only to fill the field: khachle@gmail.com."""
    local, _, domain = address.partition("@")
    bare = re.sub(r"[^a-z0-9]", "", fold(local))
    unnumbered = bare.rstrip("0123456789")
    nobody = bare in _NOBODY or (len(unnumbered) >= 4 and unnumbered in _NOBODY)
    return nobody or domain.rpartition(".")[2] in {"invalid", "test", "local"}


def _is_phrase(written: Sequence[str], folded: Sequence[str]) -> bool:
    phrase = _PHRASES.get(" ".join(folded))
    return phrase is not None and all(
        not accents(word) or accents(word) == spelling for word, spelling in zip(written, phrase, strict=True)
    )


def _addresses_only(written: Sequence[str]) -> bool:
    lower = {word.casefold() for word in written}
    return bool(lower & _TITLES) and lower <= _TITLES | {"anh", "em"}


def _means_any_buyer(written: Sequence[str], folded: Sequence[str]) -> bool:
    if not any(word in _BUYER or word in _CHANNEL for word in folded):
        return False
    return all(
        len(plain) == 1 or plain in _BUYER or plain in _CHANNEL or _is_qualifier(word, plain)
        for word, plain in zip(written, folded, strict=True)
    )


def _is_qualifier(word: str, plain: str) -> bool:
    return plain in _QUALIFIER and (not accents(word) or accents(word) in _QUALIFIER[plain])
