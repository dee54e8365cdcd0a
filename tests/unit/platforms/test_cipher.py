"""Credentials at rest open only with the right key and for the right connection."""

import pytest

from platforms.cipher import Cipher
from platforms.connections import Connection
from platforms.errors import CredentialsUnreadable

CREDENTIALS = {"access_token": "shpat_0123456789"}


def test_sealed_bytes_do_not_show_the_token() -> None:
    cipher = Cipher(Cipher.new_key())
    sealed = cipher.seal("demo/shop/shopify", CREDENTIALS)
    assert b"shpat" not in sealed
    assert cipher.open("demo/shop/shopify", sealed) == CREDENTIALS


def test_another_key_or_another_owner_does_not_open_them() -> None:
    key = Cipher.new_key()
    sealed = Cipher(key).seal("demo/shop/shopify", CREDENTIALS)
    with pytest.raises(CredentialsUnreadable, match="another secret key"):
        Cipher(Cipher.new_key()).open("demo/shop/shopify", sealed)
    with pytest.raises(CredentialsUnreadable, match="another connection"):
        Cipher(key).open("demo/other/shopify", sealed)


def test_keys_can_be_rotated() -> None:
    old, new = Cipher.new_key(), Cipher.new_key()
    sealed = Cipher(old).seal("a/b/nhanh", CREDENTIALS)
    both = Cipher(f"{new}, {old}")
    assert both.open("a/b/nhanh", sealed) == CREDENTIALS
    assert Cipher(new).open("a/b/nhanh", both.seal("a/b/nhanh", CREDENTIALS)) == CREDENTIALS


@pytest.mark.parametrize("key", ["", "short", "é" * 44])
def test_a_bad_key_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(CredentialsUnreadable) as caught:
        Cipher(key)
    assert "Fernet" in str(caught.value)
    assert not key or key not in str(caught.value)


def test_a_connection_does_not_print_its_credentials() -> None:
    assert "shpat" not in repr(Connection("a", "b", "shopify", "https://x.test", CREDENTIALS))
