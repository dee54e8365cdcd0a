"""The number of random examples of a property test: fewer in `make test`, all of them in `make test-long`."""

from hypothesis import settings


def examples(thorough: int) -> int:
    """The number for the current profile, whose `max_examples` is a percentage of `thorough`."""
    return max(1, thorough * settings.default.max_examples // 100)
