"""Seeded random numbers, the same on every machine and in every order: each use has a generator of its own."""

import hashlib
import random


def rng(*parts: object) -> random.Random:
    """A generator seeded by the text of `parts`, so that rows don't depend on each other's order."""
    return random.Random(":".join(map(str, parts)))  # noqa: S311 - synthetic data, not secrets


def number_of(text: str, digits: int) -> int:
    """A stable number of at most `digits` digits for any text."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10**digits
