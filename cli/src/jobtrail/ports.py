"""Which ports the parts of a system listen on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that somebody asked for; None means: any free one."""

    api: int | None = None
    sandbox: int | None = None
    kafka: int | None = None
    postgres: int | None = None
