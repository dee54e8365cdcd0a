"""Search text in the form of stored text: without accents, in lower case, with single blanks."""

import re
from unicodedata import normalize

# As in the SQL functions `search_folded`: accents of Latin, Greek and Cyrillic letters, and invisible characters.
_DROPPED = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_LETTERS = str.maketrans("đðøłħıς", "ddolhiσ")
_BLANKS = re.compile("[\t\n\v\f\r \u0085\u1680\u2028\u2029]+")
_PHONE = re.compile(r"[+(]*\d[\d ().-]{6,}")
_TRIGRAM = re.compile("[a-z0-9]{3}")


def fold(text: str) -> str:
    """`text` without accents and invisible characters, in lower case, with single blanks."""
    bare = _DROPPED.sub("", normalize("NFKD", text)).lower()
    # Lower case may take a letter apart once more: İ.
    return _BLANKS.sub(" ", _DROPPED.sub("", bare).translate(_LETTERS))


def search_forms(text: str | None) -> tuple[str, ...]:
    """What to look for in folded text: any of these. Empty: `text` holds nothing that can be looked for.

    A blank at an end is kept: it stands for the end of a word. A number typed in groups is also looked for as one.
    """
    words = fold(text or "")
    if not words.strip():
        return ()
    together = re.sub(r"[ ().-]", "", words)
    return (words, together) if _PHONE.fullmatch(words.strip()) and together != words else (words,)


def has_trigram(form: str) -> bool:
    """Whether an index of trigrams narrows the search, whatever the database takes for a letter: three in a row."""
    return _TRIGRAM.search(form) is not None


def like_pattern(form: str) -> str:
    """The LIKE pattern of texts that hold `form`; its own wildcards are literal."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", form) + "%"
