"""Credentials at rest: Fernet (AES-128-CBC with HMAC-SHA256), with room for a rotation of the key."""

from collections.abc import Mapping

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from platforms.errors import CredentialsUnreadable


class Cipher:
    """Encrypts with the first key, decrypts with any."""

    def __init__(self, keys: str) -> None:
        """keys: one Fernet key, or several with commas between (newest first). Raises CredentialsUnreadable."""
        try:
            fernets = [Fernet(key.strip()) for key in keys.split(",")]
        except ValueError:
            raise CredentialsUnreadable("the secret key must be a Fernet key: 32 bytes in URL-safe base64") from None
        self._fernet = MultiFernet(fernets)

    @staticmethod
    def new_key() -> str:
        """A fresh random key."""
        return Fernet.generate_key().decode()

    def seal(self, owner: str, credentials: Mapping[str, str]) -> bytes:
        """Encrypt together with `owner`, so that one connection's bytes cannot be opened in another's row."""
        return self._fernet.encrypt(msgspec.json.encode({"owner": owner, "credentials": dict(credentials)}))

    def open(self, owner: str, sealed: bytes) -> dict[str, str]:
        """Decrypt what `seal` gave for the same owner. Raises CredentialsUnreadable."""
        try:
            content = msgspec.json.decode(self._fernet.decrypt(sealed), type=_Sealed)
        except (InvalidToken, msgspec.DecodeError):
            raise CredentialsUnreadable(f"the credentials of {owner} need another secret key") from None
        if content.owner != owner:
            raise CredentialsUnreadable(f"the credentials stored for {owner} belong to another connection")
        return content.credentials


class _Sealed(msgspec.Struct):
    owner: str
    credentials: dict[str, str]
