"""Which of two forms of a customer's name, the hub's or the shop's, a shop should hold."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from platforms.field_names import NAME
from platforms.person_names import called_by, count_titles, is_contained
from platforms.placeholders import is_placeholder_name
from platforms.spelling import accents, is_initial, letter_words, tidy, without_accents
from syncer.domain.fields import key_of

LONGEST_NAME: Final = 255


def name_to_write(hub: str | None, shop: str | None) -> str | None:
    """The hub's name if the shop should hold it, else None: it is no name, or the shop's form of it says more.

    The shop's form says more if the words are the same and it has accents that the hub's lacks, or the same accents
    and a case other than all small or all capital; if the hub has initials where the shop has words; and if the hub
    has only the given name. What the shop holds already is returned as the hub has it, not None.
    """
    if is_placeholder_name(hub):
        return None
    name = tidy(hub)[:LONGEST_NAME].rstrip()
    if is_placeholder_name(shop) or key_of(NAME, name) == key_of(NAME, tidy(shop)):
        return name
    return None if _says_more(letter_words(shop), letter_words(hub)) else name


def _says_more(shop: Sequence[str], hub: Sequence[str]) -> bool:
    theirs = sorted(shop, key=_sorting)
    ours = sorted(hub, key=_sorting)
    if _plain(theirs) != _plain(ours):
        return _hub_shortens(shop, hub)
    if any(not _has_accents_of(mine, yours) for mine, yours in zip(ours, theirs, strict=True)):
        return False
    if any(accents(mine) != accents(yours) for mine, yours in zip(ours, theirs, strict=True)):
        return True
    return _capitalised(theirs) >= _capitalised(ours)


def _hub_shortens(shop: Sequence[str], hub: Sequence[str]) -> bool:
    """Whether the hub's name is the shop's with a form of address, with initials, or the given name of it alone."""
    known = {without_accents(word): word for word in shop}
    for ours in ([*hub], [*hub][count_titles(_plain(hub)) :]):
        if not ours or len(ours) > len(shop) or not is_contained(_plain(ours), _plain(shop)):
            continue
        full = [word for word in ours if not is_initial(word)]
        if any(
            without_accents(word) not in known or not _has_accents_of(word, known[without_accents(word)])
            for word in full
        ):
            continue
        if len(ours) == len(shop):
            return True
        if len(ours) == 1 and without_accents(ours[0]) in called_by(_plain(shop)):
            return True
    return False


def _plain(name: Sequence[str]) -> list[str]:
    return [without_accents(word) for word in name]


def _sorting(word: str) -> tuple[str, tuple[str, ...]]:
    return without_accents(word), accents(word)


def _has_accents_of(word: str, other: str) -> bool:
    """Whether `other` has every accent of `word`."""
    return not Counter(accents(word)) - Counter(accents(other))


def _capitalised(name: Sequence[str]) -> int:
    """How many words begin with a capital and go on with small letters."""
    return sum(len(word) > 1 and word[0].isupper() and word[1:] != word[1:].upper() for word in name)
