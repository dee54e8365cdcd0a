"""One console for all commands."""

import signal
import sys

from rich.console import Console

PIPED_WIDTH = 160  # a file or a pipe has no width of its own, and tables must not break in it


class _Console(Console):
    """Who reads from a pipe may have enough: then the command ends as one that heard SIGPIPE, without a word."""

    def on_broken_pipe(self) -> None:
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(128 + signal.SIGPIPE) from None


def console() -> Console:
    """Standard output; as wide as the terminal, or wide enough for a table where there is none.

    Without emoji codes: an account may be called `lan:shop:`.
    """
    return _Console(emoji=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def errors() -> Console:
    """Standard error: what is wrong, and what is to be known of an answer besides its content."""
    return _Console(stderr=True, emoji=False, highlight=False, soft_wrap=True)
