"""Every command of README.md, read from it and run against a system that `jobtrail up` has just started."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobtrail.sandbox_client import Sandbox
from platforms.registry import platform

WaitUntil = Callable[..., None]
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BIN = Path(sys.executable).parent
# Each of these starts a system or takes minutes; other tests and CI run them.
ELSEWHERE = ("make demo", "make test", "make up", "make safety", "make chaos", "make bench")


def blocks(text: str) -> list[list[str]]:
    """The indented blocks of commands, in order."""
    found: list[list[str]] = [[]]
    for line in re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
        if re.match(r" {4}\S", line):
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


class Reader:
    """Runs the commands of the README, with values for its placeholders."""

    def __init__(self, user: Any, running: dict[str, str], wait_until: WaitUntil) -> None:
        self._user, self._wait_until = user, wait_until
        self._api = httpx.Client(base_url=running["api"], timeout=120)
        # The account `lan-shop` of the README.
        self._shops = Sandbox(running["sandbox"]).load("lan-shop", {}, {})
        self._job = ""

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command as the shell does; the answers to its questions are on standard input."""
        filled, answers = self._filled(command)
        done = subprocess.run(
            ["bash", "-c", filled],
            cwd=ROOT if command.startswith("make ") else self._user.folder,
            env=self._user.env,
            input=answers,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        if found := re.search(r"follow: jobtrail jobs watch (\S+)\)", done.stdout):
            self._job = found[1]
        return done

    def _filled(self, command: str) -> tuple[str, str]:
        answers = ""
        if add := re.match(r"\.venv/bin/jobtrail accounts add lan-shop (\w+)", command):
            shop = self._shops[add[1]]
            answers = "".join(f"{shop['credentials'][name]}\n" for name in platform(add[1]).credentials)
            if "--base-url" not in command:
                command += f" --base-url {shop['base_url']}"
            command = command.replace("https://SHOP.myshopify.com", shop["base_url"])
        if "SYNC-JOB" in command:
            command = command.replace("SYNC-JOB", self._sync_job())
        command = re.sub(r"\bJOB\b", self._job, command)
        command = re.sub(r"^make ", f"make -s -o .venv/.ready BIN={BIN} ", command)
        return command.replace(".venv/bin/jobtrail", str(BIN / "jobtrail")), answers

    def _sync_job(self) -> str:
        wanted = {"tenant": "default", "account": "lan-shop", "type": "PRODUCT_SYNC"}

        def ended() -> list[str]:
            jobs = self._api.get("/jobs", params=wanted).json()["jobs"]
            return [job["job_id"] for job in jobs if job["state"] == "finished"]

        self._wait_until(ended, "the sync of the dry run")
        return ended()[0]


def test_every_block_is_found() -> None:
    commands = [command for block in blocks(README) for command in block]
    assert len(commands) >= 20
    assert all(re.match(r"(make|\.venv/bin/jobtrail)\b", command) for command in commands), commands


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_command_works_on_a_fresh_system(user: Any, wait_until: WaitUntil) -> None:
    typed: list[str] = []
    with user.running("up") as up:
        wait_until(lambda: "Ctrl-C stops everything" in user.output() or up.poll() is not None, "the system to be up")
        running = json.loads((user.folder / ".jobtrail" / "running.json").read_text())
        reader = Reader(user, running, wait_until)
        for block in blocks(README):
            for command in block:
                if command.startswith(ELSEWHERE):
                    continue
                done = reader.types(command)
                said = f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
                assert done.returncode == 0, said
                assert "Traceback" not in said
                typed.append(command)
        assert "demo-shop" in user.run("jobs", "list", "--tenant", "demo").stdout
        assert user.run("down").returncode == 0
        wait_until(lambda: up.poll() is not None, "the end of up")
    assert len(typed) >= 15, typed
