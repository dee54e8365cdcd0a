"""Names of companies and shops: the words that tell one from another, without its legal form."""

from collections.abc import Sequence
from typing import Final

from platforms.spelling import Spellings, is_spelled, letter_words, spellings, without_accents

_FORMS: Final = spellings(
    *("công ty", "công ti", "cty", "ctcp", "cttnhh", "tnhh", "jsc", "ltd", "llc", "inc", "corp", "corporation", "plc"),
    *("gmbh", "company", "limited", "dntn", "hkd", "htx", "doanh nghiệp", "hộ kinh doanh", "xí nghiệp"),
    *("hợp tác xã", "tập đoàn", "group", "cửa hàng", "cửahàng", "shop", "store"),
)
"""Forms that make a name a company's or a shop's. They may be left out or written in another way."""

_ADDITIONS: Final = spellings(
    *("co", "ct", "cp", "cổ phần", "mtv", "một thành viên", "thành viên", "trách nhiệm hữu hạn", "tư nhân"),
    *("thương mại", "dịch vụ", "sản xuất", "xuất nhập khẩu", "tm", "dv", "sx", "xnk", "tmdv", "và", "chi nhánh"),
)
"""What stands next to a form and may be left out with it. Elsewhere these can be names: Thương Mai."""

_TRADES: Final = spellings(
    *("tạp hoá", "đại lý", "nhà thuốc", "hiệu thuốc", "nhà hàng", "khách sạn", "nhà sách", "siêu thị", "nhà nghỉ"),
    *("quán ăn", "quán cà phê", "quán cafe", "tiệm vàng", "tiệm tóc", "tiệm bánh", "spa", "salon", "thẩm mỹ viện"),
    *("phòng khám", "nha khoa", "bệnh viện", "ngân hàng", "văn phòng", "trường mầm non", "trường tiểu học"),
)
"""A name that begins with one of these is a company's. The trade is part of the name."""

_LONGEST: Final = 4  # words of a phrase
_STARTS: Final = frozenset(phrase.partition(" ")[0] for table in (_FORMS, _TRADES) for phrase in table)


def is_company_name(name: str | None) -> bool:
    """Whether a name has a company's or shop's form or begins with a trade."""
    written = letter_words(name)
    return distinctive_words(written, [without_accents(word) for word in written]) is not None


def distinctive_words(written: Sequence[str], plain: Sequence[str]) -> tuple[str, ...] | None:
    """The words that tell a company from others, without accents; None if the name is no company's.

    `plain` are the words without accents. The result is empty for a form or a trade alone ("Công ty TNHH").
    """
    if _STARTS.isdisjoint(plain):
        return None
    forms = _positions(_FORMS, written, plain)
    trade = _phrase_at(0, _TRADES, written, plain)
    if not forms and not trade:
        return None
    left_out = forms | _positions(_ADDITIONS, written, plain)
    if trade + len(left_out) >= len(plain):
        return ()
    return tuple(word for position, word in enumerate(plain) if position not in left_out)


def _positions(table: Spellings, written: Sequence[str], plain: Sequence[str]) -> set[int]:
    """Where the phrases of a table stand; the longest one first, each word once."""
    found: set[int] = set()
    start = 0
    while start < len(plain):
        size = _phrase_at(start, table, written, plain)
        found.update(range(start, start + size))
        start += size or 1
    return found


def _phrase_at(start: int, table: Spellings, written: Sequence[str], plain: Sequence[str]) -> int:
    """The number of words of the longest phrase that begins at a position; 0 for none."""
    for end in range(min(start + _LONGEST, len(plain)), start, -1):
        if is_spelled(table, written[start:end], plain[start:end]):
            return end - start
    return 0
