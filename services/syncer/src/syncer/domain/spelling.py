"""One spelling of a text: NFC without invisible characters for writing, folded words for comparing."""

import re
import unicodedata
from functools import lru_cache

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"))
"""Soft hyphen, zero-width space, marks of direction, line separators, word joiner, byte order mark."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’ʼ](?=[^\W\d_])")
_RECENT = 4096  # one text is looked at several times in a row
_WORD = re.compile(r"[^\W\d_]+")


def word_set(*lines: str) -> frozenset[str]:
    """The words of a table that is written as lines of text."""
    return frozenset(word for line in lines for word in line.split())


@lru_cache(maxsize=_RECENT)
def tidy(text: str | None) -> str:
    """The text in NFC with single spaces and nothing invisible in it; "" for None."""
    visible = _CONTROL.sub(" ", (text or "").translate(_INVISIBLE))
    return " ".join(unicodedata.normalize("NFC", visible).split())


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Case folded and without accents; `đ` becomes `d`. Other characters stay."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


@lru_cache(maxsize=_RECENT)
def words(text: str | None) -> tuple[str, ...]:
    """The words of a text as they are written (NFC): letters only, so digits and punctuation part them.

    An apostrophe inside a word belongs to it: H'Lan is one word.
    """
    joined = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", tidy(text)))
    return tuple(_WORD.findall(joined))


@lru_cache(maxsize=65_536)
def accents(word: str) -> tuple[str, ...]:
    """The accents of a word, sorted: `hoà` and `hòa`, which put one accent on different letters, are equal."""
    marks = [char for char in unicodedata.normalize("NFD", word.casefold()) if unicodedata.combining(char)]
    return tuple(sorted(marks + ["đ"] * word.casefold().count("đ")))
