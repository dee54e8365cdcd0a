"""The form of a name that a shop should hold."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.domain.names import name_to_write

COMMON = ("Nguyễn", "Trần", "Văn", "Thị", "An", "Anh", "Lan", "Hoà", "Đỗ", "Lê", "N", "V", "A", "Mai")
WORDS = st.lists(st.sampled_from(COMMON), min_size=1, max_size=6)


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
