"""A client of the sandbox's control API: fill shops, and count their records and writes."""

import time
from pathlib import Path
from typing import Any

import httpx
import msgspec

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

    def records(self, account: str, platform: str, kind: str) -> list[Json]:
        """Every record of a kind as the sandbox keeps it."""
        return self._http.get(f"/_sandbox/records/{account}/{platform}/{kind}").raise_for_status().json()

    def edit(self, account: str, platform: str, kind: str, record_id: int, **changes: Any) -> None:
        """Change one record as a person does in the platform's back office. changes: `set` and `stock`."""
        body = {"id": record_id, "at": int(time.time()), **changes}
        self._http.post(f"/_sandbox/records/{account}/{platform}/{kind}", json=body).raise_for_status()

    def answer_once(self, platform: str, account: str, *, says: str, body: Json) -> None:
        """Answer the next call whose body holds `says` with this JSON and do nothing else."""
        fault = {
            "platform": platform,
            "account": account,
            "kind": "garbage",
            "count": 1,
            "says": says,
            "body": msgspec.json.encode(body).decode(),
        }
        self._http.post("/_sandbox/faults", json=fault).raise_for_status()


def source(path: Path | None, *, perturb: bool) -> Json:
    """The source of a shop: a file, or the seeded default; `perturb` varies the spelling of its records."""
    if path is None:
        return {}
    recipe: Json = {"perturb": {}} if perturb else {}
    return {"path": str(path), **recipe}
