"""The inputs of a demo, and the account for them: one account for each pair of inputs."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobtrail.errors import UserError

TENANT = "demo"
LinkByName = Literal["review", "auto"]


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The account and its inputs. If both inputs are the same file, Shopify's records are perturbed."""

    account: str
    nhanh: Path | None
    shopify: Path | None

    @property
    def perturbed(self) -> bool:
        return self.nhanh is not None and self.nhanh == self.shopify


def checked_link_by_name(text: str | None) -> LinkByName | None:
    """Read the option.

    Raises:
        UserError: it is neither.
    """
    if text in (None, "review", "auto"):
        return text
    raise UserError(f"--link-by-name is {text!r}; choose review or auto")


def plan_demo(nhanh: Path | None, shopify: Path | None) -> DemoPlan:
    """Check the inputs and name their account after their names and contents.

    Raises:
        UserError: only one file is given, or a file does not exist.
    """
    if nhanh is None and shopify is None:
        return DemoPlan("demo-shop", None, None)
    if nhanh is None or shopify is None:
        missing = "NHANH" if nhanh is None else "SHOPIFY"
        raise UserError(f"Both shops need a catalogue: {missing}=FILE is missing (the same file for both is fine)")
    digest = hashlib.sha256()
    for path in (nhanh, shopify):
        if not path.is_file():
            raise UserError(f"File not found: {path}")
        digest.update(path.resolve().as_posix().encode())
        digest.update(path.read_bytes())
    words = "-".join(dict.fromkeys(re.sub(r"[^a-z0-9]+", "-", p.name.split(".")[0].lower()) for p in (nhanh, shopify)))
    return DemoPlan(f"{words.strip('-')[:60]}-{digest.hexdigest()[:8]}", nhanh.resolve(), shopify.resolve())
