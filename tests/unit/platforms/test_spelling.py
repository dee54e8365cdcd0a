"""One spelling of a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.spelling import accents, letter_words, tidy, visible, without_accents


def test_invisible_characters_go() -> None:
    assert tidy("\ufeff Lê\u00a0\u200bHoa\t\u2028") == "Lê Hoa"
    assert tidy(None) == tidy(" \u200b ") == ""
    assert tidy(unicodedata.normalize("NFD", "Nguyễn")) == "Nguyễn"


def test_words_are_letters() -> None:
    assert letter_words("Lan-Hoa_2, H'Lan (Q7)") == ("Lan", "Hoa", "HLan", "Q")
    assert letter_words(None) == ()


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
    assert without_accents(text).isascii()


def test_joiners_are_written_and_not_compared() -> None:
    family = "👨\u200d👩\u200d👧"
    assert tidy(f"{family}\u200b ") == family
    assert visible("Nguy\u200dễn") == "Nguyễn"


@pytest.mark.parametrize("letter", ["Đ", "đ", "Ð", "ð", "Ɖ"])
def test_every_letter_that_looks_like_a_barred_d_is_one(letter: str) -> None:
    assert without_accents(letter) == "d"
    assert accents(letter) == accents("đ")


@given(st.text())
def test_a_text_without_accents_stays_as_it_is(text: str) -> None:
    assert without_accents(without_accents(text)) == without_accents(text)
    assert without_accents(unicodedata.normalize("NFD", text)) == without_accents(text)
