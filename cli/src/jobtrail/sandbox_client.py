"""A client of the sandbox's control API: fill shops, count what they hold and what was written to them."""

from pathlib import Path
from typing import Any

import httpx

from jobtrail.errors import UserError

Json = dict[str, Any]
PLUS_PLAN = {"restore_rate": 1000}
"""Points a second that Shopify gives a Plus shop; the standard plan's 100 would make people wait for minutes."""


class Sandbox:
    """The local stand-in for the platforms."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=120)

    def load(self, account: str, nhanh: Json, shopify: Json) -> Json:
        """Create the two shops of an account, or find them as they are; returns how to connect to each.

        Raises:
            Refused: a file cannot be read, or the account holds something else already.
        """
        answer = self._http.post("/_sandbox/shops", json={"account": account, "nhanh": nhanh, "shopify": shopify})
        if answer.is_success:
            self._http.patch(f"/_sandbox/shops/{account}/shopify", json=PLUS_PLAN).raise_for_status()
            return answer.json()
        raise UserError(f"The sandbox refuses to load {account}: {answer.json().get('detail', answer.text)}")

    def shops(self) -> Json:
        """Every account's shops: records, accepted writes by kind, requests."""
        return self._http.get("/_sandbox/shops").raise_for_status().json()["accounts"]


def source(path: Path | None, *, perturb: bool) -> Json:
    """What a shop is filled with: a file, or the seeded default; `perturb` changes it as another clerk would have."""
    if path is None:
        return {}
    recipe: Json = {"perturb": {}} if perturb else {}
    return {"path": str(path), **recipe}
