"""What stands in for one platform: its addresses, its answers, and how it says that something is wrong."""

from dataclasses import dataclass
from typing import Protocol

from sandbox.exchange import Answer, Call
from sandbox.faults import Fault
from sandbox.shops import Shop


@dataclass(frozen=True, slots=True)
class Route:
    """One address of a platform. path: the call's path, from the parts of the address by name."""

    address: str
    path: str
    methods: tuple[str, ...]


class Simulator(Protocol):
    """Answers the calls of one platform as the platform would. Thread-safe."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """Its addresses, the more specific ones first."""
        ...

    def shop_key(self, call: Call) -> str:
        """The key of the shop that a call addresses, whatever its credentials."""
        ...

    def answer(self, call: Call) -> Answer:
        """The platform's answer."""
        ...

    def faulty(self, call: Call, shop: Shop | None, fault: Fault) -> Answer | None:
        """The platform's own answer for a fault of kind expired_token, 429 or throttled; None where it has none."""
        ...


def retry_after(text: str) -> dict[str, str]:
    """The header Retry-After, none for an empty text."""
    return {"Retry-After": text} if text else {}
