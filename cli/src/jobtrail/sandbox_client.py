"""A client of the sandbox's control API: fill shops, and count their records and writes."""

from pathlib import Path
from typing import Any

import httpx

from jobtrail.errors import UserError

Json = dict[str, Any]
PLUS_PLAN = {"restore_rate": 1000}
"""Points a second of a Shopify Plus shop; with the 100 of the standard plan a demo takes minutes."""


class Sandbox:
    """The local servers that speak the platforms' protocols."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=120)

    def load(self, account: str, nhanh: Json, shopify: Json) -> Json:
        """Create the two shops of an account unless they exist; returns the connection of each.

        Raises:
            UserError: a file cannot be read, or the account holds something else already.
        """
        answer = self._http.post("/_sandbox/shops", json={"account": account, "nhanh": nhanh, "shopify": shopify})
        if answer.is_success:
            self._http.patch(f"/_sandbox/shops/{account}/shopify", json=PLUS_PLAN).raise_for_status()
            return answer.json()
        raise UserError(f"The sandbox cannot load {account}: {answer.json().get('detail', answer.text)}")

    def shops(self) -> Json:
        """Every account's shops: records, accepted writes by kind, requests."""
        return self._http.get("/_sandbox/shops").raise_for_status().json()["accounts"]


def source(path: Path | None, *, perturb: bool) -> Json:
    """The source of a shop: a file, or the seeded default; `perturb` varies the spelling of its records."""
    if path is None:
        return {}
    recipe: Json = {"perturb": {}} if perturb else {}
    return {"path": str(path), **recipe}
