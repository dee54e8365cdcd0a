"""Freshness tokens: one opaque string for a map of (topic, partition) to the next offset."""

import base64
import binascii

import msgspec

Positions = dict[tuple[str, int], int]


def encode_token(positions: Positions) -> str:
    """The token of `positions`; equal positions give equal tokens."""
    by_topic: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(positions.items()):
        by_topic.setdefault(topic, {})[str(partition)] = offset
    return base64.urlsafe_b64encode(msgspec.json.encode(by_topic)).decode().rstrip("=")


def decode_token(token: str) -> Positions:
    """Read a token. A part behind a dot is ignored: event ids of the stream have one.

    Raises:
        ValueError: the string is not a token.
    """
    try:
        text, _, _ = token.partition(".")
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        by_topic = msgspec.json.decode(raw, type=dict[str, dict[str, int]])
        return {
            (topic, int(partition)): offset
            for topic, partitions in by_topic.items()
            for partition, offset in partitions.items()
        }
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"not a freshness token: {token[:80]!r}") from error
