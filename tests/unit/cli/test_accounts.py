"""Connecting shops and checking them, whatever is wrong with one of them."""

import builtins
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from jobtrail import accounts
from platforms import registry
from platforms.connections import Connection
from platforms.errors import CredentialsUnreadable
from platforms.results import CheckResult

UNREADABLE = "the credentials of default/lan-shop/nhanh need another secret key"


class Stored:
    """Two connections of an account, the first of which this key does not open."""

    def __init__(self) -> None:
        self.marked: list[tuple[str, str, str]] = []

    def list_connections(self) -> list[Connection]:
        return [Connection("default", "lan-shop", name, "https://x.test", {}) for name in ("nhanh", "shopify")]

    def connection(self, _tenant: str, _account: str, platform: str) -> Connection:
        if platform == "nhanh":
            raise CredentialsUnreadable(UNREADABLE)
        return self.list_connections()[1]

    def mark(self, connection: Connection, status: str, reason: str) -> None:
        self.marked.append((connection.platform, status, reason))


def _check_that_logs(*_: object) -> CheckResult:
    structlog.get_logger().warning("platform call repeated")
    return CheckResult(True, "Shopify knows lan")


def test_a_check_tells_of_every_connection_and_logs_elsewhere(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored()
    monkeypatch.setattr(accounts, "account_store", lambda: nullcontext(stored))
    shopify = replace(registry.platform("shopify"), check=_check_that_logs)
    monkeypatch.setattr(registry, "platforms", lambda: {"shopify": shopify})
    ended = run("accounts", "check", "lan-shop")
    assert (ended.code, ended.out) == (1, f"✘ nhanh: {UNREADABLE}\n✔ shopify: Shopify knows lan\n")
    assert "platform call repeated" in ended.err
    assert stored.marked == [("nhanh", "needs attention", UNREADABLE), ("shopify", "ok", "")]


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (KeyboardInterrupt, 130, ""),
        (EOFError, 1, "nhanh needs app_id, and nothing was typed: pass --credential app_id=VALUE\n"),
    ],
)
def test_a_question_ends_as_other_commands_do(
    run: Any, monkeypatch: pytest.MonkeyPatch, end: type[BaseException], code: int, said: str
) -> None:
    def answer(*_: object) -> str:
        raise end

    monkeypatch.setattr(builtins, "input", answer)
    ended = run("accounts", "add", "lan-shop", "nhanh")
    assert (ended.code, ended.err) == (code, said)


def test_a_script_is_told_what_is_missing_and_no_more() -> None:
    """What is hidden from a terminal cannot be hidden from none, and Python would warn of it."""
    argv = [Path(sys.executable).with_name("jobtrail"), "accounts", "add", "lan-shop", "shopify"]
    done = subprocess.run(
        [*argv, "--base-url=https://lan.myshopify.com"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "shopify needs access_token, and nothing was typed: pass --credential access_token=VALUE\n"
