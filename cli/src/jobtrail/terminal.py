"""The consoles of all commands: standard output and standard error."""

import signal
import sys

from rich.console import Console

PIPED_WIDTH = 160  # of a file or a pipe, in which tables must not break


class _Console(Console):
    """On a closed pipe the command ends silently with the status of SIGPIPE."""

    def on_broken_pipe(self) -> None:
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(128 + signal.SIGPIPE) from None


def console() -> Console:
    """Standard output; as wide as the terminal, or PIPED_WIDTH without one.

    Without emoji codes: an account may be called `lan:shop:`.
    """
    return _Console(emoji=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def errors() -> Console:
    """Standard error: errors, and notes about the freshness of an answer."""
    return _Console(stderr=True, emoji=False, highlight=False, soft_wrap=True)
