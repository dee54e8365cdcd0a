"""One spelling of a text."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from syncer.domain.spelling import accents, fold, tidy, words


def test_invisible_characters_go() -> None:
    assert tidy("\ufeff Lê\u00a0\u200bHoa\t\u2028") == "Lê Hoa"
    assert tidy(None) == tidy(" \u200b ") == ""
    assert tidy(unicodedata.normalize("NFD", "Nguyễn")) == "Nguyễn"


def test_words_are_letters() -> None:
    assert words("Lan-Hoa_2, H'Lan (Q7)") == ("Lan", "Hoa", "HLan", "Q")
    assert words(None) == ()


def test_accents_of_a_word_whatever_letter_bears_them() -> None:
    assert accents("hoà") == accents("HÒA")
    assert accents("Đỗ") != accents("Dỗ")
    assert accents("bo") == ()
    assert len({accents(word) for word in ("bò", "bơ", "bó", "bổ", "bo")}) == 5


@given(st.text())
def test_a_tidy_text_stays_as_it_is(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    assert tidy(text) == tidy(unicodedata.normalize("NFD", text))


@given(st.text("aàăâđeêioơuư ĐÀẮỆ"))
def test_folded_vietnamese_is_ascii(text: str) -> None:
    assert fold(text).isascii()
