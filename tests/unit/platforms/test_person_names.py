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
        ("Nguyễn Văn Nam", "Nam Văn Nguyễn"),  # all words turned round
        ("Nam Văn Nguyễn", "Nguyễn Nam"),
        ("NguyễnĐứcNam", "Nam Nguyễn"),  # parted where a capital begins a word, with an accent or not
        ("Nguyễn VănNam", "nguyen van nam"),
        ("Trần Lan lan@example.com", "Trần Thị Lan"),
        ("Khách hàng Nguyễn Thị Lan", "KH Nguyễn Thị Lan"),
        ("Ðỗ Thị Lan", "Do Thi Lan"),  # another letter that looks like Đ
        ("Ngọc Hà", "Nguyễn Ngọc Hà"),  # a given name that is a family name as well
        ("Hà Thị Ngọc", "Ngọc Hà"),
        ("H'Lan Niê", "HLan Nie"),
        ("Cty CP TM DV An Phát", "Công ty TNHH MTV An Phát"),
        ("AN PHAT", "Công ty An Phát"),
        ("AnPhat JSC", "Công ty cổ phần An Phát"),
        ("Tạp hoá Lan", "tap hoa Lan"),
        ("Nhà thuốc Minh Anh", "NHÀ THUỐC MINH ANH"),
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
        ("Anh Lan", "Anh Lan"),  # a form of address and one word
        ("Chị Hùng", "Chị Hồ Ngọc Hùng"),
        ("Khách (Lan)", "Nguyễn Thị Lan"),
        ("Khách Hằng", "Lê Thị Hằng"),
        ("Cô Anh", "Đỗ Thị Anh"),
        ("Shop Lan", "Lan Store"),
        ("Shop Lan", "Lan"),
        ("Công ty Vinamilk", "VINAMILK JSC"),
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
        ("Nguyễn", "Nguyễn Thị Lan"),  # a family name alone
        ("Hoàng", "Anh Ngọc Hoàng"),
        ("Cô Lê", "Cô Lê Thị Bình"),
        ("Nguyễn Lan", "Nguyễn Lan Hà"),  # called otherwise
        ("Lê Văn", "Lê Văn Thư"),
        ("Chị H", "Nguyễn Thị Hoa"),  # one letter
        ("Khách lẻ (Hà Nội)", "Nguyễn Văn Nam"),
        ("An Phát", "Công ty Phát An"),
        ("Công ty An Phát", "Công ty An Phát Hà Nội"),
        ("Công ty An Phát", "Nguyễn An Phát"),
        ("Nguyễn Lan - Cty An Phát", "Nguyễn Thị Lan"),
        ("Công ty A. P.", "Công ty An Phát"),
        ("Tạp hoá Lan", "Nhà thuốc Lan"),
        ("Tạp hoá Lan", "Hoa Lan"),
        ("Shop Lan", "Nguyễn Thị Lan"),
        ("Lan Thương Mại", "Lan"),
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


TEXTS = st.one_of(st.none(), st.text(), st.text("aAnN .'(@*đĐễ\u0323\u200dﾞ王").filter(bool))


@given(TEXTS, TEXTS)
def test_any_two_texts_are_compared(one: str | None, other: str | None) -> None:
    found = compare(one, other)
    assert compare(other, one) == found
    assert compare(one, one) != "differ"
    assert same_person(one, other) is (found != "differ")


@pytest.mark.parametrize("text", ["aB" * 5000, "(" * 5000 + "Lan", "Anh " * 5000, "a@" * 5000, "khách " * 5000 + "Lan"])
def test_a_text_of_any_length_is_compared(text: str) -> None:
    assert compare(text, "Nguyễn Văn Nam") == compare("Nguyễn Văn Nam", text)
    assert compare(text, text) != "differ"
