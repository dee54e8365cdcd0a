"""Which names and addresses stand for nobody."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.placeholders import is_placeholder_email, is_placeholder_name

NOBODY = (
    *(None, "", "   ", ".", "---", "?", "❤️", "😀😀", "\u200b\ufeff", "0", "12", "0912345678", "+84 912 345 678"),
    *("０９１２３４５６７８", "SĐT: 0912345678", "đt 0912.345.678", "Zalo 0912345678", "O912345678"),
    *("A", "ý", "a.", "K1", "x 12", "xx", "XXX", "aaaa", "lan@example.com", "https://facebook.com/lan"),
    *("Khách lẻ", "khach le", "KHÁCH LẺ", "Khách  lẻ ", "Khách Lẻ 12", "Khach le - 0912345678", "Khach 0912345678"),
    *("khách lẽ", "khachle", "KhachLe01", "Khách", "Khách A", "KH", "KH lẻ", "KHÁCH HÀNG", "Khách hàng 3", "khachhang"),
    *("Khách vãng lai", "khach vang lai", "Khách Vãng Lai (1)", "Khách mới", "Khách cũ", "Khách quen", "Khách sỉ"),
    *("Khách online", "Khách facebook", "Khách FB", "Khách zalo", "khách mua trên Shopee", "Khách Tiktok shop"),
    *("Khách mua lẻ", "Khách tại quầy", "Khách qua đường", "Khách nước ngoài", "Khách không tên", "Khách từ Facebook"),
    *("Khách đặt hàng trực tuyến", "Khách lẻ không có số điện thoại", "Người mua", "người nhận hàng", "Thành viên"),
    *("Guest", "guest_123", "Guest User", "Customer", "CUSTOMER 5", "customer-77", "New Customer", "Walk-in Customer"),
    *("walk in", "Retail customer", "Anonymous", "anonymous user", "Unknown", "Unknown Unknown", "No name", "NoName"),
    *("N/A", "n.a.", "#N/A", "null", "null null", "undefined undefined", "None", "nan", "First Name", "Your name"),
    *("Test", "test test", "TEST 1", "Test Nguyen", "tester", "Demo", "Nguyễn Văn Test"),
    *("Shopee buyer 123", "Lazada Buyer", "Lazada customer 99", "tiktok_user_8273", "user123456", "Facebook User"),
    *("Shopee", "Zalo", "Online", "Website", "N***n", "ng*****t", "L*n", "N*** V** A***", "***"),
    *("Không tên", "khong ten", "KHÔNG CÓ TÊN", "Chưa có tên", "chua dat ten", "Chưa cập nhật", "Vô danh", "Ẩn danh"),
    *("Họ và tên", "Tên khách hàng", "Không", "Chị", "Anh/Chị", "Cô", "anh chị", "abc", "asdf", "admin", "nhân viên"),
    *("lan@example.com 0912345678", "www.example.com", "Khách ẩn danh", "nguoinhan", "KhongCoTen", "hovaten", "Mr."),
    *("khachquen", "walkin", "Retail", "cash customer", "Công ty", "Công ty TNHH", "Cty CP TM DV", "Tạp hoá", "Store"),
    *("cô chú anh chị", "Anh/Chị"),
)
SOMEBODY = (
    *("An", "Lê Na", "Ý Nhi", "Như Ý", "Nguyễn A", "Nguyễn Văn A", "Le", "Lê Lẻ", "Hằng", "Mới", "Anh", "Chi", "Em"),
    *("Khách Lan", "Khách Hằng", "Khách Lê", "Khách hàng Lan", "Khách sạn Mường Thanh", "Shop Hằng", "Lan Shopee"),
    *("Lan 0912345678", "Lan (zalo)", "Chị Lan", "chị Hoa bán phở", "Công ty TNHH ABC", "Cửa hàng Minh Anh"),
    *("Testa Rossi", "Contessa", "Guestaveras Lee", "John Smith", "O'Brien", "H'Lan Niê", "李小龙", "Анна", "Lan ❤️"),
    *(
        "Khách sạn Sen",
        "Nguyễn Khách Huy",
        "Anh Chi",
        "Võ Danh",
        "An Danh Nguyễn",
        "Bé Na",
        "Na",
        "Ha Le",
        "Khổng",
        "Ten Hag",
        *("Cô Anh", "Khách (Lan)", "Khách Danh", "Na", "Ong", "Nguyễn Thương Mai", "王", "丽丽", "Nguyễn Group"),
    ),
)


@pytest.mark.parametrize("name", NOBODY)
def test_a_placeholder_is_known_in_either_normal_form(name: str | None) -> None:
    assert is_placeholder_name(name)
    if name is not None:
        assert is_placeholder_name(unicodedata.normalize("NFD", name))
        assert is_placeholder_name(f"\u200b {name}\u00a0")


@pytest.mark.parametrize("name", SOMEBODY)
def test_a_name_is_none(name: str) -> None:
    assert not is_placeholder_name(name)
    assert not is_placeholder_name(unicodedata.normalize("NFD", name))


@given(st.text())
def test_any_text_is_judged_alike_in_every_spelling(text: str) -> None:
    judged = is_placeholder_name(text)
    assert is_placeholder_name(unicodedata.normalize("NFD", text)) is judged
    assert is_placeholder_name(f"  {text}\t") is judged


@given(st.text(st.one_of(st.characters(categories=["Nd", "Po", "Pd", "Sm", "Zs"]), st.sampled_from("❤😀🌸★"))))
def test_no_text_without_letters_is_a_name(text: str) -> None:
    assert is_placeholder_name(text)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("khachle@gmail.com", True),
        ("khach.le01@gmail.com", True),
        ("noemail@shop.vn", True),
        ("no-reply@shop.vn", True),
        ("lan@khong.invalid", True),
        ("a@gmail.com", True),
        ("a1988@gmail.com", False),
        ("khanh.le@gmail.com", False),
        ("hoa@example.com", False),
    ],
)
def test_addresses_that_fill_the_field(address: str, expected: bool) -> None:
    assert is_placeholder_email(address) is expected
