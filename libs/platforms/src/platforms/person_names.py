"""Names of persons and companies: whether two of them can be one customer's.

Vietnamese names begin with the family name and people are called by the last word; a shop's first and last name may
come in either order.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from platforms.company_names import distinctive_words
from platforms.placeholders import is_placeholder_name, without_addresses
from platforms.spelling import is_initial, letter_words, without_accents, word_set

Verdict = Literal["agree", "compatible", "silent", "differ"]
"""`agree`: two full words or more are the same; `compatible`: what is there fits; `silent`: one is no name."""

_TITLES: Final = word_set(
    "anh chi co chu em bac ong ba thim di cau mo be me bo cu khach kh",
    "mr mrs ms miss mister sir madam dr bs ts ths ks gs a c e o b",
)
"""Forms of address without accents, and their first letters. Some are names too: a name is compared with and without
them."""

_ONLY_FAMILIES: Final = word_set("nguyen tran pham huynh phan vo dang bui ngo dinh trinh truong doan luu")
"""Family names, without accents, that are hardly ever given names."""

_FAMILIES: Final = _ONLY_FAMILIES | word_set(
    "le hoang vu do ho duong ly luong trieu ha mai to ta cao dao lam la chu quach thai tang vuong phung kieu"
)
_MIDDLE: Final = frozenset({"van", "thi"})
"""The second words of most men's and women's names."""
_OPENING: Final = frozenset("([{")
_MOST_WORDS = 64  # of a name that are compared; a platform takes 255 characters
_MOST_TITLES = 3  # that one name can begin with


class _Name(NamedTuple):
    """`forms`: the words without accents, in every way that the name can be read; more than one may fit."""

    forms: tuple[tuple[str, ...], ...]
    is_company: bool


def same_person(one: str | None, other: str | None) -> bool:
    """Whether two names can be of one customer. A placeholder and a missing name contradict nobody."""
    return compare(one, other) != "differ"


def compare(one: str | None, other: str | None) -> Verdict:
    """What two names say of whether they are of one customer; the same in either order of the two.

    Words of a person's name count in any order, without accents and case; an initial stands for a word; words may be
    written as one; forms of address, digits and what stands in brackets are left out. A shorter name is of the same
    person if all of it is in the longer one and it is called alike: "Lan" and "Nguyễn Thị Lan", but not "Nguyễn Lan"
    and "Nguyễn Lan Anh". Of a company all words but its form must be the same, in this order.
    """
    if is_placeholder_name(one) or is_placeholder_name(other):
        return "silent"
    ours, theirs = _read(one or ""), _read(other or "")
    fit = _fit_companies if ours.is_company or theirs.is_company else _fit_persons
    found: set[Verdict] = {fit(left, right) for left in ours.forms for right in theirs.forms}
    return "agree" if "agree" in found else "compatible" if "compatible" in found else "differ"


def is_contained(shorter: Sequence[str], longer: Sequence[str]) -> bool:
    """Whether each word of the shorter name has a word of its own in the longer one; both without accents."""
    return _common_words(shorter, longer) is not None


def called_by(name: Sequence[str]) -> set[str]:
    """The words that a person may be called by: the last one, or the one before a family name at the end.

    A family name alone is nobody's given name. Words without accents.
    """
    if len(name) == 1:
        return set(name) - _ONLY_FAMILIES
    first, last = _family_rank(name[0]), _family_rank(name[-1])
    if first < last:
        given = [*name[:-1]]
        while len(given) > 1 and given[-1] in _MIDDLE:  # Nam Văn Nguyễn is Nguyễn Văn Nam
            given.pop()
        return {given[-1]}
    if first > last or (first and len(name) > 2):
        return {name[-1]}
    return {name[-1], name[-2], *({name[0]} - _TITLES)}


def _family_rank(word: str) -> int:
    """2: a family name, 1: a family name or a given name, 0: no family name."""
    return (word in _FAMILIES) + (word in _ONLY_FAMILIES)


def count_titles(name: Sequence[str]) -> int:
    """The number of words before a name, without accents, that can be forms of address. One word always remains."""
    count = 0
    while count < min(len(name) - 1, _MOST_TITLES) and name[count] in _TITLES:
        count += 1
    return count


@lru_cache(maxsize=65_536)
def _read(name: str) -> _Name:
    text = _without_brackets(without_addresses(name))
    written = letter_words(text)[:_MOST_WORDS]
    plain = tuple(without_accents(word) for word in written)
    company = distinctive_words(written, plain)
    if company is not None:
        return _Name((company,), is_company=True)
    forms = [plain]
    parted = tuple(without_accents(part) for word in written for part in _part_humps(word))[:_MOST_WORDS]
    if parted != plain:
        forms.append(parted)
    return _Name(
        tuple(dict.fromkeys(form[start:] for form in forms for start in _starts(form))),
        is_company=False,
    )


def _without_brackets(text: str) -> str:
    """The text outside of brackets; all of it if there is no name outside."""
    if not _OPENING.intersection(text):
        return text
    kept, depth = "", 0
    for char in text:
        depth += char in _OPENING
        kept += char if depth == 0 else " "
        depth -= char in ")]}" and depth > 0
    return text if is_placeholder_name(kept) else kept


def _part_humps(word: str) -> list[str]:
    """NguyenVanNam is Nguyen Van Nam."""
    if word[1:] == word[1:].lower() or word.isupper():
        return [word]
    starts = [0, *(at for at in range(1, len(word)) if word[at].isupper() and word[at - 1].islower()), len(word)]
    return [word[start:end] for start, end in pairwise(starts)]


def _starts(words: Sequence[str]) -> list[int]:
    """Where a name can begin: at its first word, and behind each form of address. "Khách hàng" is one of two words."""
    titles = count_titles(words)
    starts = list(range(titles + 1))
    if words[0] == "khach" and len(words) > 2 and words[1] == "hang":
        starts.append(2)
    return starts


def _fit_companies(left: Sequence[str], right: Sequence[str]) -> Verdict:
    if "".join(left) != "".join(right):
        return "differ"
    return "agree" if max(_full_words(left), _full_words(right)) >= 2 else "compatible"


def _fit_persons(left: Sequence[str], right: Sequence[str]) -> Verdict:
    if len(left) != len(right) and "".join(left) == "".join(right):
        return "agree" if max(_full_words(left), _full_words(right)) >= 2 else "compatible"
    shorter, longer = sorted((left, right), key=len)
    full = _common_words(shorter, longer)
    if full is None or (not full and len(shorter) == 1):  # one letter that fits says nothing
        return "differ"
    if len(shorter) < len(longer) and not _are_called_alike(shorter, longer):
        return "differ"
    if left[0] == right[0] and left[0] in _TITLES:
        full -= 1  # a form of address that two names begin with says little
    return "agree" if full >= 2 else "compatible"


def _full_words(name: Sequence[str]) -> int:
    return sum(not is_initial(word) for word in name)


def _common_words(shorter: Sequence[str], longer: Sequence[str]) -> int | None:
    """The number of full words that two names share; None if a word of the shorter one is not in the longer one.

    Equal words are taken first, so that an initial does not take the word that another one needs.
    """
    rest, open_words, full = list(longer), list[str](), 0
    for word in shorter:
        if word in rest:
            rest.remove(word)
            full += not is_initial(word)
        else:
            open_words.append(word)
    if not open_words:
        return full
    # What is left of each letter: initials need words, words need initials.
    wanted = Counter((word[0], not is_initial(word)) for word in open_words)
    offered = Counter((word[0], is_initial(word)) for word in rest)
    return full if wanted <= offered else None


def _are_called_alike(shorter: Sequence[str], longer: Sequence[str]) -> bool:
    called = called_by(shorter)
    if len(shorter) > 1 and _family_rank(shorter[-1]) == 1 and not _family_rank(shorter[0]):
        called.add(shorter[-1])  # Ngọc Hà may be Nguyễn Ngọc Hà and Hà Thị Ngọc
    return any(_matches(ours, theirs) for ours in called for theirs in called_by(longer))


def _matches(one: str, other: str) -> bool:
    return one == other or ((is_initial(one) or is_initial(other)) and one[0] == other[0])
