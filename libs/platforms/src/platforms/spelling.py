"""Forms of a text: without invisible characters for writing, its words without accents for comparing."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

Spellings = Mapping[str, tuple[tuple[str, ...], ...]]
"""Phrases without accents -> the accents of each of their words."""

_FORMAT = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
"""Soft hyphen, zero-width space, marks of direction, word joiner, byte order mark, annotations."""
_INVISIBLE = re.compile(f"[{_FORMAT}]")
_INVISIBLE_OR_JOINER = re.compile(f"[{_FORMAT}\u200c\u200d]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’ʼ](?=[^\W\d_])")
_WORD = re.compile(r"[^\W\d_]+")
_BARRED_D = str.maketrans("đðɖ", "ddd")
"""`đ`, and the two letters whose capitals look like `Đ` and are typed for it. None of them can be decomposed."""
_RECENT = 4096  # one text is looked at several times in a row
_WORDS = 65_536
_LONGEST_WORD = 32  # longer texts are seldom the same again


def word_set(*lines: str) -> frozenset[str]:
    """The words of a table that is written as lines of text."""
    return frozenset(word for line in lines for word in line.split())


@lru_cache(maxsize=_RECENT)
def tidy(text: str | None) -> str:
    """The text as it is written to a platform: NFC, single spaces, no invisible characters; "" for None.

    Joiners stay: an emoji of several parts and some scripts need them.
    """
    return _spaced(_INVISIBLE.sub("", text or ""))


def visible(text: str | None) -> str:
    """The text as it is compared: as `tidy`, without joiners either."""
    return _spaced(_INVISIBLE_OR_JOINER.sub("", text or ""))


def without_accents(text: str) -> str:
    """Case folded, in compatibility form and without accents; `đ` becomes `d`. Other characters stay."""
    if text.isascii():
        return text.lower()
    return _word_without_accents(text) if len(text) <= _LONGEST_WORD else _fold(text)


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char)).translate(_BARRED_D)


_word_without_accents = lru_cache(maxsize=_WORDS)(_fold)


@lru_cache(maxsize=_RECENT)
def letter_words(text: str | None) -> tuple[str, ...]:
    """The words of a text as they are written (NFKC): letters only, so digits and punctuation part them.

    An apostrophe inside a word belongs to it: H'Lan is one word.
    """
    joined = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", visible(text)))
    return tuple(_WORD.findall(joined))


@lru_cache(maxsize=_WORDS)
def accents(word: str) -> tuple[str, ...]:
    """The accents of a word, sorted: `hoà` and `hòa`, which put one accent on different letters, are equal."""
    if word.isascii():
        return ()
    decomposed = unicodedata.normalize("NFD", word.casefold())
    marks = [char for char in decomposed if unicodedata.combining(char)]
    return tuple(sorted(marks + ["đ" for char in decomposed if char in "đðɖ"]))


def is_initial(word: str) -> bool:
    """Whether a word is one letter that stands for more. In a script without case one character, as 王, is a word."""
    return len(word) == 1 and unicodedata.category(word) != "Lo"


def spellings(*phrases: str) -> Spellings:
    """A table of phrases for `is_spelled`."""
    return {without_accents(phrase): tuple(accents(word) for word in phrase.split()) for phrase in phrases}


def is_spelled(table: Spellings, written: Sequence[str], plain: Sequence[str]) -> bool:
    """Whether words are a phrase of the table: the same letters, and each word with all of its accents or none.

    `plain` are the words without accents.
    """
    found = table.get(" ".join(plain))
    if found is None or len(found) != len(written):
        return False
    return all(not accents(word) or accents(word) == spelling for word, spelling in zip(written, found, strict=True))


def _spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", _CONTROL.sub(" ", text)).split())
