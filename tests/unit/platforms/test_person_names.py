"""Whether two names can be one person's, as they are typed in Vietnamese shops."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.person_names import compare, same_person
from platforms.placeholders import is_placeholder_name


def verdict(one: str | None, other: str | None) -> str:
    found = compare(one, other)
    assert compare(other, one) == found
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nguyễn Văn Nam", "Nguyễn Văn Nam"),
        ("Nguyễn Văn Nam", "nguyen van nam"),
        ("Nguyễn Văn Nam", "Nam Nguyen"),  # first and last name swapped
        ("Nguyễn Nam", "Nguyễn Văn Nam"),
        ("Anh Nguyễn Văn Nam", "NGUYEN VAN NAM"),
        ("Mr. Nam Nguyen", "Nguyễn Văn Nam"),
        ("NguyenVanNam", "Nguyễn Văn Nam"),
        ("nguyenvannam", "Nguyễn Văn Nam"),
        ("Trần Thị Bình (Q1)", "Bình Trần"),
        ("Công ty TNHH An Phát", "Cty An Phát"),
        ("CÔNG TY CỔ PHẦN AN PHÁT", "an phat jsc"),
        ("Nguyễn Anh", "Anh Nguyen"),  # a form of address that is a name
        ("Ng\u0075yê\u0303n Văn Nam", "Nguyễn Văn Nam"),  # decomposed
        ("王伟 Lee", "Lee 王伟"),
    ],
)
def test_names_that_agree(one, other):
    assert verdict(one, other) == "agree"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("N. V. Nam", "Nguyễn Văn Nam"),
        ("N.V.N", "Nguyễn Văn Nam"),
        ("Nam", "Nguyễn Văn Nam"),
        ("anh Nam", "Nguyễn Văn Nam"),
        ("a. Nam", "Nguyễn Văn Nam"),
        ("c Lan", "Trần Thị Lan"),
        ("Nam", "Anh Nam"),
        ("Lan (zalo)", "Chị Lan"),
        ("An", "An"),
        ("Chị Chi", "Chi"),
    ],
)
def test_names_that_fit(one, other):
    assert verdict(one, other) == "compatible"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nguyễn Văn Nam", "Trần Thị Lan"),
        ("Nguyễn Văn Nam", "Nguyễn Thị Lan"),  # husband and wife, father and daughter
        ("Nguyễn Văn Nam", "Nguyễn Thị Nam"),
        ("Nam", "Lan"),
        ("Anh Nam", "Chị Lan"),
        ("N. V. Nam", "Trần Văn Nam"),
        ("N. V. Nam", "Nguyễn Thị Nam"),
        ("Nguyễn Văn Nam", "Công ty TNHH An Phát"),
        ("Công ty An Phát", "Công ty Bình Minh"),
        ("王伟", "李娜"),
    ],
)
def test_names_that_differ(one, other):
    assert verdict(one, other) == "differ"


@pytest.mark.parametrize(
    "name",
    [
        *(
            None,
            "",
            " ",
            "-",
            ".",
            "...",
            "0",
            "123",
            "0912345678",
            "+84 912 345 678",
            "A",
            "x",
            "xxx",
            "aaa",
            "\u200b",
        ),
        *("Khách lẻ", "khach le", "KHÁCH LẺ", "Khách hàng", "Khách hàng 12", "Khách vãng lai", "khách mới", "Khách"),
        *(
            "Guest",
            "Customer",
            "Walk-in customer",
            "Unknown",
            "No name",
            "N/A",
            "null",
            "Test",
            "Không tên",
            "chưa có tên",
        ),
        *("Khách Shopee", "khach online", "Người mua", "an@firma.vn", "Zalo", "😀"),
    ],
)
def test_placeholders_say_nothing(name):
    assert is_placeholder_name(name)
    assert verdict(name, "Nguyễn Văn Nam") == "silent"


@pytest.mark.parametrize(
    "name", ["An", "Lê", "Nam", "Chi", "Khách Sạn Mường Thanh", "Tiki Nguyễn", "王伟", "Nguyễn Văn A"]
)
def test_short_and_odd_names_are_names(name):
    assert not is_placeholder_name(name)


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
