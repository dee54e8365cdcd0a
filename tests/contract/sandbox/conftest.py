"""The real sandbox process on a free port, its shops, and short ways to talk to them."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

VERSION = "2026-10"


class Server:
    """One sandbox process over a state folder; it can be killed and started again."""

    def __init__(self, state: Path) -> None:
        self.state = state
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.root, timeout=120)
        self.start()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "sandbox", "--port", str(self.port), "--state", str(self.state)]
        self.process = subprocess.Popen(command)
        deadline, pause = time.monotonic() + 120, threading.Event()
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the sandbox ended at its start"
            try:
                if self.http.get("/_sandbox/health").status_code == 200:
                    return
            except httpx.TransportError:
                pause.wait(0.05)
        pytest.fail("the sandbox did not answer in 120 s")

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(120)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.terminate()
        self.process.wait(120)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API; the answer must be a success."""
        answer = self.http.request(method, f"/_sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()


class Account:
    """The two shops of one account."""

    def __init__(self, server: Server, name: str, nhanh: Any, shopify: Any) -> None:
        self.server, self.name = server, name
        self.made = server.control("POST", "shops", {"account": name, "nhanh": nhanh, "shopify": shopify})

    def call(self, action: str, body: Any = None, **overrides: str) -> httpx.Response:
        """One Nhanh call; overrides: appId, businessId, token."""
        access = self.made["nhanh"]["credentials"]
        query = {"appId": access["app_id"], "businessId": access["business_id"]}
        query.update({key: value for key, value in overrides.items() if key != "token"})
        headers = {"Authorization": str(overrides.get("token", access["access_token"]))}
        url = f"{self.made['nhanh']['base_url']}/v3.0/{action}"
        return self.server.http.post(url, params=query, headers=headers, json={} if body is None else body)

    def nhanh(self, action: str, body: Any = None) -> Any:
        """A Nhanh call's JSON, which comes under HTTP 200 whatever it says."""
        answer = self.call(action, body)
        assert answer.status_code == 200
        return answer.json()

    def post(self, query: str, variables: Any = None, token: str | None = None) -> httpx.Response:
        """One GraphQL request."""
        made = self.made["shopify"]
        access = str(token or made["credentials"]["access_token"])
        return self.server.http.post(
            f"{made['base_url']}/admin/api/{VERSION}/graphql.json",
            headers={"X-Shopify-Access-Token": access},
            json={"query": query, "variables": variables or {}},
        )

    def graphql(self, query: str, **variables: Any) -> Any:
        """A GraphQL request's JSON."""
        answer = self.post(query, variables)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def switch(self, platform: str, **changes: Any) -> None:
        """Change switches of a shop."""
        self.server.control("PATCH", f"shops/{self.name}/{platform}", changes)

    def fault(self, platform: str, kind: str, **more: Any) -> None:
        """Put a fault to work on this account."""
        fault = {"platform": platform, "account": self.name, "kind": kind, **more}
        self.server.control("POST", "faults", fault)

    def facts(self, platform: str) -> Any:
        """What GET /_sandbox/shops says of one side."""
        return self.server.control("GET", "shops")["accounts"][self.name][platform]

    def log(self, platform: str, **more: Any) -> Any:
        """The account's request log."""
        wanted = "&".join(f"{key}={value}" for key, value in more.items())
        return self.server.control("GET", f"requests?account={self.name}&platform={platform}&{wanted}")

    def records(self, platform: str, kind: str) -> Any:
        """The stored documents of a kind."""
        return self.server.control("GET", f"records/{self.name}/{platform}/{kind}")


NewAccount = Callable[..., Account]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process for all tests; each test has accounts of its own."""
    running = Server(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()
    running.http.close()


@pytest.fixture(scope="session")
def _names() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def new_account(server: Server, _names: Iterator[int]) -> NewAccount:
    """Make an account: `nhanh` and `shopify` are seed recipes or file sources."""
    small = {"products": 30, "customers": 30, "seed": 7}

    def make(nhanh: Any = small, shopify: Any = small) -> Account:
        return Account(server, f"shop-{next(_names)}", nhanh, shopify)

    return make


@pytest.fixture
def account(new_account: NewAccount) -> Account:
    """An account with 30 products and 30 customers on both sides."""
    return new_account()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A process that a test may kill."""
    running = Server(tmp_path / "state")
    yield running
    running.stop()
    running.http.close()


@pytest.fixture
def account_on() -> Callable[[Server, str], Account]:
    """Make (or find) an account with 30 products and 30 customers on a given process."""
    small = {"products": 30, "customers": 30, "seed": 7}
    return lambda running, name: Account(running, name, small, small)
