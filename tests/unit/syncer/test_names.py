"""Names of one person, and the form of a name that a shop should hold."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.domain.names import name_to_write, same_person

ONE = (
    ("Nguyễn Văn An", "Nguyễn Văn An"),
    ("Nguyễn Văn An", "An Nguyễn Văn"),
    ("Nguyễn Văn An", "nguyen van an"),
    ("NGUYEN VAN AN", "Văn An Nguyễn"),
    ("Nguyễn Văn An", "N. V. An"),
    ("Nguyễn Văn An", "Nguyễn V. A."),
    ("Đỗ Thị Hoà", "Do Thi Hòa"),
    ("NguyenVanAn", "Nguyễn Văn An"),
    ("Chị Lan", "Nguyễn Thị Lan"),
    ("Lan", "Thị Lan Nguyễn"),
    ("Nguyễn Lan", "Nguyễn Thị Lan"),
    ("Anh Nguyễn", "Nguyễn Lan Anh"),
    ("Mr. John Smith", "John Smith"),
    ("John Smith", "John A. Smith"),
    ("Mai", "Nguyễn Thị Mai"),
    ("Lan (Q7)", "Nguyễn Thị Lan"),
    ("Lan 0912345678", "Nguyễn Thị Lan"),
    ("Khách lẻ", "Nguyễn Văn An"),
    ("Khách Lan", "Nguyễn Thị Lan"),
    ("N***n", "Trần Bình"),
    (None, "Nguyễn Văn An"),
    ("", None),
)
TWO = (
    ("Nguyễn Văn An", "Trần Thị Bình"),
    ("Nguyễn Văn Hùng", "Nguyễn Thị Hoa"),
    ("Nguyễn Văn An", "Nguyễn Văn Anh"),
    ("Nguyễn Lan", "Nguyễn Lan Anh"),
    ("Nguyễn", "Nguyễn Thị Lan"),
    ("Anh Nguyễn", "Nguyễn Văn Bình"),
    ("Lan", "Hoa"),
    ("Chị Lan", "Chị Hoa"),
    ("N. V. An", "Nguyễn Thị An"),
    ("Maria Smith", "John Smith"),
    ("Lan Lan", "Nguyễn Lan"),
)


@pytest.mark.parametrize(("one", "other"), ONE)
def test_names_of_one_person(one: str | None, other: str | None) -> None:
    assert same_person(one, other)
    assert same_person(other, one)
    assert same_person(one and unicodedata.normalize("NFD", one), other)


@pytest.mark.parametrize(("one", "other"), TWO)
def test_names_of_two_persons(one: str, other: str) -> None:
    assert not same_person(one, other)
    assert not same_person(other, one)
    assert not same_person(unicodedata.normalize("NFD", one), other.upper())


COMMON = ("Nguyễn", "Trần", "Văn", "Thị", "An", "Anh", "Lan", "Hoà", "Đỗ", "Lê", "N", "V", "A", "Mai")
WORDS = st.lists(st.sampled_from(COMMON), min_size=1, max_size=6)


@given(WORDS, st.randoms(use_true_random=False))
def test_order_accents_and_case_never_make_another_person(name: list[str], chance: object) -> None:
    mixed = sorted(name, key=lambda _: chance.random())  # type: ignore[attr-defined]
    plain = unicodedata.normalize("NFD", " ".join(mixed).replace("Đ", "D").upper())
    assert same_person(" ".join(name), "".join(c for c in plain if not unicodedata.combining(c)))


@given(WORDS, WORDS)
def test_it_makes_no_difference_which_name_comes_first(one: list[str], other: list[str]) -> None:
    assert same_person(" ".join(one), " ".join(other)) is same_person(" ".join(other), " ".join(one))


@given(WORDS, WORDS)
def test_a_long_name_is_compared_in_time(one: list[str], other: list[str]) -> None:
    assert same_person(" ".join(one * 9), " ".join(other * 9)) in {True, False}


@pytest.mark.parametrize(
    ("hub", "shop", "expected"),
    [
        # The hub is master.
        ("Nguyễn Văn A", "nguyen van a", "Nguyễn Văn A"),
        ("Nguyễn Văn A", "NGUYỄN VĂN A", "Nguyễn Văn A"),
        ("Trần Bình", "Nguyễn Văn An", "Trần Bình"),
        ("Nguyễn Văn An", "Nguyễn V. A.", "Nguyễn Văn An"),
        ("Nguyễn Thị Lan", "Lan", "Nguyễn Thị Lan"),
        ("Nguyễn Thị Lan", "Chị Lan", "Nguyễn Thị Lan"),
        ("Nguyễn Văn Hùng", "Nguyễn Văn Hưng", "Nguyễn Văn Hùng"),
        ("Nguyễn Lan Anh", "Nguyễn Lan", "Nguyễn Lan Anh"),
        ("Nguyễn Lan", "Nguyễn Lan Anh", "Nguyễn Lan"),
        ("Lân", "Nguyễn Thị Lan", "Lân"),
        ("NGUYỄN VĂN A", "Nguyen Van A", "NGUYỄN VĂN A"),
        ("Lê Hoa", None, "Lê Hoa"),
        ("Lê Hoa", "", "Lê Hoa"),
        ("Lê Hoa", "Khách lẻ", "Lê Hoa"),
        ("Lê Hoa", "0912345678", "Lê Hoa"),
        # What is there already is no change.
        ("Nguyễn Văn A", "Văn A Nguyễn", "Nguyễn Văn A"),
        ("Nguyễn Văn A", "Nguyễn Văn A", "Nguyễn Văn A"),
        # The shop's form says more.
        ("nguyen van a", "Nguyễn Văn A", None),
        ("Nguyen Van An", "Văn An Nguyễn", None),
        ("NGUYỄN VĂN A", "Nguyễn Văn A", None),
        ("nguyễn văn a", "Nguyễn Văn A", None),
        ("Nguyen Van A", "NGUYỄN VĂN A", None),
        ("Trần Hoà", "Trần Hòa", None),
        ("Do Thi Lan", "Đỗ Thị Lan", None),
        ("N. V. An", "Nguyễn Văn An", None),
        ("N V A", "Nguyễn Văn An", None),
        ("Lan", "Nguyễn Thị Lan", None),
        ("Chị Lan", "Thị Lan Nguyễn", None),
        ("a Tuấn", "Trần Anh Tuấn", None),
        ("Chị Nguyễn Thị Lan", "Nguyễn Thị Lan", None),
        # No name is ever written.
        ("Khách lẻ", "Nguyễn Văn A", None),
        ("Khách lẻ", None, None),
        ("Khách lẻ", "Guest", None),
        ("A", "Nguyễn Văn A", None),
        (None, "Nguyễn Văn A", None),
    ],
)
def test_the_name_to_write(hub: str | None, shop: str | None, expected: str | None) -> None:
    assert name_to_write(hub, shop) == expected
    assert name_to_write(hub and unicodedata.normalize("NFD", f" {hub}  "), shop) == expected


@given(WORDS, st.one_of(st.none(), WORDS))
def test_what_was_written_stays_to_be_written(hub: list[str], shop: list[str] | None) -> None:
    wanted = name_to_write(" ".join(hub), shop and " ".join(shop))
    if wanted is not None:
        assert name_to_write(" ".join(hub), wanted) == wanted


def test_a_long_name_is_cut() -> None:
    assert len(name_to_write("Nguyễn " * 60, None) or "") <= 255
