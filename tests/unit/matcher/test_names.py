"""Whether two names can be one person's, as they are typed in Vietnamese shops."""

import pytest

from matcher.domain.names import compare, is_placeholder


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
    assert is_placeholder(name)
    assert verdict(name, "Nguyễn Văn Nam") == "silent"


@pytest.mark.parametrize(
    "name", ["An", "Lê", "Nam", "Chi", "Khách Sạn Mường Thanh", "Tiki Nguyễn", "王伟", "Nguyễn Văn A"]
)
def test_short_and_odd_names_are_names(name):
    assert not is_placeholder(name)
