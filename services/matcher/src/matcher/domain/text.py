"""Texts as they compare: words with and without accents; and the tokens that tell products apart."""

import re
import unicodedata
from functools import lru_cache

from platforms.spelling import visible, without_accents

_WORD = re.compile(r"[a-z0-9]+")
_ANY_WORD = re.compile(r"[^\W_]+")
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
"""Vietnamese tone marks, decomposed: a word has one at most, and its place within the word is a matter of taste."""
_CODE = re.compile(r"[A-Za-z0-9]+(?:[-/.][A-Za-z0-9]+)*")
_APOSTROPHE = re.compile(r"(?<=[^\W\d])['’](?=s\b)")
_TAG = re.compile(r"<[^>]{0,200}>")
_SIZES = frozenset({"xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"})
_MEASURE = re.compile(r"\b(\d+) ?(tb|gb|mb|ml|l|kg|g|mg|cm|mm|m|w|mah|inch)\b")
_NO_VARIANT = frozenset({"", "default title", "default"})
"""Shopify calls the only variant of a product "Default Title"."""


def fold(text: str | None) -> str:
    """Casefolded words without accents, one space between them; `đ` is `d`."""
    if not text:
        return ""
    return " ".join(_WORD.findall(without_accents(_APOSTROPHE.sub("", text.casefold()))))


def words(text: str | None) -> list[str]:
    """Casefolded words of any script with their accents, each tone mark at the end of its word.

    So `hòa` and `hoà`, which are two spellings of one word, are equal; `bò`, `bơ` and `bó` are not.
    """
    return [_tone_last(word) for word in _ANY_WORD.findall(unicodedata.normalize("NFC", visible(text).casefold()))]


def same_words(one: str | None, other: str | None) -> bool:
    """Whether two names are the same words, accents counted, in any order; never for empty names."""
    ours = sorted(words(one))
    return bool(ours) and ours == sorted(words(other))


@lru_cache(maxsize=65_536)
def _tone_last(word: str) -> str:
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word)
    tones = "".join(c for c in decomposed if c in _TONES)
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if c not in _TONES)) + tones


def compact(text: str | None) -> str:
    """Only the letters and digits, upper case: how codes are compared."""
    return fold(text).replace(" ", "").upper()


def without_markup(text: str | None) -> str:
    """A description without its HTML tags."""
    return _TAG.sub(" ", text) if text else ""


def full_name(title: str | None, variant_title: str | None) -> str:
    """A product's title with what tells this variant from its siblings."""
    if fold(variant_title) in _NO_VARIANT or fold(variant_title) in fold(title):
        return title or ""
    return f"{title or ''} {variant_title}".strip()


@lru_cache(maxsize=65_536)
def model_numbers(text: str) -> frozenset[str]:
    """Tokens that look like a maker's model number: letters with digits from 4 characters on, digits from 5 on.

    "Sony Turntable - PSLX350H" gives PSLX350H; hyphens inside a code do not count.
    """
    found: set[str] = set()
    for word in _CODE.findall(text):
        code = compact(word)
        digits = sum(c.isdigit() for c in code)
        if (len(code) >= 4 and 0 < digits < len(code)) or (len(code) >= 5 and digits == len(code)):
            found.add(code)
    return frozenset(found)


@lru_cache(maxsize=65_536)
def distinctions(name: str) -> frozenset[str]:
    """The words of a folded name that tell siblings apart: short numbers with or without a unit, and clothes' sizes.

    Longer codes are model numbers and judged as such.
    """
    codes = model_numbers(name)
    return frozenset(
        word
        for word in name.split()
        if word in _SIZES or (any(c.isdigit() for c in word) and word.upper() not in codes)
    )


@lru_cache(maxsize=65_536)
def measures(name: str) -> frozenset[str]:
    """Numbers with a unit and clothes' sizes of a folded name: "64gb", "500ml", "xl"."""
    sizes = {word for word in name.split() if word in _SIZES}
    return frozenset(sizes.union(number + unit for number, unit in _MEASURE.findall(name)))
